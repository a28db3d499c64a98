"""Net changes of a table into its target, within the transaction that is open: staged, filled up, deleted, merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from data_platform.postgres.pipelines import merging, staging
from data_platform.postgres.pipelines.fitting import fitting
from data_platform.postgres.pipelines.merging import Merge
from data_platform.postgres.pipelines.relations import (
    Relation,
    Rule,
    analyze,
    drop_temporary,
    is_empty,
    temporary,
)
from data_platform.postgres.pipelines.staging import Stream
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.postgres.replication.decoding import UNCHANGED, Value
from data_platform.postgres.replication.netting import Key, Net, Row
from data_platform.sql.text import Sql, identifier, joined, phrase, qualified

_GONE = "_dpe_gone"
_KEPT = "_dpe_kept"
"""Of a row the places, from 1, of values that were not sent; NULL once they are filled in from the target."""
_FROM = "_dpe_from_"
_TEXT = Sql("(FORMAT text, ENCODING 'UTF8')")
_UNKNOWN = Rule("a long value was not sent, and the target has no such row", Sql(f"r.{_KEPT} IS NULL"))


@dataclass(frozen=True)
class Layout:
    """Where the values of a target's columns stand in a row of the stream, and their types."""

    source: str
    key: tuple[str, ...]
    columns: Mapping[str, Sql]
    places: tuple[int, ...]


def apply(state: State, unit: str, layout: Layout, target: Relation, net: Net) -> Counts:
    """Bring the target to where the changes lead. read = inserted + updated + unchanged + quarantined."""
    connection, name = state.connection, layout.source
    bad = _stage(state, unit, layout, target, [*net.kept()])
    deleted, strange = _delete(state, unit, layout, target, net)
    wanted = _merge(state, name, target, layout.key)
    merged = merging.merge(state, name, unit, wanted)
    drop_temporary(connection, [name])
    bad += strange + merged.quarantined
    read = net.changes + strange
    return Counts(
        read=read,
        inserted=merged.inserted,
        updated=merged.updated,
        deleted=deleted,
        unchanged=read - merged.written - bad,
        quarantined=bad,
    )


def _merge(state: State, name: str, target: Relation, key: tuple[str, ...]) -> Merge:
    """Of the temporary table of that name."""
    staged = temporary(state.connection, name).columns
    written = tuple(column for column in staged if column in target.writable)
    return Merge(
        relation=qualified("pg_temp", name),
        target=target,
        columns=written,
        key=key,
        fitting=fitting(state.connection, staged, target, written, exactly=True),
    )


def _stage(state: State, unit: str, layout: Layout, target: Relation, rows: Sequence[Row]) -> int:
    """The rows as a temporary table named as their source; how many are in quarantine."""
    connection, name = state.connection, layout.source
    kept = sorted({n for row in rows if row.is_partial for n in _kept(layout, row)})
    extra: dict[str, Sql] = {}
    if kept:
        froms = {f"{_FROM}{n}": layout.columns[column] for n, column in enumerate(layout.key)}
        extra = {_KEPT: Sql("int[]"), **froms}
    columns = {**layout.columns, **extra}
    staging.make_room(connection, name, columns)
    lines = _lines(layout, rows, with_origin=bool(kept))
    stream = Stream(tuple(columns), _TEXT, lambda: _blocks(lines))
    bad = staging.stage(state, name, unit, stream, columns).quarantined
    analyze(connection, name)
    if kept:
        connection.execute(_fill(layout, target, kept).encode())
        bad += merging.set_aside(state, name, unit, qualified("pg_temp", name), [_UNKNOWN])
        staging.leave_out(connection, name, extra)
    return bad


def _kept(layout: Layout, row: Row) -> list[int]:
    return [n for n, place in enumerate(layout.places, 1) if row.values[place] is UNCHANGED]


def _lines(layout: Layout, rows: Sequence[Row], *, with_origin: bool) -> list[bytes]:
    found = []
    for row in rows:
        fields = [_field(row.values[place]) for place in layout.places]
        if with_origin:
            kept = _kept(layout, row)
            fields.append(b"{%s}" % b",".join(b"%d" % n for n in kept) if kept else rb"\N")
            fields += [_field(value) for value in row.origin or (None,) * len(layout.key)]
        found.append(b"\t".join(fields) + b"\n")
    return found


def _field(value: Value) -> bytes:
    """A value as COPY's text format has it; one that was not sent is NULL until it is filled in."""
    if value is None or value is UNCHANGED:
        return rb"\N"
    if b"\\" in value or b"\n" in value or b"\t" in value or b"\r" in value:
        value = (
            value.replace(b"\\", rb"\\").replace(b"\n", rb"\n").replace(b"\t", rb"\t").replace(b"\r", rb"\r")
        )
    return value


def _blocks(lines: Sequence[bytes]) -> Iterator[bytes]:
    for first in range(0, len(lines), 1_000):
        yield b"".join(lines[first : first + 1_000])


def _fill(layout: Layout, target: Relation, kept: Sequence[int]) -> Sql:
    """Values that were not sent, from the row of the target that they were in."""
    names = list(layout.columns)
    sets = [
        phrase(
            "{name} = CASE WHEN {n} = ANY (s.{kept}) THEN t.{name}::{type} ELSE s.{name} END",
            name=identifier(names[n - 1]),
            n=n,
            kept=Sql(_KEPT),
            type=layout.columns[names[n - 1]],
        )
        for n in kept
        if names[n - 1] in target.columns
    ]
    same = [Sql(f"t.{identifier(column)} = s.{_FROM}{n}") for n, column in enumerate(layout.key)]
    return phrase(
        "UPDATE pg_temp.{name} s SET {sets} FROM {target} t WHERE s.{kept} IS NOT NULL AND {same}",
        name=identifier(layout.source),
        sets=joined(", ", [*sets, Sql(f"{_KEPT} = NULL")]),
        target=target.name,
        kept=Sql(_KEPT),
        same=joined(" AND ", same),
    )


def _delete(state: State, unit: str, layout: Layout, target: Relation, net: Net) -> tuple[int, int]:
    """Rows that are gone; how many, and how many keys are of no type that the target has."""
    connection = state.connection
    if net.truncated:
        # DELETE and not TRUNCATE: readers of the target see its rows until the transaction ends.
        statement = phrase("DELETE FROM {target}", target=target.name)
        return connection.execute(statement.encode()).rowcount, 0
    return _delete_keys(state, unit, layout, target, [*net.gone()])


def _delete_keys(
    state: State, unit: str, layout: Layout, target: Relation, gone: Sequence[Key]
) -> tuple[int, int]:
    connection = state.connection
    if not gone:
        return 0, 0
    columns = {column: layout.columns[column] for column in layout.key}
    staging.make_room(connection, _GONE, columns)
    stream = Stream(tuple(columns), _TEXT, lambda: _blocks([*_key_lines(gone)]))
    strange = staging.stage(state, _GONE, unit, stream, columns).quarantined
    analyze(connection, _GONE)
    statement = phrase(
        "DELETE FROM {target} t USING pg_temp.{gone} r WHERE {same}",
        target=target.name,
        gone=Sql(_GONE),
        same=joined(" AND ", [Sql(f"t.{identifier(c)} = r.{identifier(c)}") for c in layout.key]),
    )
    deleted = connection.execute(statement.encode()).rowcount
    drop_temporary(connection, [_GONE])
    return deleted, strange


def _key_lines(keys: Iterable[Key]) -> Iterator[bytes]:
    for key in keys:
        yield b"\t".join(_field(value) for value in key) + b"\n"


def refresh(
    state: State, unit: str, layout: Layout, target: Relation, stream: Stream, gone: Sequence[tuple[str, ...]]
) -> Counts:
    """Some rows as the source has them, and those of the keys `gone` not at all; what is refused is in quarantine."""
    name = layout.source
    keys = [tuple(part.encode() for part in key) for key in gone]
    deleted, strange = _delete_keys(state, unit, layout, target, keys)
    staging.make_room(state.connection, name, layout.columns)
    staged = staging.stage(state, name, unit, stream, layout.columns)
    analyze(state.connection, name)
    done = merging.merge(state, name, unit, _merge(state, name, target, layout.key))
    drop_temporary(state.connection, [name])
    return done.plus(
        Counts(
            read=staged.quarantined + len(gone),
            deleted=deleted,
            unchanged=len(gone) - strange,
            quarantined=staged.quarantined + strange,
        )
    )


def replace_all(
    state: State,
    source: str,
    unit: str,
    columns: Mapping[str, Sql],
    wanted: Relation,
    key: tuple[str, ...],
    stream: Stream,
) -> tuple[Counts, str]:
    """The target becomes what the stream has, row by row of `key`: COPY alone where it is empty."""
    connection = state.connection
    writable = all(column in wanted.writable for column in columns)
    if writable and is_empty(connection, wanted.name):
        rows = staging.copy_if_good(connection, wanted.name, stream)
        if rows is not None:
            return Counts(read=rows, inserted=rows), "straight"
    staging.make_room(connection, source, columns)
    staged = staging.stage(state, source, unit, stream, columns)
    analyze(connection, source)
    merge = _merge(state, source, wanted, key)
    # Before the merge, which takes rows that the target refuses out of the stage: the source has their keys.
    deleted = 0 if staged.quarantined else merging.delete_missing(connection, merge)
    done = merging.merge(state, source, unit, merge)
    drop_temporary(connection, [source])
    held = Counts(read=staged.quarantined, quarantined=staged.quarantined, deleted=deleted)
    return done.plus(held), staged.way

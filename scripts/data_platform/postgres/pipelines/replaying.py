"""Rows out of quarantine into the way that all rows go: staged again, and those that are good now leave it.

A row keeps its place in quarantine as long as it is bad, with the reasons of the last time. All of it is one
transaction with the rows that are written, so that after any kill a row is in one of the two places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_platform.postgres.pipelines.relations import ROW
from data_platform.postgres.pipelines.staging import TEXT, Form, Staged, make_room, sort_out
from data_platform.postgres.pipelines.state import State
from data_platform.sql.text import Sql, identifier, joined, literal, phrase

_PICKED = Sql("pg_temp._dpe_picked")
_GROUPS = """
SELECT source, unit, target, count(*) FROM {quarantine} q
 WHERE pipeline = {pipeline} AND replayed_at IS NULL AND {reason} GROUP BY 1, 2, 3 ORDER BY min(id)
"""
_PICK = """
CREATE TEMP TABLE _dpe_picked ON COMMIT DROP AS SELECT id, content FROM {quarantine} q
 WHERE pipeline = {pipeline} AND replayed_at IS NULL AND {reason} AND source = {source} AND unit = {unit}
   AND target IS NOT DISTINCT FROM {target} AND id <= {last} ORDER BY id LIMIT {limit}
"""
_AS_LINES = """
CREATE TEMP TABLE {text} ON COMMIT DROP AS
SELECT content::text AS line, id AS {row} FROM {picked} WHERE jsonb_typeof(content) = 'object'
"""
_REFUSED = """
WITH bad (number, content, reasons) AS ({query})
UPDATE {quarantine} q SET reasons = bad.reasons FROM bad WHERE q.id = bad.number
"""
_LEAVE = """
UPDATE {quarantine} q SET replayed_at = clock_timestamp() FROM pg_temp.{name} r WHERE q.id = r.{row}
"""
_BACK = """
WITH again AS (
    DELETE FROM {quarantine} n USING {picked} p WHERE n.pipeline = {pipeline} AND n.id > {newest}
       AND n.source = {source} AND n.unit = {unit} AND n.target = {target} AND n.number = p.id
    RETURNING n.number, n.reasons
)
UPDATE {quarantine} q SET replayed_at = NULL, reasons = again.reasons FROM again WHERE q.id = again.number
"""
_NUMBERS = """
UPDATE {quarantine} n SET number = {number} FROM {quarantine} q, {picked} p
 WHERE n.pipeline = {pipeline} AND n.id > {newest} AND n.unit = {unit} AND n.number = p.id AND q.id = p.id
"""


@dataclass(frozen=True)
class Group:
    """Rows in quarantine that go one way. `target` is the quoted table that refused them; None: they were no rows.

    `source` is that of the spec, or the transform that the target is made of.
    """

    source: str
    unit: str
    target: str | None
    rows: int


@dataclass(frozen=True)
class Picked:
    """The rows of a group that are tried in this transaction.

    `columns` are all that they have; `newest` is the place of the newest row in quarantine, before any is refused now.
    """

    columns: tuple[str, ...]
    newest: int


def groups(state: State, reason: str | None) -> tuple[Group, ...]:
    """What is in quarantine, those that came first first. `reason` is a part of one that they must have."""
    query = phrase(_GROUPS, **_common(state, reason))
    return tuple(Group(*row) for row in state.connection.execute(query.encode()))


def newest(state: State) -> int:
    """The place of the newest row in quarantine; what is refused from now on comes behind it."""
    return _number(state, "SELECT coalesce(max(id), 0) FROM {quarantine}")


def held(state: State) -> int:
    """Rows in quarantine, all of them."""
    return _number(
        state, "SELECT count(*) FROM {quarantine} WHERE pipeline = {pipeline} AND replayed_at IS NULL"
    )


def keys_held(state: State, source: str, key: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The keys of a source's rows in quarantine, as texts."""
    query = phrase(
        "SELECT DISTINCT ARRAY[{parts}] FROM {quarantine} q"
        " WHERE pipeline = {pipeline} AND replayed_at IS NULL AND source = {source} ORDER BY 1",
        parts=joined(", ", [Sql(f"content ->> {literal(name)}") for name in key]),
        quarantine=state.table("quarantine"),
        pipeline=literal(state.pipeline),
        source=literal(source),
    )
    return tuple(tuple(row) for (row,) in state.connection.execute(query.encode()) if None not in row)


def pick(state: State, group: Group, reason: str | None, limit: int | None, last: int) -> Picked:
    """Take the rows of a group for this transaction, at most so many, none behind `last`."""
    at_most = Sql("ALL") if limit is None else Sql(str(limit))
    query = phrase(_PICK, **_common(state, reason), **_of(group), last=last, limit=at_most)
    state.connection.execute(query.encode())
    names = phrase(
        "SELECT DISTINCT jsonb_object_keys(content) FROM {picked} WHERE jsonb_typeof(content) = 'object' ORDER BY 1",
        picked=_PICKED,
    )
    columns = tuple(name for (name,) in state.connection.execute(names.encode()))
    return Picked(columns, newest(state))


def restage(state: State, name: str, columns: Mapping[str, Sql], form: Form) -> Staged:
    """The picked rows as the temporary table `name`, where the number of each is its place in quarantine.

    Those that are none of these types stay, with what is said of them now. A record that was torn stays as it is.
    `form` is that of what stands in quarantine.
    """
    connection = state.connection
    make_room(connection, name, columns)
    known = {"quarantine": state.table("quarantine"), "picked": _PICKED, "row": ROW}
    connection.execute(phrase(_AS_LINES, text=TEXT, **known).encode())

    def refuse(query: Sql) -> int:
        return connection.execute(phrase(_REFUSED, query=query, **known).encode()).rowcount

    sort_out(connection, name, columns, refuse, form)
    connection.execute(phrase("DROP TABLE pg_temp.{text}", text=TEXT).encode())
    leave = phrase(_LEAVE, name=identifier(name), **known)
    good = connection.execute(leave.encode()).rowcount
    read = _number(state, "SELECT count(*) FROM {picked}")
    return Staged(read, read - good, "replayed")


def settle(state: State, group: Group, picked: Picked, *, same_rows: bool) -> None:
    """What a target refused of the picked rows: the same rows again where it did so before.

    `same_rows` is whether no transform stands between, so that the number of a refused row is its place in quarantine.
    """
    common = {**_common(state, None), **_of(group), "picked": _PICKED, "newest": Sql(str(picked.newest))}
    if group.target is not None:
        state.connection.execute(phrase(_BACK, **common).encode())
    else:
        number = Sql("q.number" if same_rows else "NULL")
        state.connection.execute(phrase(_NUMBERS, number=number, **common).encode())
    state.connection.execute(phrase("DROP TABLE {picked}", picked=_PICKED).encode())


def _common(state: State, reason: str | None) -> dict[str, Sql]:
    wanted = "EXISTS (SELECT FROM unnest(q.reasons) AS x WHERE strpos(lower(x), lower({text})) > 0)"
    return {
        "quarantine": state.table("quarantine"),
        "pipeline": literal(state.pipeline),
        "reason": phrase(wanted, text=literal(reason)) if reason else Sql("true"),
    }


def _of(group: Group) -> dict[str, Sql]:
    return {
        "source": literal(group.source),
        "unit": literal(group.unit),
        "target": literal(group.target) if group.target is not None else Sql("NULL"),
    }


def _number(state: State, query: str) -> int:
    known = {"quarantine": state.table("quarantine"), "pipeline": literal(state.pipeline), "picked": _PICKED}
    row = state.connection.execute(phrase(query, **known).encode()).fetchone()
    assert row is not None
    return int(row[0])

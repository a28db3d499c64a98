"""From a relation into its target, within the transaction that is open: add, merge by key, replace, exchange.

Rows that the target's constraints refuse go into quarantine, and only then is it asked which they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Any

import psycopg

from data_platform.errors import UsageProblem
from data_platform.postgres.pipelines.relations import (
    ROW,
    Relation,
    Rule,
    analyze,
    constraint_rules,
    drop_temporary,
)
from data_platform.postgres.pipelines.staging import quarantine
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.sql.text import Sql, columns_of, identifier, identifiers, joined, literal, phrase

_INCOMPARABLE = frozenset({"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"})
_LATEST = "_dpe_latest"


@dataclass(frozen=True)
class Merge:
    """Rows of a temporary table, `relation`, into `target`.

    `gone` is the column that is true for a row that was deleted, `version` the column of which the greater value wins.
    `columns` are those that both have.
    """

    relation: Sql
    target: Relation
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    version: str | None = None
    gone: str | None = None
    missing: bool = False
    """Whether what the relation does not have is to be deleted from the target."""
    at_most: float = 1.0
    """Share of the target that may be deleted so."""
    fitting: tuple[Rule, ...] = ()
    """What a value must meet so that the target's type takes it, and keeps it as it is."""


def merge(state: State, source: str, unit: str, wanted: Merge, rules: Sequence[Rule] = ()) -> Counts:
    """Bring the target to what the relation says; rows that break one of `rules`, or a constraint, into quarantine.

    With rows in quarantine nothing is deleted for missing: their keys would look so. UsageProblem where more than
    `at_most` of the target would be deleted.
    """
    connection = state.connection
    bad = set_aside(state, source, unit, wanted.relation, (*wanted.fitting, *rules), wanted.target.name)
    try:
        with connection.transaction():
            done = _merged(state, replaced(wanted, missing=wanted.missing and not bad))
    except psycopg.IntegrityError:
        own = constraint_rules(connection, wanted.target, wanted.columns, wanted.key, wanted.relation)
        bad += set_aside(state, source, unit, wanted.relation, own, wanted.target.name)
        done = _merged(state, replaced(wanted, missing=wanted.missing and not bad))
    return done.plus(Counts(read=bad, quarantined=bad))


def set_aside(
    state: State,
    source: str,
    unit: str,
    relation: Sql,
    rules: Sequence[Rule],
    target: Sql | None = None,
    as_text: Sequence[str] = (),
) -> int:
    """Rows of a temporary table that break a rule go into quarantine and out of the table; how many.

    `target` is the table whose rules they are, where they are one's. The columns `as_text` are kept as the texts that
    they came as, like those of a row that could not be typed.
    """
    if not rules:
        return 0
    good = joined(" AND ", [Sql(f"({rule.condition}) IS NOT FALSE") for rule in rules])
    reasons = [Sql(f"CASE WHEN ({rule.condition}) IS FALSE THEN {literal(rule.name)} END") for rule in rules]
    bad = phrase(
        "SELECT r.{row}, to_jsonb(r.*) - {name}{texts}, array_remove(ARRAY[{reasons}]::text[], NULL)"
        " FROM {relation} r WHERE NOT ({good})",
        row=ROW,
        name=literal(ROW),
        texts=Sql(
            "".join(f" || jsonb_build_object({literal(one)}, r.{identifier(one)}::text)" for one in as_text)
        ),
        reasons=joined(", ", reasons),
        relation=relation,
        good=good,
    )
    count = quarantine(state, source, unit, bad, target)
    if count:
        delete = phrase("DELETE FROM {relation} r WHERE NOT ({good})", relation=relation, good=good)
        state.connection.execute(delete.encode())
    return count


def _merged(state: State, wanted: Merge) -> Counts:
    read = _count(state.connection, "SELECT count(*) FROM {relation}", relation=wanted.relation)
    if not wanted.key:
        return Counts(read=read, inserted=_insert(state.connection, wanted))
    rows = _one_of_each_key(state.connection, wanted, read)
    deleted = _delete_gone(state, wanted, rows) if wanted.gone else 0
    inserted, updated = _upsert(state, wanted, rows)
    drop_temporary(state.connection, [_LATEST])
    if wanted.missing:
        deleted += delete_missing(state.connection, wanted)
    unchanged = read - inserted - updated
    return Counts(read=read, inserted=inserted, updated=updated, deleted=deleted, unchanged=unchanged)


def _count(connection: psycopg.Connection[Any], query: str, **parts: Sql) -> int:
    row = connection.execute(phrase(query, **parts).encode()).fetchone()
    assert row is not None
    return int(row[0])


def _insert(connection: psycopg.Connection[Any], wanted: Merge) -> int:
    statement = phrase(
        "INSERT INTO {target} ({columns}) SELECT {columns} FROM {relation} r",
        target=wanted.target.name,
        columns=identifiers(wanted.columns),
        relation=wanted.relation,
    )
    return connection.execute(statement.encode()).rowcount


def _one_of_each_key(connection: psycopg.Connection[Any], wanted: Merge, read: int) -> Sql:
    """A relation of the rows that win, of `read` ones, with `_dpe_gone` where rows can be gone.

    Most batches have each key once, and one hash of the keys tells so in a fraction of the time that a sort takes.
    """
    key = columns_of("r", wanted.key)
    keys = "SELECT count(*) FROM (SELECT DISTINCT {key} FROM {relation} r) k"
    if _count(connection, keys, key=key, relation=wanted.relation) == read:
        every = "(SELECT {columns}{gone} FROM {relation} r)"
        return phrase(
            every,
            columns=columns_of("r", wanted.columns),
            gone=_gone_column(wanted),
            relation=wanted.relation,
        )
    if not wanted.gone:
        return phrase("({latest})", latest=_latest(wanted))
    statement = "CREATE TEMP TABLE {name} ON COMMIT DROP AS {latest}"
    connection.execute(phrase(statement, name=identifier(_LATEST), latest=_latest(wanted)).encode())
    analyze(connection, _LATEST)
    return identifier(_LATEST)


def _gone_column(wanted: Merge) -> Sql:
    # Of IS TRUE the server has statistics; of coalesce() it expects half of the rows, and then reads the whole target.
    return Sql(f", r.{identifier(wanted.gone)} IS TRUE AS _dpe_gone") if wanted.gone else Sql("")


def _latest(wanted: Merge) -> Sql:
    """Of each key the row that wins: the greatest version, of equal ones a deletion, then the last to come."""
    order = [columns_of("r", wanted.key)]
    order += [Sql(f"r.{identifier(wanted.version)} DESC NULLS LAST")] if wanted.version else []
    if wanted.version and wanted.gone:
        # A source that deletes without a new version means it; a row that comes again must not undo it.
        order.append(Sql(f"r.{identifier(wanted.gone)} IS TRUE DESC"))
    order.append(Sql(f"r.{ROW} DESC"))
    return phrase(
        "SELECT DISTINCT ON ({key}) {columns}{gone} FROM {relation} r ORDER BY {order}",
        key=columns_of("r", wanted.key),
        columns=columns_of("r", wanted.columns),
        gone=_gone_column(wanted),
        relation=wanted.relation,
        order=joined(", ", order),
    )


def _upsert(state: State, wanted: Merge, rows: Sql) -> tuple[int, int]:
    living = phrase(" WHERE NOT r._dpe_gone AND {late}", late=_not_buried(state, wanted))
    source = phrase(
        "SELECT {columns} FROM {rows} r{living} ORDER BY {key}",
        columns=columns_of("r", wanted.columns),
        rows=rows,
        living=living if wanted.gone else Sql(""),
        # In the order of the index each of its pages is looked up once, not whenever chance comes by.
        key=columns_of("r", wanted.key),
    )
    statement = phrase(
        "WITH done AS (INSERT INTO {target} AS t ({columns}) {source} ON CONFLICT ({key}) {action}"
        " RETURNING {told})"
        " SELECT count(*) FILTER (WHERE {is_new}), count(*) FILTER (WHERE NOT {is_new}) FROM done r",
        target=wanted.target.name,
        columns=identifiers(wanted.columns),
        source=source,
        key=identifiers(wanted.key),
        action=_on_conflict(wanted),
        **_newness(wanted),
    )
    row = state.connection.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _newness(wanted: Merge) -> dict[str, Sql]:
    """What a written row is told by, and whether it was inserted.

    A partitioned table has no xmax to tell. There the statement's own snapshot does, which is from before it.
    """
    if not wanted.target.partitioned:
        return {"told": Sql("t.xmax = 0 AS is_new"), "is_new": Sql("is_new")}
    before = phrase(
        "(NOT EXISTS (SELECT FROM {target} t WHERE {same}))",
        target=wanted.target.name,
        same=same_key(wanted),
    )
    return {"told": columns_of("t", wanted.key), "is_new": before}


def _on_conflict(wanted: Merge) -> Sql:
    others = [column for column in wanted.columns if column not in wanted.key]
    if not others:
        return Sql("DO NOTHING")
    sets = [Sql(f"{identifier(column)} = excluded.{identifier(column)}") for column in others]
    return phrase(
        "DO UPDATE SET {sets} WHERE {differs}{newer}",
        sets=joined(", ", sets),
        differs=differs(wanted, "excluded"),
        newer=_newer(wanted, "excluded"),
    )


def differs(wanted: Merge, alias: str) -> Sql:
    """That a row `t` of the target has other values, beside the key, than the row of `alias`."""
    others = [column for column in wanted.columns if column not in wanted.key]
    return phrase(
        "({mine}) IS DISTINCT FROM ({theirs})",
        mine=_comparable("t", others, wanted.target.columns),
        theirs=_comparable(alias, others, wanted.target.columns),
    )


def _comparable(alias: str, columns: Sequence[str], types: Mapping[str, str]) -> Sql:
    """The columns, those as text whose types have no equality."""
    return joined(
        ", ",
        [
            Sql(
                f"{alias}.{identifier(name)}"
                + ("::text" if types[name].rstrip("[]") in _INCOMPARABLE else "")
            )
            for name in columns
        ],
    )


def _newer(wanted: Merge, alias: str) -> Sql:
    """That the row of `alias` is no older than the target's."""
    if not wanted.version:
        return Sql("")
    version = identifier(wanted.version)
    return Sql(f" AND (t.{version} IS NULL OR {alias}.{version} >= t.{version})")


def same_key(wanted: Merge) -> Sql:
    """That a row `t` of the target has the key of the row `r`."""
    return joined(" AND ", [Sql(f"t.{identifier(c)} = r.{identifier(c)}") for c in wanted.key])


# --- rows that are gone ---


def _not_buried(state: State, wanted: Merge) -> Sql:
    """Whether no tombstone is as new as the row: an older row that comes late does not bring back what was deleted.

    No version is older than any, and as old as none.
    """
    if not wanted.version:
        return Sql("true")
    return phrase(
        "NOT EXISTS (SELECT FROM {tombstones} b WHERE b.pipeline = {pipeline} AND b.target = {target}"
        " AND b.key = jsonb_build_array({key}) AND (r.{version} IS NULL OR b.version::{type} >= r.{version}))",
        tombstones=state.table("tombstones"),
        pipeline=literal(state.pipeline),
        target=literal(wanted.target.name),
        key=columns_of("r", wanted.key),
        type=Sql(wanted.target.columns[wanted.version]),
        version=identifier(wanted.version),
    )


def _delete_gone(state: State, wanted: Merge, rows: Sql) -> int:
    """Delete what the row of a key that wins says is gone, and remember it where versions tell what is late."""
    if wanted.version:
        _bury(state, wanted, rows)
    delete = phrase(
        "DELETE FROM {target} t USING {rows} r WHERE r._dpe_gone AND {same}{newer}",
        target=wanted.target.name,
        rows=rows,
        same=same_key(wanted),
        newer=_newer(wanted, "r"),
    )
    return state.connection.execute(delete.encode()).rowcount


def _bury(state: State, wanted: Merge, rows: Sql) -> None:
    assert wanted.version is not None
    statement = phrase(
        "INSERT INTO {table} AS b (pipeline, target, key, version)"
        " SELECT {pipeline}, {target}, jsonb_build_array({key}), r.{version}::text FROM {rows} r WHERE r._dpe_gone"
        " ON CONFLICT (pipeline, target, key) DO UPDATE SET version = excluded.version"
        " WHERE b.version IS NULL OR excluded.version::{type} > b.version::{type}",
        table=state.table("tombstones"),
        pipeline=literal(state.pipeline),
        target=literal(wanted.target.name),
        key=columns_of("r", wanted.key),
        version=identifier(wanted.version),
        rows=rows,
        type=Sql(wanted.target.columns[wanted.version]),
    )
    state.connection.execute(statement.encode())


def delete_missing(connection: psycopg.Connection[Any], wanted: Merge) -> int:
    """Delete what the relation does not have. UsageProblem where that is more than `at_most` of the target."""
    target = wanted.target.name
    refuse_missing(connection, wanted)
    absent = _absent(wanted)
    delete = phrase("DELETE FROM {target} t WHERE {absent}", target=target, absent=absent)
    return connection.execute(delete.encode()).rowcount


def refuse_too_many(going: int, there: int, at_most: float, target: Sql) -> None:
    """UsageProblem where more than this share of the target's rows would go."""
    if going > at_most * there:
        raise UsageProblem(
            f"{going:,} of {there:,} rows of {target} are not in the source, more than may be deleted at once",
            expected=f"at most {at_most:.0%}",
            try_="look whether the source is whole; else `deletes: {missing: true, at_most: 1}`",
        )


# --- the whole at once ---


def replace(state: State, wanted: Merge) -> Counts:
    """The target becomes the relation, without a key: the same rows are left alone, else all are exchanged.

    Readers see the old rows until the transaction ends.
    """
    connection = state.connection
    read = _count(connection, "SELECT count(*) FROM {relation}", relation=wanted.relation)
    mine, theirs = (_digest(connection, one, wanted.columns) for one in (wanted.target.name, wanted.relation))
    if mine == theirs:
        return Counts(read=read, unchanged=read)
    delete = phrase("DELETE FROM {target}", target=wanted.target.name)
    deleted = connection.execute(delete.encode()).rowcount
    return Counts(read=read, inserted=_insert(connection, wanted), deleted=deleted)


def whole_rows(wanted: Merge) -> Sql:
    """The rows that the target is to have in the end, with its types: of each key the one that wins."""
    rows = _latest(wanted) if wanted.key else phrase("SELECT * FROM {one} r", one=wanted.relation)
    typed = [
        Sql(f"r.{identifier(name)}::{wanted.target.columns[name]} AS {identifier(name)}")
        for name in wanted.columns
    ]
    return phrase("SELECT {typed} FROM ({rows}) r", typed=joined(", ", typed), rows=rows)


def is_same(connection: psycopg.Connection[Any], wanted: Merge, rows: Sql) -> bool:
    """Whether the target has just the rows of a query, as often as that."""
    relations = (wanted.target.name, phrase("({rows})", rows=rows))
    mine, theirs = (_digest(connection, one, wanted.columns) for one in relations)
    return mine == theirs


def has_newer(connection: psycopg.Connection[Any], wanted: Merge) -> bool:
    """Whether the target has a row of a greater version than the relation's of its key."""
    if not wanted.version:
        return False
    newer = phrase(
        "SELECT EXISTS (SELECT FROM {target} t JOIN ({latest}) r ON {same} WHERE NOT (true{newer}))",
        target=wanted.target.name,
        latest=_latest(wanted),
        same=same_key(wanted),
        newer=_newer(wanted, "r"),
    )
    row = connection.execute(newer.encode()).fetchone()
    return bool(row and row[0])


def count(connection: psycopg.Connection[Any], relation: Sql) -> int:
    """The rows of a table."""
    return _count(connection, "SELECT count(*) FROM {relation}", relation=relation)


def _absent(wanted: Merge) -> Sql:
    """That the relation does not have a row `t` of the target."""
    return phrase(
        "NOT EXISTS (SELECT FROM {relation} r WHERE {same})", relation=wanted.relation, same=same_key(wanted)
    )


def refuse_missing(connection: psycopg.Connection[Any], wanted: Merge) -> None:
    """UsageProblem where the relation does not have more than `at_most` of the target's keys."""
    absent = _absent(wanted)
    target = wanted.target.name
    going = _count(connection, "SELECT count(*) FROM {target} t WHERE {absent}", target=target, absent=absent)
    refuse_too_many(going, count(connection, target), wanted.at_most, target)


def _digest(connection: psycopg.Connection[Any], relation: Sql, columns: Sequence[str]) -> tuple[Any, ...]:
    """The same for the same rows in whatever order: their number, and two sums of their hashes."""
    query = phrase(
        "SELECT count(*), sum(hashtextextended(t.row, 0)::numeric), sum(hashtextextended(t.row, 1)::numeric)"
        " FROM (SELECT ROW({columns})::text AS row FROM {relation} r) t",
        columns=columns_of("r", columns),
        relation=relation,
    )
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return tuple(found)

"""The tables of a dimension, its view of the present and its function of any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data_platform.pipeline.history.dimension import (
    CURRENT,
    FROM,
    TO,
    VALID,
    Dimension,
    beside,
    of_table,
    plain,
)
from data_platform.sql.text import Sql, body, identifier, identifiers, phrase, qualified_name

_FINITE = ("timestamptz", "timestamp", "date", "timestamp with time zone", "timestamp without time zone")
_NOW: Mapping[str, str] = {
    "timestamptz": "now()",
    "timestamp with time zone": "now()",
    "timestamp": "localtimestamp",
    "timestamp without time zone": "localtimestamp",
    "date": "current_date",
}


def extensions(dimension: Dimension) -> tuple[str, ...]:
    """What `tables` needs. Whole numbers, texts, dates, uuid … in a GiST index are btree_gist's, on 18 too."""
    return () if dimension.type == 1 else ("btree_gist",)


def tables(dimension: Dimension, *, guarded: bool = True) -> tuple[Sql, ...]:
    """Statements that make all of it where nothing of the kind is there.

    Not `guarded`, `guard` is to follow once the first rows are in: an index that is built takes less than half
    of the time of one that grows row by row.

    The end of what still holds is NULL and not 'infinity': most drivers have no such time (psycopg raises, Java and
    Spark overflow), and `valid_to IS NULL` says it in every tool. The database itself sees to it that no two versions
    of a key overlap.
    """
    made = [_plain(dimension)] if dimension.type == 1 else list(_versions(dimension, guarded))
    if dimension.remembers:
        made.append(_marks(dimension))
    return tuple(made)


def guard(dimension: Dimension) -> tuple[Sql, ...]:
    """What refuses versions of a key that overlap, for tables that were made without it."""
    if dimension.type == 1:
        return ()
    statement = "ALTER TABLE {table} ADD {guard}"
    return (phrase(statement, table=of_table(dimension), guard=Sql(_no_overlap(dimension))),)


def drop_tables(dimension: Dimension) -> tuple[Sql, ...]:
    """What takes all of it away again; refused by the server where something else depends on it."""
    table = of_table(dimension)
    made = [phrase("DROP TABLE IF EXISTS {table}", table=table)]
    if dimension.type != 1:
        made.insert(0, phrase("DROP VIEW IF EXISTS {view}", view=_beside(dimension, "_current")))
        made.insert(
            1,
            phrase(
                "DROP FUNCTION IF EXISTS {name}({time})",
                name=_beside(dimension, "_as_of"),
                time=dimension.time,
            ),
        )
    if dimension.remembers:
        made.append(phrase("DROP TABLE IF EXISTS {marks}", marks=qualified_name(dimension.marks)))
    return tuple(made)


def rules(dimension: Dimension) -> tuple[tuple[str, Sql], ...]:
    """What each row of a stage must meet, by name, over the row `r`: a key, and a time that is one."""
    found = [(f"{name} is null", Sql(f"r.{identifier(name)} IS NOT NULL")) for name in dimension.key]
    if dimension.effective:
        column = Sql(f"r.{identifier(dimension.effective)}")
        found.append((f"{dimension.effective} is null", Sql(f"{column} IS NOT NULL")))
        if plain(dimension.time) in _FINITE:
            found.append((f"{dimension.effective} is infinite", Sql(f"isfinite({column})")))
    return tuple(found)


def _beside(dimension: Dimension, suffix: str) -> Sql:
    return qualified_name(beside(dimension.table, suffix))


def _columns(columns: Mapping[str, Sql], constraint: str = "") -> list[str]:
    return [f"{identifier(name)} {type_}{constraint}" for name, type_ in columns.items()]


def _listed(parts: list[str]) -> Sql:
    return Sql(",\n    ".join(parts))


def _plain(dimension: Dimension) -> Sql:
    parts = [*_columns(dimension.key, " NOT NULL"), *_columns(dimension.attributes)]
    if dimension.effective:
        parts.append(f"{FROM} {dimension.time} NOT NULL")
    parts.append(f"PRIMARY KEY ({identifiers(dimension.key)})")
    return phrase(
        "CREATE TABLE IF NOT EXISTS {table} (\n    {parts}\n)",
        table=of_table(dimension),
        parts=_listed(parts),
    )


def _versions(dimension: Dimension, guarded: bool) -> Iterator[Sql]:
    table = of_table(dimension)
    parts = _version_parts(dimension)
    yield phrase(
        "CREATE TABLE IF NOT EXISTS {table} (\n    {parts}\n)",
        table=table,
        parts=_listed([*parts, _no_overlap(dimension)] if guarded else parts),
    )
    yield phrase(
        "CREATE OR REPLACE VIEW {view} AS SELECT {columns} FROM {table} AS v WHERE {holds}",
        view=_beside(dimension, "_current"),
        columns=Sql(", ".join(f"v.{identifier(name)}" for name in _shown(dimension))),
        table=table,
        holds=_holds_now(dimension),
    )
    time = dimension.time
    yield phrase(
        "CREATE OR REPLACE FUNCTION {name}({time}) RETURNS SETOF {table} LANGUAGE sql STABLE AS {source}",
        name=_beside(dimension, "_as_of"),
        time=time,
        table=table,
        source=body(f"SELECT v.* FROM {table} AS v WHERE v.{VALID} @> $1"),  # noqa: S608 - a quoted name
    )


def _version_parts(dimension: Dimension) -> list[str]:
    parts = [*_columns(dimension.key, " NOT NULL"), *_columns(dimension.attributes)]
    parts += [
        f"{identifier(copy)} {dimension.attributes[name]}"
        for copy, name in dimension.copies.items()
        if copy.startswith(CURRENT) and copy not in dimension.attributes
    ]
    finite = f" CHECK (isfinite({FROM}))" if plain(dimension.time) in _FINITE else ""
    parts.append(f"{FROM} {dimension.time} NOT NULL{finite}")
    parts.append(f"{TO} {dimension.time}")
    parts.append(
        f"{VALID} {dimension.range} NOT NULL GENERATED ALWAYS AS ({dimension.range}({FROM}, {TO})) STORED"
    )
    if dimension.surrogate:
        parts.append(f"{identifier(dimension.surrogate)} bigint GENERATED ALWAYS AS IDENTITY UNIQUE")
    parts.append(f"CHECK ({TO} > {FROM})")
    parts.append(f"UNIQUE ({identifiers(dimension.key)}, {FROM})")
    return parts


def _no_overlap(dimension: Dimension) -> str:
    """18 has a key for it, which a foreign key with PERIOD may refer to; before that the same index is a constraint."""
    if dimension.server_version >= 18:
        return f"PRIMARY KEY ({identifiers(dimension.key)}, {VALID} WITHOUT OVERLAPS)"
    equal = ", ".join(f"{identifier(name)} WITH =" for name in dimension.key)
    return f"EXCLUDE USING gist ({equal}, {VALID} WITH &&)"


def _shown(dimension: Dimension) -> tuple[str, ...]:
    surrogate = (dimension.surrogate,) if dimension.surrogate else ()
    return (*surrogate, *dimension.key, *dimension.attributes, FROM)


def _holds_now(dimension: Dimension) -> Sql:
    """What holds now, which is not what holds last where a row says a time to come."""
    now = _NOW.get(plain(dimension.time))
    if now is None:
        return Sql(f"v.{TO} IS NULL")
    return Sql(f"v.{FROM} <= {now} AND (v.{TO} IS NULL OR v.{TO} > {now})")


def _marks(dimension: Dimension) -> Sql:
    parts = [*_columns(dimension.key, " NOT NULL"), f"at {dimension.time} NOT NULL", "gone boolean NOT NULL"]
    parts.append(f"PRIMARY KEY ({identifiers(dimension.key)}, at)")
    return phrase(
        "CREATE TABLE IF NOT EXISTS {marks} (\n    {parts}\n)",
        marks=qualified_name(dimension.marks),
        parts=_listed(parts),
    )

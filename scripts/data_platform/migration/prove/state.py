"""Schema and rows at one moment, and what of them is gone at a later one.

Rows are compared column by column, as the bag of values that a column holds: a column that was copied under another
name, or into another table, is not lost when the first one goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from data_platform.migration.prove.result import Lost
from data_platform.model.database import Database
from data_platform.postgres.catalog import read
from data_platform.sql.text import identifier, qualified

Connection = psycopg.Connection[Any]

_COLUMNS = """
SELECT c.oid::bigint, n.nspname, c.relname, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (c.oid = ANY (%(only)s) OR %(only)s::bigint[] IS NULL)
 ORDER BY 2, 3, 4
"""


@dataclass(frozen=True)
class Values:
    """What a column holds: how many values that are not NULL, how many different ones, and a digest of the bag."""

    name: str
    type: str
    count: int
    distinct: int
    digest: str


@dataclass(frozen=True)
class Rows:
    """What a table holds; columns by their number, which a rename does not change."""

    name: str
    count: int
    columns: Mapping[int, Values]


@dataclass(frozen=True)
class State:
    """A database at one moment; tables by their oid, which a rename does not change."""

    database: Database
    rows: Mapping[int, Rows]


def capture(connection: Connection) -> State:
    """Read the catalog and every row. For databases with few rows."""
    return State(read(connection), rows(connection))


def rows(connection: Connection, only: Sequence[int] | None = None) -> Mapping[int, Rows]:
    """What the tables hold."""
    tables: dict[int, tuple[str, str, list[tuple[int, str, str]]]] = {}
    for oid, schema, name, number, column, type_ in connection.execute(
        _COLUMNS, {"only": list(only) if only is not None else None}
    ):
        tables.setdefault(oid, (schema, name, []))[2].append((number, column, type_))
    return {oid: _rows(connection, *found) for oid, found in tables.items()}


def _rows(connection: Connection, schema: str, name: str, columns: list[tuple[int, str, str]]) -> Rows:
    parts = ["count(*)"]
    for _, column, _type in columns:
        text = f"{identifier(column)}::text"
        parts += [
            f"count({identifier(column)})",
            f"count(DISTINCT {text})",
            f"coalesce(sum(hashtextextended({text}, 7)::numeric), 0)::text",
        ]
    query = f"SELECT {', '.join(parts)} FROM {qualified(schema, name)}"  # noqa: S608
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    values = {
        number: Values(column, type_, *found[1 + 3 * place : 4 + 3 * place])
        for place, (number, column, type_) in enumerate(columns)
    }
    return Rows(f"{schema}.{name}", found[0], values)


def lost(before: Mapping[int, Rows], after: Mapping[int, Rows]) -> tuple[Lost, ...]:
    """Rows and columns of `before` whose values are nowhere in `after`."""
    bags = {(v.count, v.digest) for rows in after.values() for v in rows.columns.values()}
    found: list[Lost] = []
    fresh = [rows for oid, rows in after.items() if oid not in before]
    for oid, old in before.items():
        if not old.count:
            continue
        new = after.get(oid) or _same_name(old, after)
        if new is None:
            found += _of_dropped(old, bags)
        elif new.count >= old.count or old.count - new.count > _moved(old, fresh):
            found += _of_table(old, new, bags)
    return tuple(sorted(found, key=lambda one: one.object))


def _same_name(old: Rows, after: Mapping[int, Rows]) -> Rows | None:
    return next((new for new in after.values() if new.name == old.name), None)


def _moved(old: Rows, fresh: Sequence[Rows]) -> int:
    """Rows in new tables of the same columns: partitions that were detached."""
    names = {values.name for values in old.columns.values()}
    return sum(rows.count for rows in fresh if names == {v.name for v in rows.columns.values()})


def _kept(values: Values, bags: set[tuple[int, str]]) -> bool:
    return not values.count or (values.count, values.digest) in bags


def _of_dropped(old: Rows, bags: set[tuple[int, str]]) -> Iterator[Lost]:
    if not all(_kept(values, bags) for values in old.columns.values()):
        yield Lost(object=old.name, what="the table with its rows")


def _of_table(old: Rows, new: Rows, bags: set[tuple[int, str]]) -> Iterator[Lost]:
    if new.count < old.count:
        if not all(_kept(values, bags) for values in old.columns.values()):
            what = f"{1 - new.count / old.count:.0%} of its rows"
            yield Lost(object=old.name, what=what, some=new.count > 0)
        return
    for number, values in old.columns.items():
        now = new.columns.get(number) or _instead(values, old, new)
        name = f"{old.name}.{values.name}"
        if now is None:
            if not _kept(values, bags):
                yield Lost(
                    object=name,
                    what=f"the column, which has a value in {values.count / old.count:.0%} of the rows",
                )
        elif _narrowed(values, now) and not _kept(values, bags):
            yield Lost(
                object=name,
                what=f"{values.distinct:,} different values became {now.distinct:,} as {now.type}",
            )


def _instead(values: Values, old: Rows, new: Rows) -> Values | None:
    """A column that was put in the place of one that is gone: of the same name, not there before, and as full."""
    fresh = (one for number, one in new.columns.items() if number not in old.columns)
    return next((one for one in fresh if one.name == values.name and not _fewer(values, one)), None)


def _narrowed(values: Values, now: Values) -> bool:
    """Whether a column has another type, and fewer different values than before."""
    return now.type != values.type and _fewer(values, now)


def _fewer(values: Values, now: Values) -> bool:
    return now.distinct < values.distinct or now.count < values.count


def changed(before: Mapping[int, Rows], after: Mapping[int, Rows]) -> tuple[Lost, ...]:
    """Tables and columns that do not hold what they held, by their names: for two states that should be the same."""
    now = {rows.name: rows for rows in after.values()}
    found = []
    for old in before.values():
        new = now.get(old.name)
        if new is None:
            found.append(Lost(object=old.name, what="the table is not there"))
            continue
        if new.count != old.count:
            found.append(Lost(object=old.name, what=f"{old.count:,} rows became {new.count:,}"))
            continue
        bags = {values.name: (values.count, values.digest) for values in new.columns.values()}
        for values in old.columns.values():
            if bags.get(values.name) != (values.count, values.digest):
                what = (
                    "its values are not what they were" if values.name in bags else "the column is not there"
                )
                found.append(Lost(object=f"{old.name}.{values.name}", what=what))
    return tuple(sorted(found, key=lambda one: one.object))

"""How a table is gone through in batches: by a key, or by pages where it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.postgres.backfill.job import Job
from data_platform.postgres.queries import query
from data_platform.sql.templates import render
from data_platform.sql.text import (
    Sql,
    identifier,
    identifiers,
    joined,
    literal,
    qualified,
    qualified_name,
    type_name,
)

Connection = psycopg.Connection[Any]
Place = tuple[str, ...]
"""The last key that is done, or the last page, each as the server writes it."""

ROWS_A_PAGE = 50
"""About; pages are counted in rows so that a batch by pages has a size like any other."""
_SAMPLES = 16
_COUNTED_PAGES = 1000
"""A table is counted up to this size; of a larger one the planner's estimate does."""
_SAMPLED_PAGES = 100


@dataclass(frozen=True)
class Stretch:
    """A batch: up to where it goes, and how much of the table that is."""

    upto: Place
    seen: int


class Way(Protocol):
    """From one end of the table to the other. `None` is the place before the first row."""

    @property
    def again(self) -> bool:
        """Whether rows may have moved behind it, so that it is gone again until nothing is found."""

    def end(self, connection: Connection) -> Place | None:
        """Where it ends: the last place of now; None for an empty table."""

    def next(self, connection: Connection, after: Place | None, end: Place, size: int) -> Stretch | None:
        """The next batch of about `size` rows; None at the end."""

    def rows(self, after: Place | None, upto: Place) -> Sql:
        """The condition for the rows of a batch."""

    def samples(self, connection: Connection, after: Place | None, end: Place) -> list[Place]:
        """Some places between, from all over the table."""

    def total(self, connection: Connection) -> int:
        """About how much there is to be seen, in the units of `Stretch.seen`."""


def way_of(connection: Connection, job: Job) -> tuple[Way, tuple[str, ...]]:
    """The way through the job's table, and its key.

    Raises UsageProblem: no such table, a key that would leave rows out or has no index, a table without a key whose
    rows do not tell that they are done.
    """
    _check_table(connection, job.table)
    asked = {"table": qualified(job.table.schema, job.table.name), "key": list(job.key)}
    found = connection.execute(query("batch_keys"), asked).fetchone()
    if found is not None:
        columns, types = found
        return ByKey(job.table, tuple(columns), tuple(map(type_name, types))), tuple(columns)
    if job.key:
        raise UsageProblem(
            f"`{job.table}` cannot be gone through by `{', '.join(job.key)}`",
            expected="columns that are NOT NULL and lead a valid index of the table, in this order",
            try_="leave out the key: the primary key is taken",
        )
    if not job.tells_done:
        raise UsageProblem(
            f"`{job.table}` has no key, so no place in it can be kept",
            expected="a condition (where) that a row no longer meets once it is done",
        )
    return ByPage(job.table), ()


def _check_table(connection: Connection, table: Name) -> None:
    whole = qualified(table.schema, table.name)
    there, same = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL, to_regclass(%s) = to_regclass(%s)",
        [whole, whole, qualified_name(table)],
    ).fetchone() or (False, False)
    if not there:
        raise UsageProblem(
            f"there is no table `{table}` on this server", try_="run the steps before this one first"
        )
    if not same:
        raise UsageProblem(
            f"`{table.name}` is not `{table}` in this session",
            expected="public on the search path of this role, and no table of that name before it",
        )


@dataclass(frozen=True)
class ByKey:
    """By the columns of an index; `types` are those of the columns."""

    table: Name
    key: tuple[str, ...]
    types: tuple[Sql, ...]
    again: bool = False

    def end(self, connection: Connection) -> Place | None:
        backwards = [Sql(f"{identifier(column)} DESC") for column in self.key]
        last = render("backfill/last_key.sql.j2", texts=self._texts(), table=self.table, descending=backwards)
        found = connection.execute(last).fetchone()
        return tuple(found) if found else None

    def next(self, connection: Connection, after: Place | None, end: Place, size: int) -> Stretch | None:
        found = connection.execute(
            render(
                "backfill/next_batch.sql.j2",
                key=self.key,
                texts=self._texts(),
                table=self.table,
                rows=self.rows(after, end),
                size=size,
            )
        ).fetchone()
        return Stretch(tuple(found[1:]), found[0]) if found else None

    def rows(self, after: Place | None, upto: Place) -> Sql:
        key = identifiers(self.key)
        last = f"({key}) <= ({self._values(upto)})"
        return Sql(last if after is None else f"({key}) > ({self._values(after)}) AND {last}")

    def samples(self, connection: Connection, after: Place | None, end: Place) -> list[Place]:
        pages = max(1, _size(connection, self.table)[0])
        sample = render(
            "backfill/samples.sql.j2",
            texts=self._texts(),
            table=self.table,
            percent=min(100, 100 * _SAMPLED_PAGES / pages),
            rows=self.rows(after, end),
            most=_SAMPLES,
        )
        return [tuple(found) for found in connection.execute(sample)]

    def total(self, connection: Connection) -> int:
        pages, rows = _size(connection, self.table)
        if pages > _COUNTED_PAGES:
            return rows
        found = connection.execute(render("backfill/count.sql.j2", table=self.table)).fetchone()
        return int(found[0]) if found else 0

    def _texts(self) -> Sql:
        """The key as text, under names of its own: ORDER BY takes an output column's name before a table's."""
        return joined(", ", [Sql(f"{identifier(key)}::text AS dpe_{n}") for n, key in enumerate(self.key)])

    def _values(self, place: Place) -> Sql:
        return joined(
            ", ", [Sql(f"{literal(text)}::{kind}") for text, kind in zip(place, self.types, strict=True)]
        )


@dataclass(frozen=True)
class ByPage:
    """By pages of the table, or of all its partitions at once; a place is the number of pages that are done."""

    table: Name
    again: bool = True

    def end(self, connection: Connection) -> Place | None:
        pages, _ = _size(connection, self.table)
        return (str(pages),) if pages else None

    def next(self, connection: Connection, after: Place | None, end: Place, size: int) -> Stretch | None:
        first, last = int(after[0]) if after else 0, int(end[0])
        pages = min(max(1, size // ROWS_A_PAGE), last - first)
        return Stretch((str(first + pages),), pages * ROWS_A_PAGE) if pages > 0 else None

    def rows(self, after: Place | None, upto: Place) -> Sql:
        first = int(after[0]) if after else 0
        return Sql(f"ctid >= '({first},0)'::tid AND ctid < '({int(upto[0])},0)'::tid")

    def samples(self, connection: Connection, after: Place | None, end: Place) -> list[Place]:
        first, last = int(after[0]) if after else 0, int(end[0])
        return [(str(page),) for page in range(first, last, max(1, (last - first) // _SAMPLES))]

    def total(self, connection: Connection) -> int:
        return _size(connection, self.table)[0] * ROWS_A_PAGE


def _size(connection: Connection, table: Name) -> tuple[int, int]:
    """Pages and, as the planner estimates them, rows."""
    found = connection.execute(query("table_size"), {"table": qualified(table.schema, table.name)}).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])

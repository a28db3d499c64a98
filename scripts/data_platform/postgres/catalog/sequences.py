"""Sequences, and what is not PostgreSQL's default about them."""

from __future__ import annotations

from collections.abc import Iterable

from data_platform.model.database import Sequence, SequenceOptions
from data_platform.postgres.catalog.rows import Owners, Row, named

_BITS = {"smallint": 15, "integer": 31, "bigint": 63}


def sequences(rows: Iterable[Row], owners: Owners) -> tuple[Sequence, ...]:
    """Sequences from the rows of the query `sequences`."""
    return tuple(
        Sequence(
            name=named(row),
            type=row["sequence_type"],
            sequence=settings(row) or SequenceOptions(),
            owned_by=(named(row, "table_"), row["column_name"]) if row["table_name"] else None,
            unlogged=row["unlogged"],
            comment=row["comment"],
            owner=owners.named(row["owner"]),
        )
        for row in rows
    )


def settings(row: Row) -> SequenceOptions | None:
    """The options that differ from what CREATE SEQUENCE takes by itself; None where none does."""
    given = SequenceOptions(
        increment=row["increment"],
        start=row["start"],
        minimum=row["minimum"],
        maximum=row["maximum"],
        cache=row["cache"],
        cycle=row["cycle"],
    )
    return usual_options(given, row["sequence_type"])


def usual_options(given: SequenceOptions, type_: str) -> SequenceOptions | None:
    """`given` without what is PostgreSQL's default for a sequence of that type; None where nothing is left."""
    increment = given.increment or 1
    most = 2 ** _BITS.get(type_, 63) - 1
    low, high = (1, most) if increment > 0 else (-most - 1, -1)
    minimum = low if given.minimum is None else given.minimum
    maximum = high if given.maximum is None else given.maximum
    start = minimum if increment > 0 else maximum
    kept = SequenceOptions(
        increment=None if increment == 1 else increment,
        start=None if given.start == start else given.start,
        minimum=None if minimum == low else minimum,
        maximum=None if maximum == high else maximum,
        cache=None if given.cache == 1 else given.cache,
        cycle=given.cycle,
    )
    return None if kept == SequenceOptions() else kept

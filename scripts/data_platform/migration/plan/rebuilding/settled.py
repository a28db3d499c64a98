"""What the other modules see of tables that are built again: nothing to do."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import replace

from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.rebuilding.names import granted
from data_platform.model.database import Database, Grant, Name, Sequence, Table


def settled(pair: Pair, tables: Set[Name]) -> Pair:
    """The pair with these tables, their partitions at all depths, their grants and their sequences as they will be."""
    old, new = (_with_partitions(database, tables) for database in (pair.before, pair.after))
    before = replace(
        pair.before,
        tables=_sorted((*_without(pair.before, old), *(one for one in pair.after.tables if one.name in new))),
        grants=tuple(_grants(pair, old | new)),
        sequences=tuple(_sequence(pair, one, old | new) for one in pair.before.sequences),
    )
    return replace(pair, before=before)


def topmost(pair: Pair, tables: Set[Name]) -> frozenset[Name]:
    """Those that are not built again with a table above them."""
    below = {name for table in tables for name in _with_partitions(pair.after, {table}) - {table}}
    return frozenset(tables - below)


def _with_partitions(database: Database, tables: Set[Name]) -> frozenset[Name]:
    found = {table.name for table in database.tables if table.name in tables}
    while True:
        more = {t.name for t in database.tables if t.partition_of and t.partition_of.table in found} - found
        if not more:
            return frozenset(found)
        found |= more


def _without(database: Database, names: Set[Name]) -> Iterator[Table]:
    return (table for table in database.tables if table.name not in names)


def _sorted(tables: tuple[Table, ...]) -> tuple[Table, ...]:
    return tuple(sorted(tables, key=lambda table: table.name))


def _grants(pair: Pair, names: Set[Name]) -> Iterator[Grant]:
    mine = {granted(name) for name in names}
    yield from (one for one in pair.before.grants if one.kind != "table" or one.object not in mine)
    yield from (one for one in pair.after.grants if one.kind == "table" and one.object in mine)


def _sequence(pair: Pair, sequence: Sequence, names: Set[Name]) -> Sequence:
    """The swap says whose it is."""
    new = next((one for one in pair.after.sequences if one.name == sequence.name), None)
    owners = {owner[0] for owner in (sequence.owned_by, new.owned_by if new else None) if owner}
    return replace(sequence, owned_by=new.owned_by) if new and owners & names else sequence

"""How two models differ, with as little loaded as their spelling needs.

Names, keys and options differ or do not; only expressions, types and queries have more than one spelling, and only the
server knows which are the same. So tables that differ as they are written are loaded, from both sides, and nothing
else; everything is loaded when what differs hangs on more than its table.
"""

from __future__ import annotations

from dataclasses import fields, replace

from data_platform.errors import UsageProblem
from data_platform.model.database import Database, Name, Table
from data_platform.model.design import Design
from data_platform.model.differences import Differences, differences
from data_platform.postgres.sources import Progress, of_both


def compare(before: Design, after: Design, step: Progress) -> Differences:
    """From `before` to `after`, both as the server spells them. Raises UsageProblem for what it refuses."""
    old, new = before.database, after.database
    if old == new:
        return differences(old, new)
    tables = _differing(old, new)
    if _only_tables_differ(old, new, tables):
        try:
            old_spelled, new_spelled = of_both(_alone(before, tables), _alone(after, tables), step)
        except UsageProblem:
            step("loading everything", 0.1)  # a table needs more than was loaded with it
        else:
            return differences(
                _with_spelled(old, old_spelled, tables), _with_spelled(new, new_spelled, tables)
            )
    return differences(*of_both(before, after, step))


def _differing(old: Database, new: Database) -> frozenset[Name]:
    """Tables of both that are not written alike."""
    tables = {table.name: table for table in old.tables}
    return frozenset(table.name for table in new.tables if tables.get(table.name, table) != table)


def _only_tables_differ(old: Database, new: Database, tables: frozenset[Name]) -> bool:
    mine = {table.name: table for table in old.tables}
    theirs = {table.name: table for table in new.tables}
    others = [field.name for field in fields(Database) if field.name != "tables"]
    return all(getattr(old, name) == getattr(new, name) for name in others) and all(
        getattr(mine[name], part) == getattr(theirs[name], part)
        for name in tables
        for part in ("triggers", "policies", "rules")
    )


def _alone(design: Design, tables: frozenset[Name]) -> Design:
    """These tables and what they are made of."""
    database = design.database
    alone = replace(
        database,
        tables=tuple(map(_table_alone, _with_parents(database, tables))),
        views=(),
        materialized_views=(),
        grants=(),
        default_privileges=(),
        publications=(),
        event_triggers=(),
    )
    return replace(design, database=alone)


def _with_spelled(database: Database, loaded: Database, tables: frozenset[Name]) -> Database:
    """The database with these tables as the server spells them."""
    found = {table.name: table for table in loaded.tables}
    return replace(
        database,
        tables=tuple(
            _joined(found[table.name], table) if table.name in tables else table for table in database.tables
        ),
    )


def _with_parents(database: Database, names: frozenset[Name]) -> list[Table]:
    """The tables, and those that they are partitions or children of, in the database's order."""
    tables = {table.name: table for table in database.tables}
    wanted, waiting = set[Name](), set(names)
    while waiting:
        table = tables[waiting.pop()]
        wanted.add(table.name)
        parents = {*table.inherits, *([table.partition_of.table] if table.partition_of else [])}
        waiting |= parents - wanted
    return [table for table in database.tables if table.name in wanted]


def _table_alone(table: Table) -> Table:
    """The table without what names other tables or functions."""
    return replace(table, triggers=(), policies=(), rules=(), foreign_keys=())


def _joined(spelled: Table, written: Table) -> Table:
    return replace(
        spelled,
        triggers=written.triggers,
        policies=written.policies,
        rules=written.rules,
        foreign_keys=written.foreign_keys,
    )

"""What uses a column, so that its type cannot change under it: views, rules, policies, triggers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import postgast

from data_platform.model.database import Database, MaterializedView, Name, Table, View
from data_platform.schema.rules.cover import columns_in
from data_platform.sql.references import of_script
from data_platform.sql.text import NotSql, Sql, identifier, parse, qualified_name


@dataclass(frozen=True)
class Reader:
    """A view or rule: what it is called, and the columns that it mentions, whosever they are."""

    shown: Sql
    columns: frozenset[str]
    whole_rows: bool

    def uses(self, column: str) -> bool:
        """Whether it mentions the column, or a whole row."""
        return self.whole_rows or column in self.columns


def readers(database: Database) -> Mapping[Name, tuple[Reader, ...]]:
    """The views and rules that read each table."""
    found: dict[Name, list[Reader]] = {}
    for name, shown, text in _texts(database):
        references = _references(text)
        columns = frozenset(names[-1] for names in references if names[-1] != "*")
        reader = Reader(shown, columns, any(names[-1] == "*" for names in references))
        tables = {Name(r.schema, r.name) for r in of_script(text) if r.kind == "relation" and r.schema}
        for table in sorted({*tables, name}):
            found.setdefault(table, []).append(reader)
    return {name: tuple(kept) for name, kept in found.items()}


def _texts(database: Database) -> Iterator[tuple[Name, Sql, str]]:
    views: tuple[View | MaterializedView, ...] = (*database.views, *database.materialized_views)
    for view in views:
        yield view.name, qualified_name(view.name), view.query
    for table in database.tables:
        for rule in table.rules:
            yield table.name, Sql(f"the rule {identifier(rule.name)}"), rule.sql


def _references(text: str) -> list[tuple[str, ...]]:
    """Every column reference as its parts, a whole row with `*` for the last."""
    try:
        tree = parse(text)
    except NotSql:
        return []
    nodes = postgast.find_nodes(tree, postgast.pg_query_pb2.ColumnRef)
    return [tuple(part.string.sval if part.HasField("string") else "*" for part in n.fields) for n in nodes]


def users(table: Table, column: str, reading: Iterable[Reader]) -> list[Sql]:
    """Everything that must be dropped before the column's type changes, and made again."""
    found = [reader.shown for reader in reading if reader.uses(column)]
    for policy in table.policies:
        if any(column in columns_in(text) for text in (policy.using, policy.with_check) if text):
            found.append(Sql(f"the policy {identifier(policy.name)}"))
    for trigger in table.triggers:
        if column in trigger.update_of or (trigger.when and column in columns_in(trigger.when)):
            found.append(Sql(f"the trigger {identifier(trigger.name)}"))
    return found

"""Statements that cause the events of a trigger, with rows of their own, and what may satisfy its WHEN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from data_platform.model.database import Table, Trigger, View
from data_platform.schema.prove.attempts import Row, Trials, insert_sql
from data_platform.schema.prove.breaking import candidates, columns_in, constants_of
from data_platform.schema.prove.ground import Ground
from data_platform.sql.text import NotSql, identifier, identifiers, literal, qualified_name

THE_ROW = "'dpe: the row' = 'dpe: the row'"
"""Stands in a statement for the place of the row that was made before it."""


@dataclass(frozen=True)
class Event:
    """A statement that causes an event, and those that make its row before, without the trigger."""

    statement: str
    before: str | None = None
    """An INSERT whose row the statement's `THE_ROW` stands for."""
    columns: tuple[str, ...] = ()
    """What the statement returns."""


@dataclass(frozen=True)
class Events:
    """What can be done to a table or view so that one of its triggers fires."""

    ground: Ground
    owner: Table | View
    trigger: Trigger

    def of(self, event: str) -> Iterator[Event]:
        """Statements for one kind of event, the likeliest first."""
        if isinstance(self.owner, View):
            yield from self._on_view(self.owner, event)
        elif event == "truncate":
            yield Event(f"TRUNCATE {qualified_name(self.owner.name)} CASCADE")
        else:
            yield from self._on_table(self.owner, event)

    def _on_table(self, table: Table, event: str) -> Iterator[Event]:
        fresh = Trials(self.ground.connection, self.ground.generator, self.ground.database).fresh
        columns = tuple(column.name for column in table.columns)
        returning = ", ".join(f"{identifier(name)}::text" for name in columns)
        one, other = fresh(table), fresh(table)
        if one is None:
            return
        for old, new in self._variants(table):
            inserted = insert_sql(table, {**one, **(new if event == "insert" else old)})
            if event == "insert":
                yield Event(f"{inserted} RETURNING {returning}", columns=columns)
            elif event == "delete":
                yield Event(f"DELETE FROM {qualified_name(table.name)} WHERE {THE_ROW}", inserted)  # noqa: S608
            else:
                assignments = self._assignments(table, {**(other or one), **new})
                update = f"UPDATE {qualified_name(table.name)} SET {assignments} WHERE {THE_ROW}"  # noqa: S608
                yield Event(f"{update} RETURNING {returning}", inserted, columns)

    def _assignments(self, table: Table, row: Row) -> str:
        """New values for the columns that the trigger waits for, or for all but keys: those move a row elsewhere."""
        keys = {name for key in (table.primary_key, *table.uniques) if key for name in key.columns}
        keys |= {name for key in table.foreign_keys for name in key.columns}
        if table.partition_by:
            for part in table.partition_by.key:
                keys |= {part.column} if part.column else set(columns_in(part.expression or "", table))
        wanted = [
            c for c in (self.trigger.update_of or (name for name in row if name not in keys)) if c in row
        ]
        if not wanted:
            name = identifier(table.columns[0].name)
            return f"{name} = {name}"
        return ", ".join(
            f"{identifier(c)} = {'NULL' if row[c] is None else literal(str(row[c]))}" for c in wanted
        )

    def _variants(self, table: Table) -> Iterator[tuple[Row, Row]]:
        """Changes to the old row and to the new one; the first changes nothing, the others try values near WHEN's."""
        yield {}, {}
        if self.trigger.when is None:
            return
        try:
            columns, constants = columns_in(self.trigger.when, table), constants_of(self.trigger.when)
        except NotSql:
            return
        single: list[Row] = [{}]
        for name in columns:
            values = candidates(self.ground.database, table.column(name).type, constants)
            single += [{name: value} for value in values if value is not None or table.column(name).nullable]
        pairs = sorted(
            product(enumerate(single), enumerate(single)), key=lambda pair: pair[0][0] + pair[1][0]
        )
        yield from ((old, new) for (_, old), (_, new) in pairs[1:])

    def _on_view(self, view: View, event: str) -> Iterator[Event]:
        name = qualified_name(view.name)
        query = (
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"
        )
        columns = [row[0] for row in self.ground.connection.execute(query, [str(name)])]
        texts = ", ".join(f"{identifier(column)}::text" for column in columns)
        row = self.ground.connection.execute(f"SELECT {texts} FROM {name} LIMIT 1".encode()).fetchone()  # noqa: S608
        if row is None:
            return
        values = ["NULL" if value is None else literal(value) for value in row]
        where = f"{identifier(columns[0])}::text IS NOT DISTINCT FROM {values[0]}"
        if event == "insert":
            yield Event(f"INSERT INTO {name} ({identifiers(columns)}) VALUES ({', '.join(values)})")  # noqa: S608
        elif event == "delete":
            yield Event(f"DELETE FROM {name} WHERE {where}")  # noqa: S608 - quoted names and literals
        else:
            first = identifier(columns[-1])
            yield Event(f"UPDATE {name} SET {first} = {first} WHERE {where}")  # noqa: S608 - quoted names and literals

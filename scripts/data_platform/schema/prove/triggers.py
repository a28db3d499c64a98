"""Each trigger made to fire by a real row, alone: whether its function was called, and what it did.

PostgreSQL counts the calls of a function where `track_functions` says so; all other triggers are set aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, product
from typing import Any

import psycopg

from data_platform.model.database import Name, Table, Trigger, View
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database as ScratchDatabase
from data_platform.report.document import State
from data_platform.schema.prove.aside import switch_off
from data_platform.schema.prove.attempts import Row, insert_sql
from data_platform.schema.prove.breaking import candidates, columns_in, constants_of
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.sessions import Connection, failed, nothing_stays
from data_platform.sql.text import NotSql, identifier, identifiers, literal, qualified_name

FIRES = "fires"
NEVER = "no row that was tried satisfies its WHEN"
MAX_VARIANTS = 40
"""Pairs of old and new rows that are tried for a WHEN."""
RAISED = "P0001"

_WORSE: tuple[State, ...] = ("proven", "not checked", "failed")

_WRITTEN = """
SELECT schemaname, relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables
 WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""


def track_calls(scratch: ScratchDatabase, role: str) -> bool:
    """Let the server count calls in new sessions of the scratch owner; False where we are no superuser."""
    names = f"ALTER ROLE {identifier(role)} IN DATABASE {identifier(scratch.name)}"
    try:
        with connect(scratch.admin_conninfo, read_only=False) as admin:
            admin.execute(f"{names} SET track_functions TO 'all'".encode())
    except psycopg.Error:
        return False
    return True


def triggers(ground: Ground) -> tuple[Claim, ...]:
    """Every trigger of a table or view, in a session that counts calls."""
    owners: tuple[Table | View, ...] = (*ground.database.tables, *ground.database.views)
    with nothing_stays(ground.connection):
        switch_off(ground.connection, ground.switches)
        return tuple(
            _Prober(ground, owner, trigger).claim() for owner in owners for trigger in owner.triggers
        )


def untried(ground: Ground) -> tuple[Claim, ...]:
    """Every trigger, where calls cannot be counted."""
    owners: tuple[Table | View, ...] = (*ground.database.tables, *ground.database.views)
    told = "the server counts the calls of functions only for a superuser"
    return tuple(
        replace(_Prober(ground, owner, trigger).made, state="not checked", detail=told)
        for owner in owners
        for trigger in owner.triggers
    )


@dataclass(frozen=True)
class _Fired:
    """What one statement did: calls of the trigger's function, rows, an error, what the row became, other tables."""

    calls: int = 0
    count: int = 0
    error: psycopg.Error | None = None
    row: tuple[Any, ...] | None = None
    written: Mapping[Name, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Event:
    """A statement that causes an event, and those that make its row before, without the trigger."""

    statement: str
    before: str | None = None
    """An INSERT whose row the statement's `{row}` stands for."""
    columns: tuple[str, ...] = ()
    """What the statement returns."""


@dataclass(frozen=True)
class _Prober:
    """One trigger of one table or view."""

    ground: Ground
    owner: Table | View
    trigger: Trigger

    @property
    def made(self) -> Claim:
        events = ", ".join(self.trigger.events)
        return Claim(
            kind="trigger",
            object=f"{self.trigger.name} on {self.owner.name}",
            claim=f"{FIRES} {self.trigger.timing} {events}",
            state="proven",
            detail="",
            table=self.owner.name if isinstance(self.owner, Table) else None,
        )

    def claim(self) -> Claim:
        if self.trigger.enabled == "replica":
            return replace(self.made, state="not checked", detail="it fires on replicas only")
        if isinstance(self.owner, Table) and not self.owner.holds_rows:
            return replace(self.made, state="not checked", detail="rows reach this table through its parent")
        told = [self._event(event) for event in self.trigger.events]
        worst = max((state for state, _ in told), key=_WORSE.index)
        details = [f"{event}: {detail}" for event, (_, detail) in zip(self.trigger.events, told, strict=True)]
        return replace(self.made, state=worst, detail="; ".join(details))

    # --- one event ---

    def _event(self, event: str) -> tuple[State, str]:
        last: tuple[State, str] = ("not checked", "no row of its own could be made")
        for tried in islice(self._events(event), MAX_VARIANTS):
            fired = self._fire(tried, on=True)
            if fired is None:
                continue
            without = self._fire(tried, on=False) if isinstance(self.owner, Table) else None
            if without is not None and without.error is not None:
                said = failed(without.error).message
                last = last if last[1] == NEVER else ("not checked", f"the statement itself is refused: `{said}`")
                continue
            if fired.calls or fired.error is not None:
                return self._judged(event, tried, fired, without)
            last = self._silent()
            if self.trigger.when is None or self.trigger.enabled == "disabled":
                break
        return last

    def _silent(self) -> tuple[State, str]:
        if self.trigger.enabled == "disabled":
            return "failed", "it is disabled: its function was not called"
        if self._is_built_in():
            return "not checked", "the server does not count the calls of its own functions"
        if self.trigger.when is not None:
            return "not checked", NEVER
        return "failed", "its function was not called"

    def _judged(
        self, event: str, tried: _Event, fired: _Fired, without: _Fired | None
    ) -> tuple[State, str]:
        if fired.error is not None:
            return self._judged_error(fired.error)
        own = fired.written.get(self.owner.name, 0)
        others = {name: n for name, n in fired.written.items() if name not in self._family()}
        suppressed = without is not None and without.count > fired.count and self.trigger.level == "row"
        if suppressed and not others and not own:
            return "failed", f"it keeps the row from the {event} and writes nothing else"
        changes = self._changes(tried, fired, without)
        told = [f"changes {', '.join(f'`{name}`' for name in changes)}"] if changes else []
        told += [f"writes to {', '.join(f'`{name}`' for name in sorted(others))}"] if others else []
        return "proven", " and ".join(told) or "its function was called"

    def _judged_error(self, error: psycopg.Error) -> tuple[State, str]:
        outcome = failed(error)
        raised = outcome.sqlstate == RAISED or outcome.context.split("\n", 1)[0].endswith("at RAISE")
        if raised:
            return "proven", f"refuses the row: `{outcome.message}`"
        if self.trigger.function.name not in outcome.context:
            return "not checked", f"refused: `{outcome.message}`"
        return "failed", f"its function fails: `{outcome.message}`"

    def _changes(self, tried: _Event, fired: _Fired, without: _Fired | None) -> list[str]:
        if without is None or without.row is None or fired.row is None:
            return []
        assert isinstance(self.owner, Table)
        three = zip(tried.columns, fired.row, without.row, strict=True)
        own = {column.name for column in self.owner.columns if column.identity or column.generated}
        return [name for name, with_, plain in three if with_ != plain and name not in own]

    def _family(self) -> set[Name]:
        return {self.owner.name, *(table.name for table in self.ground.below(self.owner.name))}

    # --- running it ---

    def _fire(self, tried: _Event, *, on: bool) -> _Fired | None:
        """The statement with the trigger or without; None where its row could not be made."""
        connection = self.ground.connection
        with connection.transaction(force_rollback=True):
            try:
                statement = self._with_row(tried)
            except psycopg.Error:
                return None
            if on:
                for switch in self.ground.switches:
                    mine = switch.kind == "triggers" and switch.name == self.trigger.name
                    if mine and switch.table in self._family():
                        connection.execute(switch.on.encode())
            calls, written = self._calls(), _written(connection)
            try:
                with connection.transaction():
                    cursor = connection.execute(statement.encode())
                    row = cursor.fetchone() if cursor.description else None
                    count = max(cursor.rowcount, 0)
                    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            except psycopg.Error as error:
                if connection.closed:
                    raise
                return _Fired(error=error)
            after = _written(connection)
            changed = {name: after[name] - written.get(name, 0) for name in after}
            changed = {name: number for name, number in changed.items() if number > 0}
            return _Fired(self._calls() - calls, count, None, row, changed)

    def _with_row(self, tried: _Event) -> str:
        if tried.before is None:
            return tried.statement
        returning = f"{tried.before} RETURNING tableoid::bigint::text, ctid::text"
        row = self.ground.connection.execute(returning.encode()).fetchone()
        assert row is not None
        return tried.statement.replace(
            _THE_ROW, f"tableoid = {literal(row[0])}::oid AND ctid = {literal(row[1])}::tid"
        )

    def _calls(self) -> int:
        function = self.trigger.function
        query = """
            SELECT coalesce(sum(pg_stat_get_xact_function_calls(p.oid)), 0)
              FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
             WHERE n.nspname = %s AND p.proname = %s"""
        row = self.ground.connection.execute(query, [function.schema, function.name]).fetchone()
        return int(row[0]) if row else 0

    def _is_built_in(self) -> bool:
        query = """
            SELECT l.lanname = 'internal' FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
              JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = %s AND p.proname = %s"""
        function = self.trigger.function
        row = self.ground.connection.execute(query, [function.schema, function.name]).fetchone()
        return bool(row and row[0])

    # --- what causes an event ---

    def _events(self, event: str) -> Iterator[_Event]:
        if isinstance(self.owner, View):
            yield from self._on_view(self.owner, event)
        elif event == "truncate":
            yield _Event(f"TRUNCATE {qualified_name(self.owner.name)} CASCADE")
        else:
            yield from self._on_table(self.owner, event)

    def _on_table(self, table: Table, event: str) -> Iterator[_Event]:
        fresh = self.ground.generator.fresh
        columns = tuple(column.name for column in table.columns)
        returning = ", ".join(f"{identifier(name)}::text" for name in columns)
        one, other = fresh(self.ground.connection, table.name), fresh(self.ground.connection, table.name)
        if one is None:
            return
        for old, new in self._variants(table):
            inserted = insert_sql(table, {**one, **(new if event == "insert" else old)})
            if event == "insert":
                yield _Event(f"{inserted} RETURNING {returning}", columns=columns)
            elif event == "delete":
                yield _Event(f"DELETE FROM {qualified_name(table.name)} WHERE {_THE_ROW}", inserted)  # noqa: S608
            else:
                assignments = self._assignments(table, {**(other or one), **new})
                update = f"UPDATE {qualified_name(table.name)} SET {assignments} WHERE {_THE_ROW}"  # noqa: S608
                yield _Event(f"{update} RETURNING {returning}", inserted, columns)

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

    def _on_view(self, view: View, event: str) -> Iterator[_Event]:
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
            yield _Event(f"INSERT INTO {name} ({identifiers(columns)}) VALUES ({', '.join(values)})")  # noqa: S608
        elif event == "delete":
            yield _Event(f"DELETE FROM {name} WHERE {where}")  # noqa: S608 - quoted names and literals
        else:
            first = identifier(columns[-1])
            yield _Event(f"UPDATE {name} SET {first} = {first} WHERE {where}")  # noqa: S608 - quoted names and literals


_THE_ROW = "'dpe: the row' = 'dpe: the row'"


def _written(connection: Connection) -> dict[Name, int]:
    return {Name(schema, name): count for schema, name, count in connection.execute(_WRITTEN)}

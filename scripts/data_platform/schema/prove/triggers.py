"""Each trigger made to fire by a real row, alone: whether its function was called, and what it did.

PostgreSQL counts the calls of a function where `track_functions` says so; all other triggers are set aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import psycopg

from data_platform.model.database import Name, Table, Trigger, View
from data_platform.postgres.connect import connect
from data_platform.postgres.filling.aside import switch_off
from data_platform.postgres.server import Database as ScratchDatabase
from data_platform.report.document import State
from data_platform.schema.prove.events import THE_ROW, Event, Events
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.sessions import Connection, failed, nothing_stays
from data_platform.sql.text import identifier, literal

FIRES = "fires"
STAYS_OUT = "does not fire"
_DORMANT = {"disabled": "it is disabled", "replica": "it is for replicas"}
"""Triggers that an ordinary session must not call, as the model says."""
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


def written_by(ground: Ground, table: Table, trigger: Trigger) -> frozenset[Name]:
    """The other tables that the trigger writes to when it fires."""
    prober = _Prober(ground, table, trigger)
    if prober.dormant or not table.holds_rows:
        return frozenset()
    with nothing_stays(ground.connection):
        switch_off(ground.connection, ground.switches)
        return frozenset(name for event in trigger.events for name in prober.written(event))


@dataclass(frozen=True)
class _Fired:
    """What one statement did: calls of the trigger's function, rows, an error, what the row became, other tables."""

    calls: int = 0
    count: int = 0
    error: psycopg.Error | None = None
    row: tuple[Any, ...] | None = None
    written: Mapping[Name, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Prober:
    """One trigger of one table or view."""

    ground: Ground
    owner: Table | View
    trigger: Trigger

    @property
    def made(self) -> Claim:
        events = ", ".join(self.trigger.events)
        does = STAYS_OUT if self.dormant else FIRES
        return Claim(
            kind="trigger",
            object=f"{self.trigger.name} on {self.owner.name}",
            claim=f"{does} {self.trigger.timing} {events}",
            state="proven",
            detail="",
            table=self.owner.name if isinstance(self.owner, Table) else None,
        )

    @property
    def dormant(self) -> str | None:
        return _DORMANT.get(self.trigger.enabled)

    def claim(self) -> Claim:
        if isinstance(self.owner, Table) and not self.owner.holds_rows:
            return replace(self.made, state="not checked", detail="rows reach this table through its parent")
        told = [self._event(event) for event in self.trigger.events]
        worst = max((state for state, _ in told), key=_WORSE.index)
        details = [f"{event}: {detail}" for event, (_, detail) in zip(self.trigger.events, told, strict=True)]
        return replace(self.made, state=worst, detail="; ".join(details))

    # --- one event ---

    def _event(self, event: str) -> tuple[State, str]:
        last: tuple[State, str] = ("not checked", "no row of its own could be made")
        for tried in islice(Events(self.ground, self.owner, self.trigger).of(event), MAX_VARIANTS):
            fired = self._fire(tried, on=True)
            if fired is None:
                continue
            if self.dormant and self._was_called(fired):
                return "failed", f"{self.dormant}, and its function was called"
            without = self._fire(tried, on=False) if isinstance(self.owner, Table) else None
            if without is not None and without.error is not None:
                said = failed(without.error).message
                last = (
                    last
                    if last[1] == NEVER
                    else ("not checked", f"the statement itself is refused: `{said}`")
                )
                continue
            if not self.dormant and (fired.calls or fired.error is not None):
                return self._judged(event, tried, fired, without)
            last = self._silent()
            if self.trigger.when is None:
                break
        return last

    def written(self, event: str) -> set[Name]:
        """The other tables that are written to, by the first statement that makes it write."""
        for tried in islice(Events(self.ground, self.owner, self.trigger).of(event), MAX_VARIANTS):
            fired = self._fire(tried, on=True)
            others = set(fired.written) - self._family() if fired else set()
            if others or self.trigger.when is None:
                return others
        return set()

    def _was_called(self, fired: _Fired) -> bool:
        context = failed(fired.error).context if fired.error is not None else ""
        return fired.calls > 0 or self.trigger.function.name in context

    def _silent(self) -> tuple[State, str]:
        if self._is_built_in():
            return "not checked", "the server does not count the calls of its own functions"
        if self.dormant:
            return "proven", f"{self.dormant}: its function was not called"
        if self.trigger.when is not None:
            return "not checked", NEVER
        return "failed", "its function was not called"

    def _judged(self, event: str, tried: Event, fired: _Fired, without: _Fired | None) -> tuple[State, str]:
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

    def _changes(self, tried: Event, fired: _Fired, without: _Fired | None) -> list[str]:
        if without is None or without.row is None or fired.row is None:
            return []
        assert isinstance(self.owner, Table)
        three = zip(tried.columns, fired.row, without.row, strict=True)
        own = {column.name for column in self.owner.columns if column.identity or column.generated}
        return [name for name, with_, plain in three if with_ != plain and name not in own]

    def _family(self) -> set[Name]:
        return {self.owner.name, *(table.name for table in self.ground.below(self.owner.name))}

    # --- running it ---

    def _fire(self, tried: Event, *, on: bool) -> _Fired | None:
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

    def _with_row(self, tried: Event) -> str:
        if tried.before is None:
            return tried.statement
        returning = f"{tried.before} RETURNING tableoid::bigint::text, ctid::text"
        row = self.ground.connection.execute(returning.encode()).fetchone()
        assert row is not None
        return tried.statement.replace(
            THE_ROW, f"tableoid = {literal(row[0])}::oid AND ctid = {literal(row[1])}::tid"
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


def _written(connection: Connection) -> dict[Name, int]:
    return {Name(schema, name): count for schema, name, count in connection.execute(_WRITTEN)}

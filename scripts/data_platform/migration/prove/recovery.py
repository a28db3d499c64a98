"""Each statement killed in the middle and run again, on copies with a few rows: does it recover, what is left behind.

What fails a second time is tried once more from the start of its file, where all before it in the file ran outside a
transaction: so tools do it, and a `DROP INDEX CONCURRENTLY IF EXISTS` there clears an invalid index away.

A statement in a transaction is killed when it has done its work and not yet committed. One that runs outside any is
made to wait, by a reader that is idle in its transaction, and is killed while it waits: so the kill falls into its
middle every time.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from data_platform.errors import EnvironmentProblem
from data_platform.migration.files import Statement
from data_platform.migration.prove import run
from data_platform.migration.prove.copies import Copies
from data_platform.migration.prove.result import Kill
from data_platform.migration.prove.roundtrip import apply
from data_platform.migration.prove.session import NEEDS_NO_TRANSACTION, Session, open_session, runs_apart
from data_platform.migration.prove.watch import Blind, terminate, wait_until_waiting
from data_platform.model.differences import differences
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database
from data_platform.postgres.traffic import idle_reader
from data_platform.sql.text import qualified

Connection = psycopg.Connection[Any]

SECONDS = 20.0
"""For all kills together; what is left then is not tried."""
_WAIT_SECONDS = 2.0
_IN_TRANSACTION = 12
"""Kills in one transaction at most: wherever it falls, the server takes the whole back."""

_BESIDE = re.compile(r"_cc(?:new|old)\d*\Z")
_LEFT_BEHIND = """
SELECT 'invalid index ' || n.nspname || '.' || c.relname
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i'
 UNION ALL
SELECT 'partition with a pending detach ' || n.nspname || '.' || c.relname
  FROM pg_catalog.pg_inherits AS h JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE h.inhdetachpending
 ORDER BY 1
"""


@dataclass
class Trial:
    """One copy on which the migration runs with kills. `done` are the statements that have run to their end."""

    database: Database
    admin: Connection
    tables: Sequence[str]
    deadline: float
    version: int
    done: list[Statement] = field(default_factory=list)
    settings: list[Statement] = field(default_factory=list)
    tidied: bool = False
    """Whether what the last kill left was cleared away, and the statement has run."""

    def left_behind(self) -> tuple[str, ...]:
        """Half-made things in the catalog."""
        query = (
            _LEFT_BEHIND if self.version >= 140000 else f"{_LEFT_BEHIND.partition('UNION ALL')[0]} ORDER BY 1"
        )
        return tuple(row[0] for row in self.admin.execute(query.encode()))

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A new session, as after a crash, with the settings that the migration has made so far."""
        with open_session(self.database) as session:
            for setting in self.settings:
                session.run(setting)
            yield session

    def tidy(self, left: Sequence[str]) -> bool:
        """Do what a person would: drop the invalid indexes. Whether that was all."""
        names = [one.removeprefix("invalid index ") for one in left if one.startswith("invalid index ")]
        with connect(self.database.conninfo, read_only=False) as owner:
            for name in names:
                schema, _, index = name.partition(".")
                owner.execute(f"DROP INDEX {qualified(schema, index)}".encode())
        return len(names) == len(left)

    def finish(self, group: run.Group) -> str | None:
        """Run a group to its end; what went wrong."""
        with self.session() as session:
            for seen in run.Runner(session, Blind(), retries=0).run_group(group):
                if seen.error:
                    return f"{seen.error.sqlstate} {seen.error.message}"
        self.done += [one for one in group.statements if one not in self.done]
        if group.alone and group.statements[0].node.HasField("variable_set_stmt"):
            self.settings += group.statements
        return None

    def file_again(self, group: run.Group) -> str | None:
        """Run the file from its start up to this group, as a tool does; what went wrong."""
        (statement,) = group.statements
        earlier = [one for one in self.done if one.file == statement.file and one.number < statement.number]
        if not earlier or any(one.transaction is not None for one in earlier):
            return "a transaction of the same file has been committed"
        again = [run.Group((one,), alone=True, begun=False) for one in earlier]
        return next((refused for one in (*again, group) if (refused := self.finish(one))), None)


def kills(
    copies: Copies,
    source: Database,
    statements: Sequence[Statement],
    tables: Sequence[str],
    seconds: float = SECONDS,
) -> tuple[Kill, ...]:
    """Kill every statement once. `source` has a few rows, and the migration goes through on it without kills.

    `tables` are the quoted names of those that it touches.
    """
    deadline = time.monotonic() + seconds
    found: list[Kill] = []
    waiting = list(run.groups(statements))
    while waiting:
        done = [s for s in statements if s.number < waiting[0].statements[0].number]
        with copies.copy(source) as copy, _trial(copy, tables, deadline) as trial:
            if done and apply(copy, done):
                break
            trial.done += done
            trial.settings += [
                s for s in done if s.node.HasField("variable_set_stmt") and s.transaction is None
            ]
            while waiting:
                trial.tidied = False
                kills_ = _group(trial, waiting.pop(0))
                found += kills_
                if any(kill.recovers is False for kill in kills_) and not trial.tidied:
                    break  # go on from a copy on which nothing was killed
            else:
                found = _compared(copies, source, statements, copy, found)
    return tuple(found)


@contextmanager
def _trial(copy: Database, tables: Sequence[str], deadline: float) -> Iterator[Trial]:
    with connect(copy.admin_conninfo, read_only=False) as admin:
        yield Trial(copy, admin, tables, deadline, admin.info.server_version)


def _group(trial: Trial, group: run.Group) -> list[Kill]:
    if time.monotonic() > trial.deadline:
        trial.finish(group)
        detail = "not tried: the time for kills was used up"
        return [Kill(statement=s.number, recovers=None, detail=detail) for s in group.statements]
    if group.alone:
        return [_alone(trial, group)]
    victims = [s for s in group.statements if not s.node.HasField("transaction_stmt")]
    chosen = victims if len(victims) <= _IN_TRANSACTION else random.Random(1).sample(victims, _IN_TRANSACTION)  # noqa: S311
    for victim in chosen:
        _in_transaction(trial, group, victim)
    left = trial.left_behind()
    refused = trial.finish(group)
    return [
        Kill(
            statement=victim.number,
            recovers=refused is None if victim in chosen else None,
            left_behind=left,
            detail=_told(refused)
            if victim in chosen
            else "not tried: in one transaction with others that were",
        )
        for victim in victims
    ]


def _told(refused: str | None) -> str:
    return "run again: goes through" if refused is None else f"run again: {refused}"


def _in_transaction(trial: Trial, group: run.Group, victim: Statement) -> None:
    with suppress(psycopg.Error, EnvironmentProblem), trial.session() as session:
        for statement in group.statements:
            session.prepare(statement)
        if not group.begun:
            session.execute("BEGIN")
        for statement in group.statements:
            session.run(statement)
            if statement is victim:
                break
        terminate(trial.admin, [session.pid])


def _alone(trial: Trial, group: run.Group) -> Kill:
    (statement,) = group.statements
    if statement.node.HasField("variable_set_stmt") or runs_apart(statement):
        refused = trial.finish(group)
        return Kill(statement=statement.number, recovers=None, detail=refused or "nothing to kill")
    if _killed_before_commit(trial, statement):
        refused = trial.finish(group)
        return Kill(statement=statement.number, recovers=refused is None, detail=_told(refused))
    before = trial.left_behind()
    killed = _killed_while_waiting(trial, statement)
    left = tuple(one for one in trial.left_behind() if one not in before)
    refused = trial.finish(group)
    still = tuple(one for one in trial.left_behind() if one not in before)
    if refused is not None and left and trial.file_again(group) is None:
        detail = f"its file run again from the start: goes through (the statement alone: {refused})"
        return Kill(statement=statement.number, recovers=True, left_behind=left, detail=detail)
    if refused is not None and left:
        trial.tidied = trial.tidy(left) and trial.finish(group) is None
    if refused is None and still:
        detail = f"run again: reports success and leaves {', '.join(still)}"
        # What REINDEX CONCURRENTLY leaves is beside the index that was wanted, not in its place.
        beside = all(_BESIDE.search(one) for one in still)
        return Kill(
            statement=statement.number, recovers=beside, left_behind=still, detail=detail, silent=not beside
        )
    if not killed and not left:
        detail = "it was over before it could be killed; " + _told(refused)
        return Kill(statement=statement.number, recovers=None, detail=detail)
    return Kill(statement=statement.number, recovers=refused is None, left_behind=left, detail=_told(refused))


def _killed_before_commit(trial: Trial, statement: Statement) -> bool:
    """Whether it ran in a transaction, which was then killed."""
    with suppress(psycopg.Error, EnvironmentProblem), trial.session() as session:
        session.prepare(statement)
        session.execute("BEGIN")
        answer = session.run(statement)
        if answer.error and answer.error.sqlstate in NEEDS_NO_TRANSACTION:
            session.execute("ROLLBACK")
            return False
        terminate(trial.admin, [session.pid])
    return True


def _killed_while_waiting(trial: Trial, statement: Statement) -> bool:
    """Whether it was killed while it waited for a reader that is idle in its transaction."""
    done = threading.Event()
    with idle_reader(trial.database.conninfo, trial.tables, 3 * _WAIT_SECONDS), trial.session() as session:
        pid = session.pid

        def work() -> None:
            with suppress(psycopg.Error, EnvironmentProblem):
                session.run(statement)
            done.set()

        thread = threading.Thread(target=work, name="dpe victim", daemon=True)
        thread.start()
        waited = wait_until_waiting(trial.admin, pid, _WAIT_SECONDS, done)
        killed = waited or not done.is_set()
        if killed:
            terminate(trial.admin, [pid])
        thread.join()
    return killed


def _compared(
    copies: Copies, source: Database, statements: Sequence[Statement], copy: Database, found: list[Kill]
) -> list[Kill]:
    """The last statement that was killed outside a transaction answers for a result that is not the usual one."""
    suspects = [kill for kill in found if kill.recovers and kill.left_behind]
    if not suspects:
        return found
    with copies.copy(source) as usual:
        if apply(usual, statements):
            return found
        with connect(usual.conninfo, read_only=True) as one, connect(copy.conninfo, read_only=True) as other:
            if differences(read(one), read(other)).equal:
                return found
    worst = suspects[-1]
    changed = Kill(
        statement=worst.statement,
        recovers=False,
        left_behind=worst.left_behind,
        detail="run again: reports success, and the schema is not that of a run without a kill",
        silent=True,
    )
    return [changed if kill is worst else kill for kill in found]

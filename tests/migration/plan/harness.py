"""Steps of one module on a real server: there and back again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.order import in_order
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Refusal, Step
from data_platform.model.database import Database as Model
from data_platform.model.differences import Differences, differences
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import open_scratch_database
from data_platform.postgres.server import Database

_NO_HINTS = Hints()
Plans = Callable[[Pair], Iterable[Step | Refusal]]


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What was planned, and what the old schema is after all steps and after they are taken back."""

    steps: tuple[Step, ...]
    refused: tuple[Refusal, ...]
    up: Differences
    down: Differences | None

    def step(self, name: str) -> Step:
        """The step of that name."""
        return next(step for step in self.steps if step.name == name)


def reach(
    database: Database,
    before_sql: str,
    after_sql: str,
    steps_function: Plans,
    hints: Hints = _NO_HINTS,
    *,
    first: Plans | None = None,
    version: int = 18,
    back: bool = True,
    twice: bool = True,
) -> Reached:
    """Plan from one schema to the other with one module alone, run it on the first, and take it back.

    `first` is planned and run before the rest. Every step that says nothing of `again` is run twice.
    """
    with open_scratch_database(database.admin_conninfo, (), disposable=True) as other:
        after = _loaded(other.admin_conninfo, after_sql)
    before = _loaded(database.admin_conninfo, before_sql)
    pair = Pair(before=before, after=after, hints=hints, version=version)
    refused: list[Refusal] = []
    with connect(database.admin_conninfo, read_only=False) as connection:
        connection.autocommit = True
        done = list(_planned(first(pair) if first else (), refused))
        _run_all(connection, done, twice=twice)
        now = replace(pair, before=read(connection)) if done else pair
        rest = list(in_order(_planned(steps_function(now), refused)))
        _run_all(connection, rest, twice=twice)
        up = differences(read(connection), after)
        done += rest
        for step in reversed(done if back else ()):
            _run(connection, step.down, together=step.transaction)
        down = differences(read(connection), before) if back else None
    return Reached(steps=tuple(done), refused=tuple(refused), up=up, down=down)


def _loaded(conninfo: str, sql: str) -> Model:
    with connect(conninfo, read_only=False) as connection:
        connection.execute(sql.encode())
        connection.commit()
        return read(connection)


def _planned(found: Iterable[Step | Refusal], refused: list[Refusal]) -> Iterator[Step]:
    for one in found:
        if isinstance(one, Refusal):
            refused.append(one)
        else:
            yield one


def _run_all(connection: psycopg.Connection[Any], steps: Iterable[Step], *, twice: bool) -> None:
    for step in steps:
        assert step.down or step.one_way, f"{step.name} says nothing of the way back"
        _run(connection, step.up, together=step.transaction)
        if twice and step.again is None:
            _run(connection, step.up, together=step.transaction)


def _run(connection: psycopg.Connection[Any], statements: Iterable[str], *, together: bool) -> None:
    if together:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())
        return
    for statement in statements:
        connection.execute(statement.encode())


@contextmanager
def roles(database: Database, *names: str) -> Iterator[None]:
    """Roles for the time of a test."""
    with connect(database.admin_conninfo, read_only=False) as connection:
        connection.autocommit = True
        for name in names:
            connection.execute(f"CREATE ROLE {name}".encode())
        try:
            yield
        finally:
            for name in names:
                connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())

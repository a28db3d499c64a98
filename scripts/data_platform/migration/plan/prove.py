"""A plan on a real server: made, run on the old schema, and planned on until that has become the new one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import psycopg

from data_platform.ddl.files import script
from data_platform.ddl.older import for_server
from data_platform.migration.plan import renames, types
from data_platform.migration.plan.fill import statement
from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.plan import plan
from data_platform.migration.plan.step import PHASES, Plan, Refusal, Step
from data_platform.model.database import Database
from data_platform.model.design import Design
from data_platform.model.differences import Change, Differences, differences
from data_platform.postgres.catalog import read
from data_platform.postgres.cluster import SUPERUSER
from data_platform.postgres.connect import connect
from data_platform.postgres.load import Script, drop_roles, load
from data_platform.postgres.scratch import Database as Scratch
from data_platform.postgres.server import Server
from data_platform.postgres.sources import Progress, Source, design, of_design, of_live, of_scripts
from data_platform.sql.text import Sql

NO_HINTS = Hints()
_ROUNDS = 3
"""The first reaches the new schema but for names that PostgreSQL makes up; the second gives it these."""
_FOR_SUPERUSERS = (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedObject)


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A plan, and what the old schema is after it. `down` is what differs from the old one once all is taken back."""

    plan: Plan
    before: Database
    after: Database
    left: Differences
    down: Differences | None = None
    broken: str | None = None
    """A step that the server refused: its name and the server's message."""


def reach(
    before: Source,
    after: Source | Database,
    server: Server,
    *,
    hints: Hints = NO_HINTS,
    version: int = 18,
    more: Sequence[Step] = (),
    step: Progress = lambda _what, _share: None,
) -> Reached:
    """The plan from one schema to the other, run on `server` before it is handed out.

    `more` are steps that are no difference of the two; they come last in their phases.
    """
    target = for_server(_taken(server, after, step), version)
    with _loaded(server, before, step) as ground:
        return _reached(ground, target, hints, version, more, step)


def _taken(server: Server, source: Source | Database, step: Progress) -> Database:
    if isinstance(source, Database):
        return source
    if isinstance(source, str):
        return of_live(source).database
    taken = (
        of_design(server, source, step) if isinstance(source, Design) else of_scripts(server, source, step)
    )
    return taken.database


@dataclass(frozen=True)
class Ground:
    """The scratch database in which the old schema becomes the new one."""

    scratch: Scratch
    roles: tuple[str, ...]

    def read(self, version: int) -> Database:
        """What it holds now, as a server of that version would."""
        with connect(self.scratch.conninfo, read_only=True) as connection:
            found = read(connection, anonymous=[SUPERUSER], roles=self.roles)
        return for_server(found, version)

    def run(self, statements: Sequence[str], *, together: bool) -> None:
        """The statements, in one transaction or each by itself. Raises psycopg.Error."""
        try:
            with connect(self.scratch.conninfo, read_only=False) as connection:
                _run(connection, statements, together=together)
        except _FOR_SUPERUSERS:
            text = "".join(f"{statement};\n" for statement in statements)
            load(self.scratch, [Script("the plan", text)])


def _run(connection: psycopg.Connection[Any], statements: Sequence[str], *, together: bool) -> None:
    connection.autocommit = True
    if together:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())
        return
    for statement in statements:
        connection.execute(statement.encode())


@contextmanager
def _loaded(server: Server, source: Source, step: Progress) -> Iterator[Ground]:
    scripts = _scripts(source)
    with server.scratch_database() as scratch:
        loaded = load(scratch, scripts, progress=step)
        yield Ground(scratch, loaded.roles)
    drop_roles(server.conninfo, loaded.roles)


def _scripts(source: Source) -> Sequence[Script]:
    if isinstance(source, str):
        source = design("", of_live(source))
    if isinstance(source, Design):
        return [Script(f"the DDL of {source.file}", script(source, ""))]
    return source


class _Refused(Exception):
    """The server refused a step."""


def _reached(
    ground: Ground, target: Database, hints: Hints, version: int, more: Sequence[Step], step: Progress
) -> Reached:
    before = ground.read(version)
    pair = Pair(before=before, after=target, hints=hints, version=version)
    steps: list[Step] = []
    refused: dict[Refusal, None] = {}
    broken = None
    try:
        for found in (*types.first(pair), *renames.first(pair)):
            if isinstance(found, Refusal):
                refused[found] = None
            else:
                steps.append(found)
        _apply(ground, steps, step)
        for number in range(_ROUNDS):
            now = ground.read(version) if steps or number else before
            made = plan(replace(pair, before=now, hints=hints if number == 0 else _without_renames(hints)))
            refused.update(dict.fromkeys(made.refused))
            if not made.steps and (number or not more):
                break
            rest = [replace(one, phase="contract") for one in made.steps]
            late = rest if number else _with_more(made.steps, more)
            steps += late
            _apply(ground, late, step)
    except _Refused as error:
        broken = str(error)
    now = ground.read(version)
    found_plan = Plan(steps=tuple(_distinct(steps)), refused=tuple(refused))
    left = _but_order(differences(now, target))
    down = None
    if broken is None:
        down = _taken_back(ground, found_plan.steps, before, version)
    return Reached(plan=found_plan, before=before, after=target, left=left, down=down, broken=broken)


def _with_more(steps: Sequence[Step], more: Sequence[Step]) -> list[Step]:
    return [one for phase in PHASES for one in (*steps, *more) if one.phase == phase]


def _distinct(steps: Iterable[Step]) -> Iterator[Step]:
    taken: dict[str, int] = {}
    for one in steps:
        taken[one.name] = taken.get(one.name, 0) + 1
        yield one if taken[one.name] == 1 else replace(one, name=f"{one.name}_{taken[one.name]}")


def _without_renames(hints: Hints) -> Hints:
    nothing: Any = MappingProxyType({})
    return replace(
        hints,
        tables=nothing,
        columns=nothing,
        types=nothing,
        labels=nothing,
        values=nothing,
        back=nothing,
        merged=nothing,
        moved=nothing,
    )


def _apply(ground: Ground, steps: Sequence[Step], progress: Progress) -> None:
    for number, one in enumerate(steps):
        progress(f"running {one.name}", number / len(steps))
        _explained(ground, one)
        _try(ground, one, one.up)


def _explained(ground: Ground, one: Step) -> None:
    """A fill has no rows to work on here: that the server can plan it shows that its names are right."""
    if one.fill is not None:
        _try(ground, one, (Sql(f"EXPLAIN {statement(one.fill, Sql('true'))}"),))


def _try(ground: Ground, one: Step, statements: Sequence[str]) -> None:
    try:
        ground.run(statements, together=one.transaction)
    except Exception as error:  # a fault of the plan is told with it, whatever it is
        raise _Refused(f"{one.name}: {str(error).strip()}") from error


def _taken_back(ground: Ground, steps: Sequence[Step], before: Database, version: int) -> Differences | None:
    try:
        for one in reversed(steps):
            _try(ground, one, one.down)
    except _Refused as error:
        refused = Change(object=str(error).partition(":")[0], property="down", before="", after=str(error))
        return Differences(added=(), removed=(), changed=(refused,))
    return _but_order(differences(before, ground.read(version)))


def _but_order(found: Differences) -> Differences:
    """A column that is added comes last; nothing but a new table can change that, and no client should depend on it."""
    return replace(found, changed=tuple(one for one in found.changed if one.property != "column order"))

"""The schema after the operations of a change: their plain DDL, run on an empty scratch database and read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from data_platform.errors import UsageProblem
from data_platform.migration.operations import OPERATIONS
from data_platform.migration.operations.asked import Asked, Told, Unknown
from data_platform.migration.operations.mistakes import Mistakes
from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.step import Step
from data_platform.model.database import Database
from data_platform.postgres.catalog import read
from data_platform.postgres.cluster import SUPERUSER
from data_platform.postgres.connect import connect
from data_platform.postgres.load import Script, drop_roles, load
from data_platform.postgres.scratch import Database as Scratch
from data_platform.postgres.server import Server
from data_platform.spec.change import Change, Operation
from data_platform.sql.text import NotSql


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the operations make of a schema, what they say of the way, and steps that are no difference."""

    after: Database
    hints: Hints
    steps: tuple[Step, ...]


def wanted(server: Server, base: Sequence[Script], change: Change) -> Wanted:
    """Run the operations one after the other. Raises SpecProblem with each that cannot be.

    Those after it are tried as if it had been left out, so that all mistakes are told at once.
    """
    mistakes = Mistakes(change.document)
    made = None
    while made is None:
        made = _tried(server, base, change, mistakes)
    mistakes.tell()
    return made


def _tried(server: Server, base: Sequence[Script], change: Change, mistakes: Mistakes) -> Wanted | None:
    """None where an operation failed half-way: the database is no ground for those after it, so all begins again."""
    told = Told(lost=set(change.allow_data_loss))
    with _loaded(server, base) as ground:
        before = now = ground.read()
        for operation in change.operations:
            if operation.path in mistakes.found:
                continue
            statements = _statements(operation, Asked(operation.body, now, told), mistakes)
            try:
                ground.run(operation.name, statements)
            except UsageProblem as problem:
                refused = f"`{operation.name}`: the server refuses it: {problem.what}"
                mistakes.add(operation, refused, now)
                if len(statements) > 1:
                    return None
            now = ground.read()
    return Wanted(after=now, hints=told.hints(before, now, dict(change.rows)), steps=tuple(told.steps))


def _statements(operation: Operation, asked: Asked, mistakes: Mistakes) -> list[str]:
    """The plain DDL; none where the operation cannot be."""
    try:
        return list(OPERATIONS[operation.name](asked))
    except Unknown as problem:
        mistakes.add(operation, str(problem), asked.database, problem.key)
    except NotSql as problem:
        mistakes.add(operation, f"`{operation.name}`: {problem}", asked.database)
    return []


@dataclass(frozen=True)
class _Ground:
    """The scratch database that the operations run in."""

    scratch: Scratch
    roles: tuple[str, ...]

    def read(self) -> Database:
        with connect(self.scratch.conninfo, read_only=True) as connection:
            return read(connection, anonymous=[SUPERUSER], roles=self.roles)

    def run(self, name: str, statements: Sequence[str]) -> None:
        if statements:
            text = "".join(f"{statement.rstrip().removesuffix(';')};\n" for statement in statements)
            load(self.scratch, [Script(name, text)])


@contextmanager
def _loaded(server: Server, base: Sequence[Script]) -> Iterator[_Ground]:
    roles: tuple[str, ...] = ()
    try:
        with server.scratch_database() as scratch:
            roles = load(scratch, base).roles
            yield _Ground(scratch, roles)
    finally:
        drop_roles(server.conninfo, roles)

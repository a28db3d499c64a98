"""The schema after the operations of a change: their plain DDL, run on an empty scratch database and read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_platform.errors import UsageProblem
from data_platform.migration.operations import OPERATIONS
from data_platform.migration.operations.asked import Asked, Told, Unknown
from data_platform.migration.plan.hints import Hints
from data_platform.migration.plan.step import Step
from data_platform.model.database import Database, Name
from data_platform.postgres.catalog import read
from data_platform.postgres.cluster import SUPERUSER
from data_platform.postgres.connect import connect
from data_platform.postgres.load import Loaded, Script, drop_roles, load
from data_platform.postgres.scratch import Database as Scratch
from data_platform.postgres.server import Server
from data_platform.spec.change import Change, Operation
from data_platform.spec.document import SpecProblem
from data_platform.sql.text import NotSql


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the operations make of a schema, what they say of the way, and steps that are no difference."""

    after: Database
    hints: Hints
    steps: tuple[Step, ...]


def wanted(server: Server, base: Sequence[Script], change: Change) -> Wanted:
    """Run the operations one after the other. Raises SpecProblem with the place of one that cannot be."""
    told = Told(lost=set(change.allow_data_loss))
    with server.scratch_database() as scratch:
        loaded = load(scratch, base)
        for operation in change.operations:
            _run(scratch, loaded, change, operation, told)
        after = _read(scratch, loaded)
    drop_roles(server.conninfo, loaded.roles)
    return Wanted(after=after, hints=told.hints(_rows(change)), steps=tuple(told.steps))


def _rows(change: Change) -> dict[Name, int]:
    return dict(change.rows)


def _read(scratch: Scratch, loaded: Loaded) -> Database:
    with connect(scratch.conninfo, read_only=True) as connection:
        return read(connection, anonymous=[SUPERUSER], roles=loaded.roles)


def _run(scratch: Scratch, loaded: Loaded, change: Change, operation: Operation, told: Told) -> None:
    asked = Asked(operation.body, _read(scratch, loaded), told)
    try:
        statements = list(OPERATIONS[operation.name](asked))
        if statements:
            text = "".join(f"{statement.rstrip().removesuffix(';')};\n" for statement in statements)
            load(scratch, [Script(operation.name, text)])
    except Unknown as problem:
        raise _problem(change, operation, str(problem), problem.key) from None
    except NotSql as problem:
        raise _problem(change, operation, f"`{operation.name}`: {problem}") from None
    except UsageProblem as problem:
        raise _problem(
            change, operation, f"`{operation.name}`: the server refuses it: {problem.what}"
        ) from None


def _problem(change: Change, operation: Operation, message: str, key: str | None = None) -> SpecProblem:
    path = (*operation.path, key) if key is not None and key in operation.body else operation.path
    return SpecProblem((change.document.error(path, "spec-operation", message, "dpe spec example change"),))

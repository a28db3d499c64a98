"""The DDL on the scratch database: as its owner, who has no privileges, else by the allow-list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import psycopg

from data_platform.ddl import statements
from data_platform.ddl.piece import Statement
from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.model.database import Role
from data_platform.model.design import Design
from data_platform.postgres.load import runner_for
from data_platform.postgres.load.messages import UNDEFINED
from data_platform.postgres.load.script import Script
from data_platform.postgres.load.sessions import open_sessions
from data_platform.postgres.load.walk import Walk
from data_platform.postgres.server import Database
from data_platform.schema.prove.result import LeftOut, Refused
from data_platform.sql.text import Sql, identifier, identifiers, parse


@dataclass(frozen=True)
class Applied:
    """How many statements ran, the one that did not, and those that were left out or made otherwise."""

    statements: int
    refused: Refused | None
    left_out: tuple[LeftOut, ...]


def apply(design: Design, database: Database, seconds: int) -> Applied:
    """Run the design's DDL, one statement at a time, each committed by itself and none for longer than `seconds`."""
    roles = {f"role {role.name}": role for role in design.database.roles}
    left_out: list[LeftOut] = []
    with open_sessions(database) as (user, admin):
        user.connection.execute(f"SET statement_timeout TO '{seconds}s'")
        runner = runner_for(database, user, admin)
        walk = Walk(runner, total=0, with_rows=True, progress=lambda _what, _share: None)
        walk.file(Script("search_path", f"SET search_path TO {identifiers(search_path(design))}"))
        for number, statement in enumerate(statements(design)):
            noted = len(runner.notes)
            try:
                walk.file(Script(statement.object, _text(statement, roles)))
            except (UsageProblem, EnvironmentProblem) as problem:
                return Applied(number, _refused(statement, problem, left_out), tuple(left_out))
            left_out += (_left_out(statement, note.why) for note in runner.notes[noted:])
        left_out += _made_up(runner.roles.made, design.database.roles)
    return Applied(number + 1, None, tuple(left_out))


def search_path(design: Design) -> tuple[str, ...]:
    """The schemas under which the DDL and everything after it is read."""
    return tuple(dict.fromkeys(("public", *design.search_path)))


def _text(statement: Statement, roles: Mapping[str, Role]) -> str:
    """The statement, but of a role what a run may make of it: whoever has no privileges cannot give any."""
    role = roles.get(statement.object)
    if role is None or not parse(statement.sql).stmts[0].stmt.HasField("do_stmt"):
        return statement.sql
    options = {
        "NOINHERIT": not role.inherit,
        "BYPASSRLS": role.bypass_row_security,
        "SUPERUSER": role.superuser,
        "REPLICATION": role.replication,
        "CREATEDB": role.create_database,
        "CREATEROLE": role.create_role,
    }
    words = "".join(f" {word}" for word, wanted in options.items() if wanted)
    return Sql(f"CREATE ROLE {identifier(role.name)}{words}")


def _left_out(statement: Statement, why: str) -> LeftOut:
    return LeftOut(object=statement.object, table=statement.table, sql=statement.sql, why=why)


def _made_up(made: Iterable[str], declared: Iterable[Role]) -> Iterator[LeftOut]:
    known = {role.name for role in declared}
    for name in sorted(set(made) - known):
        why = "the model names it without declaring it: made for this run, without privileges"
        yield LeftOut(object=f"role {name}", table=None, sql=f"CREATE ROLE {identifier(name)}", why=why)


def _refused(
    statement: Statement, problem: UsageProblem | EnvironmentProblem, left_out: list[LeftOut]
) -> Refused:
    error = problem.__context__  # what the server said, before it was put into words for a file
    sqlstate, message = "?", problem.what
    if isinstance(error, psycopg.Error):
        sqlstate, message = error.sqlstate or "?", (error.diag.message_primary or str(error)) + _hint(error)
    return Refused(
        object=statement.object,
        table=statement.table,
        sql=statement.sql,
        sqlstate=sqlstate,
        message=message,
        for_want_of=_for_want_of(statement, sqlstate, left_out),
    )


def _for_want_of(statement: Statement, sqlstate: str, left_out: list[LeftOut]) -> str | None:
    """What was left out before and may be missing: an earlier statement for the same object, or whatever came last."""
    same = any(part.object == statement.object for part in left_out)
    return left_out[-1].object if left_out and (same or sqlstate in UNDEFINED) else None


def _hint(error: psycopg.Error) -> str:
    parts = (error.diag.message_detail, error.diag.message_hint)
    return "".join(f" ({part})" for part in parts if part)

r"""Anybody's SQL into a scratch database, safely: dumps, schema files, migrations.

    loaded = load(database, [read_script(Path("schema.sql"))])

A file runs as the scratch owner, who on the embedded server gets CREATEROLE, which gives a role no more than the owner
has, and on a live one no privilege at all. What PostgreSQL keeps for superusers goes through an allow-list
(`privileged`), roles and extensions that are not there are made up (`roles`, `stubs`), and what is left out is on the
list of notes. `decide` says what happens to a statement, `walk` goes through the files, `runner` runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_platform.postgres.cluster import stub_directory
from data_platform.postgres.load.messages import Note
from data_platform.postgres.load.roles import Roles, drop_roles
from data_platform.postgres.load.runner import Runner
from data_platform.postgres.load.script import Script, read_script
from data_platform.postgres.load.sessions import Admin, User, open_sessions
from data_platform.postgres.load.walk import Progress, Walk
from data_platform.postgres.scratch import Database
from data_platform.sql.script import as_bytes
from data_platform.sql.text import identifier

__all__ = ["Loaded", "Note", "Script", "drop_roles", "load", "read_script", "runner_for"]


@dataclass(frozen=True)
class Loaded:
    """What a load did: statements run, rows left out (a statement that changes rows counts as one), notes on what
    was left out or made otherwise, stub extensions and roles that were made up (see `drop_roles`).
    """

    statements: int
    rows_skipped: int
    skipped: tuple[Note, ...]
    stubs: tuple[str, ...]
    roles: tuple[str, ...]
    role_attributes: tuple[tuple[str, frozenset[str]], ...] = ()
    """What the files let a role do that it may not do here: LOGIN, CREATEDB, CREATEROLE, REPLICATION, SUPERUSER."""


def load(
    database: Database,
    scripts: Sequence[Script],
    *,
    with_rows: bool = False,
    progress: Progress = lambda _what, _share: None,
) -> Loaded:
    """Run the scripts in a scratch database, statement by statement, each committed by itself.

    On the embedded server roles, tablespaces and stub extensions are made as files need them; on a live one nothing
    but extensions of `PROVABLE_EXTENSIONS`, and what needs more is noted. Rows are left out unless `with_rows`.
    Raises UsageProblem, with file and line, where a file cannot be read or the server refuses a statement; what ran
    before stays.
    """
    with open_sessions(database) as (user, admin):
        runner = runner_for(database, user, admin)
        walk = Walk(runner, sum(len(as_bytes(script.text)) for script in scripts), with_rows, progress)
        for script in scripts:
            walk.file(script)
    return Loaded(
        runner.statements,
        walk.rows_skipped,
        tuple(sorted(runner.notes, key=lambda note: (note.file, note.line))),
        tuple(sorted(runner.stubs)),
        tuple(sorted(runner.roles.made)),
        tuple(sorted(runner.roles.attributes.items())),
    )


def runner_for(database: Database, user: User, admin: Admin) -> Runner:
    """What runs statements in these sessions, under the limits that they have now."""
    user.keep_limits()
    stubs = stub_directory(database.admin_conninfo) if admin.is_superuser() else None
    owner = user.role()
    if stubs:  # since 16 that gives nobody what the owner has not
        admin.execute(f"ALTER ROLE {identifier(owner)} CREATEROLE")
    roles = Roles(admin, owner, may_make=stubs is not None)
    return Runner(user, admin, roles, stubs, event_triggers_rest=admin.event_triggers_rest())

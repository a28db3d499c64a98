"""Scratch databases: made on any server for what nobody vouches for, dropped when the block ends.

Specs and migrations run there as a role without privileges: `COPY … TO PROGRAM` or `pg_read_file` in a default
are refused by PostgreSQL itself. Which role that is depends on the rights of ours, so they are looked at first.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.cleanup import afterwards
from data_platform.postgres.connect import connect, redacted
from data_platform.postgres.extensions import STUB, require_provable

_RIGHTS = """
SELECT current_user, me.rolsuper, me.rolcreatedb, me.rolcreaterole,
       EXISTS (SELECT FROM pg_roles other
                WHERE (other.rolsuper OR other.rolcreaterole OR other.rolname IN
                       ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))
                  AND pg_has_role(current_user, other.oid, 'MEMBER'))
  FROM pg_roles me WHERE me.rolname = current_user
"""

_STUBS = "SELECT name FROM pg_available_extensions WHERE comment = %s"
"""Those that a load in the same cluster has left."""


@dataclass(frozen=True)
class Database:
    """A scratch database, empty but for its extensions, owned by a role without privileges.

    `conninfo` logs in as that owner and is the one to run specs with. `admin_conninfo` is the same database
    as the role that made it: run nothing there that came from a spec, and name schemas in full.
    """

    name: str
    conninfo: str = field(repr=False)
    admin_conninfo: str = field(repr=False)


@dataclass(frozen=True)
class Rights:
    """What a session's role may do; `member_of_privileged`: it can become one that may do more."""

    user: str
    is_superuser: bool
    creates_databases: bool
    creates_roles: bool
    member_of_privileged: bool

    @property
    def makes_owner(self) -> bool:
        return self.is_superuser or self.creates_roles


@contextmanager
def open_scratch_database(
    conninfo: str, extensions: Sequence[str], *, disposable: bool
) -> Iterator[Database]:
    """See `Server.scratch_database`; on a `disposable` server a database that cannot be dropped is no problem."""
    name = f"dpe_{secrets.token_hex(8)}"
    with afterwards(partial(_drop, conninfo, name, disposable=disposable)):
        yield _create(conninfo, name, extensions, disposable=disposable)


def see_every_row(database: Database) -> None:
    """Let the database's owner read past row security, as a role that loads does in production.

    Raises EnvironmentProblem where ours may not allow it.
    """
    with connect(database.admin_conninfo, read_only=False) as admin:
        owner = conninfo_to_dict(database.conninfo).get("user")
        try:
            admin.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(sql.Identifier(str(owner))))
        except psycopg.Error as error:
            raise EnvironmentProblem(
                f"the scratch role cannot be let past row security: {error.diag.message_primary}",
                where=redacted(database.admin_conninfo),
                try_="leave out --dsn for an embedded server",
            ) from error


def checked_rights(connection: psycopg.Connection, conninfo: str) -> Rights:
    """The session's rights. Raises EnvironmentProblem when they are too few, or could become too many."""
    row = connection.execute(_RIGHTS).fetchone()
    rights = Rights(*row)  # type: ignore[misc]  # the query gives one row with just these columns
    role = sql.Identifier(rights.user).as_string()
    if not (rights.is_superuser or rights.creates_databases):
        raise EnvironmentProblem(
            f"role {role} may not create databases",
            where=redacted(conninfo),
            expected="the privilege CREATEDB, for scratch databases",
            try_=f"ALTER ROLE {role} CREATEDB;  -- as a superuser, on a server that is not production",
        )
    if rights.member_of_privileged and not rights.makes_owner:
        raise EnvironmentProblem(
            f"role {role} is a member of a role with wide privileges, which untrusted SQL could use",
            where=redacted(conninfo),
            expected="a role with CREATEDB that is not in one with SUPERUSER, CREATEROLE or pg_*_server_*",
            try_="CREATE ROLE dpe LOGIN CREATEDB;  -- and give its --dsn",
        )
    return rights


def _create(conninfo: str, name: str, extensions: Sequence[str], *, disposable: bool) -> Database:
    admin_conninfo = make_conninfo(conninfo, dbname=name)
    try:
        with connect(conninfo, read_only=False) as admin:
            rights = checked_rights(admin, conninfo)
            password = _create_owner(admin, name, rights) if rights.makes_owner else None
            # By files it is a third of the server's work, at a checkpoint that others on a live server would feel.
            strategy = "STRATEGY FILE_COPY" if disposable else ""
            statement = "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' "
            owner = name if rights.makes_owner else rights.user
            admin.execute(sql.SQL(statement + strategy).format(sql.Identifier(name), sql.Identifier(owner)))
        _create_extensions(admin_conninfo, extensions)
    except psycopg.Error as error:
        raise EnvironmentProblem(
            f"cannot make a scratch database: {error}",
            where=redacted(conninfo),
            try_="give a role that may, or leave out --dsn for an embedded server",
        ) from error
    if password is None:
        return Database(name, admin_conninfo, admin_conninfo)
    return Database(name, _login(admin_conninfo, name, password), admin_conninfo)


def _create_owner(admin: psycopg.Connection, name: str, rights: Rights) -> str:
    """Make the role and give its password, which the server sees as a hash only and so cannot log."""
    password = secrets.token_urlsafe(24)
    hashed = admin.pgconn.encrypt_password(password.encode(), name.encode()).decode()
    role = sql.Identifier(name)
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # a role that a killed process left is of no use then
    statement = "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {} VALID UNTIL {}"
    admin.execute(sql.SQL(statement).format(role, hashed, tomorrow.isoformat()))
    if not rights.is_superuser:  # to make it owner and to end its sessions; from 16 on that must be said
        how = "WITH INHERIT TRUE, SET TRUE" if admin.info.server_version >= 160000 else ""
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER " + how).format(role))
    return password


def _create_extensions(admin_conninfo: str, extensions: Sequence[str]) -> None:
    require_provable(extensions)
    if extensions:
        with connect(admin_conninfo, read_only=False) as admin:
            stubs = {name for (name,) in admin.execute(_STUBS, [STUB])}
            for extension in extensions:
                if extension in stubs:
                    raise EnvironmentProblem(f"the extension {extension} is not on this server")
                statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE")
                admin.execute(statement.format(sql.Identifier(extension)))


def _login(admin_conninfo: str, name: str, password: str) -> str:
    """The owner's conninfo, once it has worked.

    There is no way round by SET ROLE in a privileged session: untrusted SQL could RESET ROLE.
    """
    conninfo = make_conninfo(admin_conninfo, user=name, password=password)
    try:
        connect(conninfo, read_only=False).close()
    except EnvironmentProblem as problem:
        raise EnvironmentProblem(
            f"the temporary role without privileges cannot log in: {problem.what}",
            where=redacted(admin_conninfo),
            expected="password authentication for new roles (pg_hba.conf), without a pooler in between",
            try_="CREATE ROLE dpe LOGIN CREATEDB;  -- and give its --dsn: no temporary role is needed then",
        ) from None
    return conninfo


def _drop(conninfo: str, name: str, *, disposable: bool) -> None:
    database = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    role = sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name))
    try:
        with connect(conninfo, read_only=False) as admin:
            admin.execute(database)
            # Asked for first: DROP ROLE needs CREATEROLE even when there is none to drop.
            if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None:
                admin.execute(role)
    except (psycopg.Error, EnvironmentProblem) as error:
        if disposable:  # it is thrown away as a whole
            return
        raise EnvironmentProblem(
            f"a scratch database could not be dropped: {error}",
            where=redacted(conninfo),
            try_=f"{database.as_string()}; {role.as_string()};",
        ) from error

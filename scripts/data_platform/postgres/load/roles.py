"""Roles that a file names: made on the embedded server so that what names them loads; BYPASSRLS is all they may have.

They belong to the cluster, which two databases may share: `drop_roles` takes away those of a load whose database is
gone. The scratch owner becomes a member of each: it goes on working on what is given to them. On a live server no role
is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from postgast import pg_query_pb2 as pb

from data_platform.postgres.connect import connect
from data_platform.postgres.load.sessions import Admin
from data_platform.sql.text import Sql, identifier, literal

_KEPT = {
    "inherit": ("INHERIT", "NOINHERIT"),
    "bypassrls": ("BYPASSRLS", "NOBYPASSRLS"),
}
_DROPPED = {
    "superuser": "SUPERUSER",
    "isreplication": "REPLICATION",
    "createdb": "CREATEDB",
    "createrole": "CREATEROLE",
    "canlogin": "LOGIN",
    "password": "PASSWORD",
    "connectionlimit": "CONNECTION LIMIT",
    "validUntil": "VALID UNTIL",
}
_NO_ATTRIBUTE = {"PASSWORD", "CONNECTION LIMIT", "VALID UNTIL"}
"""What is not on `Roles.attributes`."""

_MEMBERSHIPS = ("addroleto", "rolemembers", "adminmembers")
_HARMLESS_PREDEFINED = frozenset(
    {
        *("pg_read_all_data", "pg_write_all_data", "pg_maintain", "pg_database_owner"),
        *("pg_monitor", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables"),
    }
)
"""Those that stay within the database. pg_read_server_files and the like leave it."""

_MEMBERSHIP_OPTIONS = {"admin": "ADMIN", "inherit": "INHERIT", "set": "SET"}
"""To the grammar any name is one, and a quoted name may hold anything."""
_USUAL = {"admin": False, "inherit": True, "set": True}

_OF_A_FILE = """
SELECT rolname FROM pg_catalog.pg_roles
 WHERE NOT rolsuper AND oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
   AND NOT pg_catalog.starts_with(rolname::pg_catalog.text, 'dpe_')
   AND rolname = %s
"""
_MEMBER = "WITH ADMIN TRUE, INHERIT TRUE, SET TRUE"
_EXISTS = "SELECT FROM pg_roles WHERE rolname = %s"


class Roles:
    """The roles of one load; `admin` is a superuser when `may_make`."""

    def __init__(self, admin: Admin, owner: str, *, may_make: bool) -> None:
        self._admin = admin
        self._owner = owner
        self._may_make = may_make
        self._usable: set[str] = set()
        self.made: list[str] = []
        self.attributes: dict[str, frozenset[str]] = {}
        """What the files say that a role may do, and here it may not: LOGIN, CREATEDB …"""

    def ensure(self, name: str) -> bool:
        """Whether objects may be given to the role; makes it when it is not there."""
        if name in self._usable:
            return True
        if not self._may_make or not name:  # CURRENT_USER and the like have no name
            return False
        if not self._found(_EXISTS, name) and not self._make(name):
            return False
        if name != "pg_database_owner" and not self._found(_OF_A_FILE, name):
            return False
        if name != "pg_database_owner":
            self._run(f"GRANT {identifier(name)} TO {identifier(self._owner)} {_MEMBER}")
        self._usable.add(name)
        return True

    def create(self, stmt: Any) -> str:
        """CREATE or ALTER ROLE, with what is harmless of its options; what was left out, for a note, or ""."""
        name = stmt.role if isinstance(stmt.role, str) else stmt.role.rolename
        if not name or not self.ensure(name):
            return "no role is made or changed for a file here"
        options = {option.def_elem.defname: option.def_elem.arg for option in stmt.options}
        words = [how[0] if value.boolean.boolval else how[1] for how, value in _known(options, _KEPT)]
        if words:
            self._run(f"ALTER ROLE {identifier(name)} {' '.join(words)}")
        refused = [self._join(name, kind, options[kind]) for kind in _MEMBERSHIPS if kind in options]
        dropped = [word for word, value in _known(options, _DROPPED) if _given(value)]
        if isinstance(stmt.role, str) and stmt.stmt_type == pb.ROLESTMT_USER and "canlogin" not in options:
            dropped.append("LOGIN")
        taken = {word for word, value in _known(options, _DROPPED) if not _given(value)}
        self.attributes[name] = (self.attributes.get(name, frozenset()) - taken) | set(
            dropped
        ) - _NO_ATTRIBUTE
        unsaid = _unsaid(["ADMIN TRUE"] if "adminmembers" in options else [])
        return ", ".join(filter(None, [*(f"without {word}" for word in dropped), *refused, unsaid]))

    def grant(self, stmt: Any) -> str:
        """GRANT or REVOKE of memberships; what was left out, for a note, or ""."""
        given = {option.def_elem.defname: option.def_elem.arg.boolean.boolval for option in stmt.opt}
        unknown = [name for name in given if name not in _MEMBERSHIP_OPTIONS]
        if unknown:
            return f"{identifier(unknown[0])} is no option of a membership"
        words = {name: f"{_MEMBERSHIP_OPTIONS[name]} {str(value).upper()}" for name, value in given.items()}
        options = Sql(f" WITH {', '.join(words.values())}" if words else "")
        refused = []
        for granted in stmt.granted_roles:
            for grantee in stmt.grantee_roles:
                name, member = granted.access_priv.priv_name, grantee.role_spec.rolename
                refused.append(self._member(name, member, options, grant=stmt.is_grant, revoked=given))
        granted_any = stmt.is_grant and not all(refused)
        unsaid = [words[name] for name in given if granted_any and given[name] != _USUAL[name]]
        return ", ".join(filter(None, [*refused, _unsaid(unsaid)]))

    def _join(self, name: str, kind: str, members: pb.Node) -> str:
        others = [item.role_spec.rolename for item in members.list.items]
        option = Sql(" WITH ADMIN TRUE") if kind == "adminmembers" else Sql("")
        pairs = [(other, name) if kind == "addroleto" else (name, other) for other in others]
        return ", ".join(filter(None, (self._member(one, two, option, grant=True) for one, two in pairs)))

    def _member(
        self, name: str, member: str, options: Sql, *, grant: bool, revoked: Iterable[str] = ()
    ) -> str:
        if not (name in _HARMLESS_PREDEFINED or self.ensure(name)) or not self.ensure(member):
            return f"not member of {name}" if grant else f"{name} stays as it is"
        if grant:
            self._run(f"GRANT {identifier(name)} TO {identifier(member)}{options}")
        else:
            only = " ".join(f"{_MEMBERSHIP_OPTIONS[option]} OPTION FOR" for option in revoked)
            self._run(f"REVOKE {only} {identifier(name)} FROM {identifier(member)}")
        return ""

    def _make(self, name: str) -> bool:
        try:
            self._run(f"CREATE ROLE {identifier(name)} NOLOGIN")
        except psycopg.errors.DuplicateObject:  # by another load in this cluster, meanwhile
            return True
        except psycopg.errors.ReservedName:
            return False
        self.made.append(name)
        return True

    def _found(self, query: str, name: str) -> bool:
        return self._admin.finds(query, name)

    def _run(self, statement: str) -> None:
        self._admin.execute(statement)


def drop_roles(conninfo: str, names: Sequence[str]) -> None:
    """Drop roles that a load made (`Loaded.roles`), once its database is gone.

    `conninfo` is a superuser's, of another database. A role that something in the cluster still needs stays, and so
    does one that no load makes.
    """
    left = list(names)
    with connect(conninfo, read_only=False) as connection:
        while dropped := [name for name in left if _dropped(connection, name)]:  # one may wait for another
            left = [name for name in left if name not in dropped]


def _dropped(connection: psycopg.Connection, name: str) -> bool:
    if connection.execute(_OF_A_FILE.encode(), [name]).fetchone() is None:
        return False
    try:
        connection.execute(f"DROP ROLE IF EXISTS {identifier(name)}".encode(), binary=True)
    except (psycopg.errors.DependentObjectsStillExist, psycopg.errors.ObjectInUse):
        return False
    return True


def make_tablespace(admin: Admin, name: str) -> bool:
    """A tablespace inside the data directory, for files that name one; anybody may use it. False for the server's own.

    Another load in the cluster may be half way through the same: what it has done is done, and all else is done here.
    """
    if name.startswith("pg_"):
        return False
    admin.execute("SET allow_in_place_tablespaces = on")
    with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        admin.execute(f"CREATE TABLESPACE {identifier(name)} LOCATION {literal('')}")
    with suppress(psycopg.errors.InternalError_):  # "tuple concurrently updated": by the same GRANT
        admin.execute(f"GRANT CREATE ON TABLESPACE {identifier(name)} TO PUBLIC")
    return True


def _known(options: dict[str, pb.Node], names: dict[str, Any]) -> list[tuple[Any, pb.Node]]:
    return [(names[name], value) for name, value in options.items() if name in names]


def _given(value: pb.Node) -> bool:
    """Whether an option asks for something.

    NOSUPERUSER is the same option with false, PASSWORD NULL has no value; a limit of -1 and infinity are none.
    """
    if value.HasField("boolean"):
        return bool(value.boolean.boolval)
    return value.WhichOneof("node") is not None and (value.integer.ival, value.string.sval) not in _NO_LIMIT


_NO_LIMIT = ((-1, ""), (0, "infinity"))


def _unsaid(words: Sequence[str]) -> str:
    return f"a model does not say {' and '.join(words)} of a membership" if words else ""

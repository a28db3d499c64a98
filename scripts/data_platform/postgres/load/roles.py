"""Roles that a file names: made on the embedded server as roles that can do nothing, so that what names them loads.

They belong to the cluster, which two databases may share, so one that is there is left as it is. The scratch owner
becomes a member of each: it goes on working on what is given to them. On a live server no role is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from postgast import pg_query_pb2 as pb

from data_platform.postgres.load.sessions import Admin
from data_platform.sql.text import Sql, identifier, identifiers, literal

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
}
_MEMBERSHIPS = ("addroleto", "rolemembers", "adminmembers")
_HARMLESS_PREDEFINED = frozenset(
    {
        *("pg_read_all_data", "pg_write_all_data", "pg_maintain", "pg_database_owner"),
        *("pg_monitor", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables"),
    }
)
"""Those that stay within the database. pg_read_server_files and the like leave it."""

_ALL_OF_FILES = """
SELECT rolname FROM pg_catalog.pg_roles
 WHERE NOT rolsuper AND oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
   AND NOT pg_catalog.starts_with(rolname::pg_catalog.text, 'dpe_')
"""
_OF_A_FILE = f"{_ALL_OF_FILES} AND rolname = %s"
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

    def adopt(self) -> None:
        """Make the owner a member of the roles that other loads in this cluster left, which a DO block may grant."""
        found = [row[0] for row in self._admin.connection.execute(_ALL_OF_FILES.encode()).fetchall()]
        if found:
            self._run(f"GRANT {identifiers(found)} TO {identifier(self._owner)} {_MEMBER}")
        self._usable.update(found)

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
        self.attributes[name] = (self.attributes.get(name, frozenset()) - taken) | set(dropped) - {"PASSWORD"}
        return ", ".join([*(f"without {word}" for word in dropped), *(text for text in refused if text)])

    def grant(self, stmt: Any) -> str:
        """GRANT or REVOKE of memberships; what was left out, for a note, or ""."""
        options = Sql("")
        if stmt.opt and stmt.is_grant:
            words = [
                f"{option.def_elem.defname.upper()} {_boolean(option.def_elem.arg)}" for option in stmt.opt
            ]
            options = Sql(f" WITH {', '.join(words)}")
        refused = []
        for granted in stmt.granted_roles:
            for grantee in stmt.grantee_roles:
                name, member = granted.access_priv.priv_name, grantee.role_spec.rolename
                refused.append(self._member(name, member, options, grant=stmt.is_grant, revoked=stmt.opt))
        return ", ".join(text for text in refused if text)

    def _join(self, name: str, kind: str, members: pb.Node) -> str:
        others = [item.role_spec.rolename for item in members.list.items]
        option = Sql(" WITH ADMIN TRUE") if kind == "adminmembers" else Sql("")
        pairs = [(other, name) if kind == "addroleto" else (name, other) for other in others]
        return ", ".join(filter(None, (self._member(one, two, option, grant=True) for one, two in pairs)))

    def _member(
        self, name: str, member: str, options: Sql, *, grant: bool, revoked: Iterable[pb.Node] = ()
    ) -> str:
        if not (name in _HARMLESS_PREDEFINED or self.ensure(name)) or not self.ensure(member):
            return f"not member of {name}" if grant else f"{name} stays as it is"
        if grant:
            self._run(f"GRANT {identifier(name)} TO {identifier(member)}{options}")
        else:
            only = " ".join(f"{option.def_elem.defname.upper()} OPTION FOR" for option in revoked)
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
        self._admin.connection.execute(statement.encode())


def make_tablespace(admin: Admin, name: str) -> None:
    """A tablespace inside the data directory, for files that name one; anybody may use it."""
    run = admin.connection.execute
    run("SET allow_in_place_tablespaces = on")
    run(f"CREATE TABLESPACE {identifier(name)} LOCATION {literal('')}".encode())
    run(f"GRANT CREATE ON TABLESPACE {identifier(name)} TO PUBLIC".encode())


def _known(options: dict[str, pb.Node], names: dict[str, Any]) -> list[tuple[Any, pb.Node]]:
    return [(names[name], value) for name, value in options.items() if name in names]


def _given(value: pb.Node) -> bool:
    """Whether an option asks for something: NOSUPERUSER is the same option with false, PASSWORD NULL has no value."""
    return value.boolean.boolval if value.HasField("boolean") else value.WhichOneof("node") is not None


def _boolean(value: pb.Node) -> str:
    return "TRUE" if value.boolean.boolval else "FALSE"

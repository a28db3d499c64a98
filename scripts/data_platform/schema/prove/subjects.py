"""As whom isolation is tried: the roles that a table's policies are meant for, its owner, or a role made for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg

from data_platform.model.database import Name, Table
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.sessions import DENIED
from data_platform.schema.prove.tenancy import Guarded
from data_platform.sql.text import identifier, identifiers, relation_literal

MAX_ROLES = 3
"""As whom one table is tried, of roles that other policies apply to."""


@dataclass(frozen=True)
class Subject:
    """A role that is subject to a table's policies; None is the session's own. `is_owner`: of that table."""

    role: str | None
    is_owner: bool = False
    made: bool = False

    @property
    def shown(self) -> str | None:
        """For reports."""
        return "a role made for it" if self.made else self.role


@dataclass
class Subjects:
    """The subjects of each table; makes a role when there is none, in the transaction that is open."""

    ground: Ground
    _made: str | None = None
    _tried: bool = False
    _kept: dict[Name, tuple[Subject, ...]] = field(default_factory=dict)

    def of(self, guard: Guarded) -> tuple[Subject, ...]:
        """As whom the table is tried; empty where there is nobody and no role can be made."""
        name = guard.table.name
        if name not in self._kept:
            self._kept[name] = tuple(self._found(guard))
        return self._kept[name]

    def all(self, guards: tuple[Guarded, ...]) -> tuple[Subject, ...]:
        """Everybody as whom some table is tried, once each."""
        found = {subject.role: subject for guard in guards for subject in self.of(guard)}
        return tuple(found.values())

    def _found(self, guard: Guarded) -> Iterator[Subject]:
        roles = list(self._tenant_roles(guard))
        yield from (Subject(role) for role in roles)
        if roles:
            return
        if guard.table.row_security == "forced":
            yield Subject(guard.table.owner, is_owner=True)
        elif made := self._role():
            yield Subject(made, made=True)

    def _tenant_roles(self, guard: Guarded) -> Iterator[str]:
        seen: set[frozenset[str]] = set()
        for role in sorted(self.ground.roles, key=lambda name: (len(self.ground.inherited(name)), name)):
            inherited = self.ground.inherited(role)
            applying = frozenset(p.name for p in guard.table.policies if set(p.roles) & inherited)
            if applying in seen or not guard.means(applying) or not self._reads(role, guard.table):
                continue
            seen.add(applying)
            yield role
            if len(seen) == MAX_ROLES:
                return

    def _reads(self, role: str, table: Table) -> bool:
        """Whether the role may read the table, is not its owner, and does not pass row-level security by."""
        query = f"""
            SELECT has_any_column_privilege(r.oid, c.oid, 'SELECT') AND NOT r.rolsuper AND NOT r.rolbypassrls
                   AND NOT pg_has_role(r.oid, c.relowner, 'USAGE')
              FROM pg_roles AS r, pg_class AS c
             WHERE r.rolname = %s AND c.oid = {relation_literal(table.name)}::regclass"""  # noqa: S608 - a quoted name
        row = self.ground.connection.execute(query.encode(), [role]).fetchone()
        return bool(row and row[0])

    def _role(self) -> str | None:
        """A role that may do everything that can be granted, until the transaction is taken back."""
        if not self._tried:
            self._tried = True
            try:
                with self.ground.connection.transaction():
                    self._made = self._make()
            except psycopg.Error as error:
                if error.sqlstate not in (DENIED, "42601", "22023"):
                    raise
        return self._made

    def _make(self) -> str:
        connection = self.ground.connection
        name = f"{connection.info.dbname}_tenant"
        role = identifier(name)
        if connection.info.server_version >= 160000:
            connection.execute("SET LOCAL createrole_self_grant TO 'set'")
        connection.execute(f"CREATE ROLE {role} NOLOGIN".encode())
        if connection.info.server_version < 160000:
            connection.execute(f"GRANT {role} TO CURRENT_USER".encode())
        schemas = {table.name.schema for table in self.ground.database.tables}
        schemas |= {f.name.schema for f in self.ground.database.functions}
        schemas |= {view.name.schema for view in self.ground.database.views}
        listed = identifiers(sorted(schemas | {"public"}))
        connection.execute(f"GRANT USAGE ON SCHEMA {listed} TO {role}".encode())
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {listed} TO {role}".encode())
        connection.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {listed} TO {role}".encode())
        return name

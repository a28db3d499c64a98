"""Who may see the rows of a store: roles that row security hides rows from, and privileges for one table more."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from data_platform.errors import UsageProblem
from data_platform.model.database import Name


def refuse_hidden(connection: psycopg.Connection[Any], schema: str) -> None:
    """UsageProblem where row security keeps this role from rows: what it cannot see would be taken for missing."""
    chunks = sql.Identifier(schema, "chunks").as_string(connection)
    row = connection.execute("SELECT row_security_active(%s::regclass)", [chunks]).fetchone()
    if row and row[0]:
        raise UsageProblem(
            f"row security hides rows of `{schema}` from this role",
            expected="a role that sees every tenant's rows",
            try_="a role with BYPASSRLS; or, where applications have a role of their own, the owner after"
            f" ALTER TABLE … NO FORCE ROW LEVEL SECURITY on the tables of `{schema}`",
        )


_PRIVILEGES = """
SELECT a.privilege_type, r.rolname, a.is_grantable
FROM pg_class c, aclexplode(c.relacl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE c.oid = %s::regclass AND a.grantee <> c.relowner
"""


def copy_privileges(connection: psycopg.Connection[Any], old: Name, new: Name) -> None:
    """Whoever may use the one table may use the other, so that clients find it open when they come to it."""
    before, after = sql.Identifier(old.schema, old.name), sql.Identifier(new.schema, new.name)
    for privilege, role, again in connection.execute(_PRIVILEGES, [before.as_string(connection)]).fetchall():
        grant = sql.SQL("GRANT {} ON {} TO {}{}").format(
            sql.SQL(privilege),  # a word of the server's
            after,
            sql.Identifier(role) if role else sql.SQL("PUBLIC"),
            sql.SQL(" WITH GRANT OPTION" if again else ""),
        )
        connection.execute(grant)

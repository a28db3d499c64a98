"""Roles that a database refers to: made and changed, never dropped, as other databases of the server may use them."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.ddl.whole import membership_pieces, role_pieces
from data_platform.migration.plan.making import statements
from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import slug
from data_platform.model.database import Role
from data_platform.sql.text import Sql, identifier, identifiers

_ATTRIBUTES = {
    "superuser": "SUPERUSER",
    "login": "LOGIN",
    "inherit": "INHERIT",
    "create_database": "CREATEDB",
    "create_role": "CREATEROLE",
    "replication": "REPLICATION",
    "bypass_row_security": "BYPASSRLS",
}


def steps(pair: Pair) -> Iterator[Step]:
    """New roles, and what changes of the others."""
    found = changes(pair.before.roles, pair.after.roles)
    for role in found.added:
        yield Step(
            name=slug("create_role", role.name),
            phase="expand",
            reason="Made where the server has no role of that name; it has no password yet.",
            up=statements((*role_pieces(role), *membership_pieces(role))),
            one_way="roles belong to all databases of a server, so none is dropped",
        )
    for old, new in found.changed:
        forth, back = tuple(_altered(old, new)), tuple(_altered(new, old))
        if forth:
            yield Step(
                name=slug("alter_role", new.name),
                phase="expand",
                reason="Only the catalog of roles changes, for all databases of the server.",
                up=forth,
                down=back,
            )


def _altered(old: Role, new: Role) -> Iterator[Sql]:
    words = [
        word if getattr(new, field) else f"NO{word}"
        for field, word in _ATTRIBUTES.items()
        if getattr(old, field) != getattr(new, field)
    ]
    if words:
        yield Sql(f"ALTER ROLE {identifier(new.name)} {' '.join(words)}")
    more = [role for role in new.member_of if role not in old.member_of]
    less = [role for role in old.member_of if role not in new.member_of]
    if more:
        yield Sql(f"GRANT {identifiers(more)} TO {identifier(new.name)}")
    if less:
        yield Sql(f"REVOKE {identifiers(less)} FROM {identifier(new.name)}")

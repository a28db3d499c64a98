"""Grants and default privileges taken apart, so that it does not matter in how many statements they were given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from data_platform.model.database import DefaultPrivilege, Grant
from data_platform.postgres.catalog import Connection

_KINDS = {
    "table": "regclass",
    "sequence": "regclass",
    "function": "regprocedure",
    "procedure": "regprocedure",
    "type": "regtype",
    "domain": "regtype",
}
"""The type that reads and prints names of that kind."""


def named(connection: Connection, grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """The grants with their objects as the server names them; one that is not there keeps its name."""
    return tuple(replace(grant, object=_object(connection, grant)) for grant in grants)


def _object(connection: Connection, grant: Grant) -> str:
    kind = _KINDS.get(grant.kind)
    if kind is None:
        return grant.object
    with connection.transaction(force_rollback=True):
        # Read under the usual search path, printed under an empty one.
        found = connection.execute(f"SELECT to_{kind}(%s)::oid".encode(), [grant.object]).fetchone()
        connection.execute("SET LOCAL search_path TO ''")
        name = connection.execute(f"SELECT %s::oid::{kind}::text".encode(), found).fetchone()
    return name[0] if name and name[0] else grant.object


def each(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """One grant for each privilege and column, sorted."""
    apart = {one for grant in grants for one in _each(grant)}
    return tuple(sorted(apart, key=lambda one: (one.kind, one.object, one.role, one.privileges, one.columns)))


def _each(grant: Grant) -> Iterator[Grant]:
    for privilege in grant.privileges:
        if not grant.columns:
            yield replace(grant, privileges=(privilege,))
        for column in grant.columns:
            yield replace(grant, privileges=(privilege,), columns=(column,))


def each_default(privileges: Iterable[DefaultPrivilege]) -> tuple[DefaultPrivilege, ...]:
    """One for each privilege, sorted."""
    apart = [
        replace(given, privileges=(privilege,)) for given in privileges for privilege in given.privileges
    ]
    return tuple(sorted(apart, key=str))

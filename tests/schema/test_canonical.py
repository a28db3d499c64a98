"""A design of every kind and field is what its catalog says, once the server has spelled it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from data_platform.model.database import Name
from data_platform.model.differences import differences
from data_platform.postgres.canonical import canonical, comparable
from data_platform.postgres.catalog import read
from data_platform.postgres.server import Database, Server
from schema.everything import EVERYTHING, ROLES
from schema.everything.builders import apply, design


def test_everything_is_what_it_was_written_as(server: Server, database: Database) -> None:
    # Its raw comment on a constraint is a property of the constraint to the catalog.
    said = design(replace(EVERYTHING, raw=tuple(part for part in EVERYTHING.raw if part.kind != "comment")))
    try:
        with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:
            apply(connection, said.database)
            found = read(connection)
            wanted = canonical(connection, said, found)
        assert differences(wanted, comparable(found, said)).equal, differences(
            wanted, comparable(found, said)
        )
        assert len(found.tables) == len(said.database.tables)
        _a_difference_is_seen(said, found, wanted)
    finally:
        with psycopg.connect(database.admin_conninfo, autocommit=True) as connection:
            for role in ROLES:
                connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
        with psycopg.connect(server.conninfo, autocommit=True) as admin:
            for role in ROLES:
                admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def _a_difference_is_seen(said: Any, found: Any, wanted: Any) -> None:
    """What is not as the design says is told, whichever kind it is of."""
    orders = found.table(Name("app", "orders"))
    poorer = replace(orders, policies=orders.policies[1:], row_security="off", triggers=orders.triggers[1:])
    tables = tuple(poorer if table is orders else table for table in found.tables)
    changed = replace(found, tables=tables, views=found.views[1:])
    seen = differences(wanted, comparable(changed, said))
    assert {name.split(" ")[0] for name in seen.removed} == {"policy", "trigger", "view"}
    assert [change.property for change in seen.changed] == ["row_security"]

"""What a server of an older version cannot say is not written for it, and what is left still loads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from data_platform.ddl import script
from data_platform.ddl.older import for_server
from data_platform.postgres.server import Server
from schema.everything import EVERYTHING, ROLES
from schema.everything.builders import apply, design

SINCE = {
    18: (
        "WITHOUT OVERLAPS",
        "PERIOD",
        "NOT ENFORCED",
        "CONSTRAINT tenant_there",
        "NOT NULL number NOT VALID",
        "VIRTUAL",
        "LARGE OBJECTS",
    ),
    17: ("MAINTAIN",),
    16: ("STORAGE DEFAULT",),
    15: (
        "security_invoker",
        "TABLES IN SCHEMA",
        "(number, tenant) WHERE",
        "UNLOGGED SEQUENCE",
        "NULLS NOT DISTINCT",
        "SET NULL (order_id)",
    ),
    14: ("COMPRESSION", "MULTIRANGE_TYPE_NAME", "BEGIN ATOMIC", "RETURN a + b", "orders_lengths"),
}
"""Text of EVERYTHING's DDL by the version that brought it."""


@pytest.mark.parametrize("version", [13, 14, 15, 16, 17, 18])
def test_a_clause_is_written_from_its_version_on(version: int) -> None:
    made = script(design(EVERYTHING, version), "dpe")
    for since, texts in SINCE.items():
        for text in texts:
            assert (text in made) == (version >= since), text


@pytest.fixture
def admin(server: Server) -> Iterator[psycopg.Connection[Any]]:
    with server.scratch_database() as database, psycopg.connect(database.admin_conninfo) as connection:
        yield connection
        connection.rollback()
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@pytest.mark.parametrize("version", [13, 17])
def test_what_is_left_loads(admin: psycopg.Connection[Any], version: int) -> None:
    """A newer server reads what was written for an older one; the raw statement names a constraint that went."""
    kept = tuple(raw for raw in EVERYTHING.raw if raw.kind != "comment")
    apply(admin, dataclasses.replace(EVERYTHING, raw=kept), version=version)
    row = admin.execute("SELECT app.add(2, 3)").fetchone()
    assert row == (5,)


def test_the_newest_server_gets_all() -> None:
    assert for_server(EVERYTHING, 18) is EVERYTHING

"""A database that is imported comes back as it was: through SQL, the catalog, the written model and its DDL."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.ddl import script
from data_platform.model.database import Database
from data_platform.model.design import Design
from data_platform.model.differences import differences
from data_platform.postgres import sources
from data_platform.postgres.binaries import find_programs, server_account
from data_platform.postgres.load import Script
from data_platform.postgres.server import Server
from data_platform.schema.imported import counts, raw_counts
from data_platform.spec import document, validate
from data_platform.spec.model import read_model
from data_platform.spec.model.write import write
from schema.everything import EVERYTHING
from schema.everything.builders import design as everything
from strategies import models


def quiet(_what: str, _share: float) -> None:
    """No progress."""


def taken(server: Server, sql: str) -> Database:
    return sources.of_scripts(server, [Script("given.sql", sql)], quiet).database


def written(database: Database) -> Design:
    """The database as a model that was written to a file and read again."""
    text = write(Design(store="Customer DB", server_version=18, database=database))
    parsed = document.parse(text.encode(), "model.yaml")
    validate.check(parsed)
    return read_model(parsed)


def comes_back(server: Server, sql: str) -> Database:
    """What the SQL makes, after it was seen to survive each step."""
    first = taken(server, sql)
    model = written(first)
    assert differences(first, model.database).equal, differences(first, model.database)
    again = taken(server, script(model, "dpe"))
    assert differences(first, again).equal, differences(first, again)
    assert script(written(again), "dpe") == script(model, "dpe")
    return first


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_random_models_come_back(server: Server, spec: dict[str, Any]) -> None:
    import yaml

    try:
        parsed = document.parse(
            yaml.safe_dump(spec, allow_unicode=True, sort_keys=False).encode(), "model.yaml"
        )
        validate.check(parsed)
        model = read_model(parsed)
    except document.SpecProblem:
        assume(False)
    comes_back(server, script(model, "dpe"))


@pytest.fixture(scope="module")
def everything_sql() -> str:
    """EVERYTHING without what only a superuser may make: code in C, and what rests on it."""
    database = replace(
        EVERYTHING,
        types=tuple(type_ for type_ in EVERYTHING.types if not getattr(type_, "canonical", None)),
        functions=tuple(part for part in EVERYTHING.functions if part.language not in ("c", "internal")),
        raw=tuple(part for part in EVERYTHING.raw if part.kind != "procedural language"),
        grants=tuple(part for part in EVERYTHING.grants if part.kind != "language"),
    )
    # Roles called dpe_… are the loader's own.
    return script(everything(database), "dpe").replace("dpe_r_", "imp_")


def test_a_database_of_every_kind_and_field_comes_back(server: Server, everything_sql: str) -> None:
    found = comes_back(server, everything_sql)
    assert len(found.tables) == len(EVERYTHING.tables)
    assert sum(counts(found).values()) > 150
    assert raw_counts(found)["aggregate"] == 1


def test_a_dump_of_it_is_the_same(server: Server, everything_sql: str) -> None:
    with server.scratch_database() as database:
        from data_platform.postgres.load import load

        load(database, [Script("given.sql", everything_sql)])
        address = conninfo_to_dict(database.admin_conninfo)
        environment = {**os.environ, "PGPASSWORD": str(address.pop("password"))}
        address.pop("options", None)
        dump = subprocess.run(
            [find_programs(server_account()) / "pg_dump", "--schema-only", "-d", make_conninfo(**address)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        owner = database.name
    first = taken(server, everything_sql)
    dumped = taken(server, dump.replace(owner, "imp_dumper"))
    # Whose the defaults are is said by a dump; roles without objects are not.
    lost = [
        name
        for name in differences(first, dumped).removed
        if not name.startswith(("role ", "default privilege "))
    ]
    assert lost == []


def test_identical_twins_are_not_merged(server: Server) -> None:
    found = comes_back(
        server,
        """
        CREATE TABLE a (id int PRIMARY KEY, b int);
        ALTER TABLE a ADD CONSTRAINT twin UNIQUE (id), ADD CONSTRAINT other UNIQUE (b);
        ALTER TABLE a ADD CONSTRAINT triplet UNIQUE (b);
        """,
    )
    assert [key.name for key in found.tables[0].uniques] == ["other", "triplet", "twin"]


def test_partitions_keep_the_names_of_their_not_nulls(server: Server) -> None:
    comes_back(
        server,
        """
        CREATE TABLE z (at date NOT NULL, n int NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE a PARTITION OF z FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY HASH (n);
        CREATE TABLE a1 PARTITION OF a FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE b (at date NOT NULL, n int CONSTRAINT mine NOT NULL);
        ALTER TABLE z ATTACH PARTITION b DEFAULT;
        """,
    )


def test_the_attributes_of_roles_are_kept_though_the_scratch_cluster_does_without(server: Server) -> None:
    found = taken(
        server,
        "CREATE ROLE imp_app LOGIN CREATEDB PASSWORD 'secret'; CREATE USER imp_boss SUPERUSER; CREATE TABLE t (a int);"
        "ALTER TABLE t OWNER TO imp_app; GRANT SELECT ON t TO imp_boss;",
    )
    roles = {role.name: role for role in found.roles}
    assert (roles["imp_app"].login, roles["imp_app"].create_database) == (True, True)
    assert (roles["imp_boss"].login, roles["imp_boss"].superuser) == (True, True)
    assert "secret" not in write(Design(store="x", server_version=18, database=found))

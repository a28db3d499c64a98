"""Migrations tried on the shared server: the whole proof, or only the run without clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from data_platform.migration.files import Statement, Transaction, read_bytes
from data_platform.migration.prove import observe, run
from data_platform.migration.prove.hold_up import HoldUp
from data_platform.migration.prove.options import Base, Options
from data_platform.migration.prove.prove import prove, with_asked
from data_platform.migration.prove.rehearsal import named
from data_platform.migration.prove.result import Proof, StatementResult
from data_platform.migration.prove.session import open_session
from data_platform.migration.prove.watch import Watch
from data_platform.postgres.connect import connect
from data_platform.postgres.load import Script
from data_platform.postgres.server import Database, Server
from data_platform.sql.text import identifier

SHOP = """
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, name text);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint NOT NULL,
    status varchar(20) NOT NULL DEFAULT 'new', amount integer NOT NULL, note text,
    created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX orders_created_at ON orders (created_at);
"""
FEW = Options(default_rows=300, kills=False)


def statements(
    text: str, transaction: Transaction = "as-written", file: str = "m.sql"
) -> tuple[Statement, ...]:
    """A migration's statements."""
    return read_bytes(file, text.encode(), transaction).statements


def proven(
    server: Server,
    up: str,
    *,
    base: str = SHOP,
    down: str = "",
    transaction: Transaction = "as-written",
    options: Options = FEW,
    more: Mapping[str, Any] | None = None,
) -> Proof:
    """The whole proof of a migration."""
    given = replace(Base(scripts=(Script("base.sql", base),), what="base.sql"), **(more or {}))
    before = _scratch(server)
    try:
        return prove(statements(up, transaction), given, server, options, down=statements(down, file="d.sql"))
    finally:
        _sweep(server, _scratch(server) - before)


def _scratch(server: Server) -> set[str]:
    with connect(server.conninfo, read_only=True) as admin:
        both = "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles"
        found = admin.execute(
            f"SELECT name FROM ({both}) AS t (name) WHERE name ~ '^dpe_[0-9a-f]{{16}}$'".encode()
        )
        return {name for (name,) in found}


def _sweep(server: Server, names: set[str]) -> None:
    """Drop what a proof leaves on an embedded server, which usually goes as a whole: other tests share this one."""
    with connect(server.conninfo, read_only=False) as admin:
        for kind in ("DATABASE", "ROLE"):
            for name in names:
                admin.execute(f"DROP {kind} IF EXISTS {identifier(name)}".encode())


def seen(
    database: Database, up: str, *, base: str = SHOP, transaction: Transaction = "as-written"
) -> tuple[StatementResult, ...]:
    """What is seen of a migration's statements on tables with a hundred rows each, without clients."""
    with connect(database.conninfo, read_only=False) as owner:
        owner.execute(base.encode())
        owner.execute(
            "INSERT INTO customers (email, name) SELECT 'c' || n, 'n' FROM generate_series(1, 100) AS n;"
            "INSERT INTO orders (customer_id, amount, note) SELECT n, n, 'n' FROM generate_series(1, 100) AS n"
        )
    given = statements(up, transaction)
    with (
        connect(database.admin_conninfo, read_only=False) as admin,
        connect(database.admin_conninfo, read_only=False) as sampler,
        connect(database.admin_conninfo, read_only=False) as looking,
        connect(database.conninfo, read_only=False) as owner,
        open_session(database) as session,
    ):
        watch = Watch(admin, sampler, session.pid)
        try:
            there = [oid for oid, relation in watch.relations().items() if relation.kind != "index"]
            hold_up = HoldUp(owner, Watch(looking, None, session.pid))
            runner = run.Runner(session, watch, outside=hold_up)
            runner.run(given)
            asked = hold_up.asked
        finally:
            watch.end()
    results = observe.results(given, runner.seen, (), there)
    return tuple(
        replace(one, locks=with_asked(one, named(asked.get(one.index, frozenset()), runner.seen)))
        for one in results
    )


def locks(result: StatementResult) -> dict[str, str]:
    """The strongest lock on each table."""
    found: dict[str, str] = {}
    for lock in sorted(result.locks, key=lambda one: one.strength):
        if lock.kind == "table":
            found[lock.relation.removeprefix("public.")] = lock.mode
    return found

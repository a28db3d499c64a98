"""One stage of the proof on a small design: the DDL applied, the tables filled, nothing else tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from data_platform.model.design import Design
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.filling import fillable
from data_platform.postgres.filling.aside import switch_off, switch_on, switches
from data_platform.postgres.server import Server
from data_platform.postgres.synthetic import Generator
from data_platform.schema.prove.apply import apply, search_path
from data_platform.schema.prove.comparison import named_roles
from data_platform.schema.prove.ground import Ground
from data_platform.schema.prove.materialized import materialized_in_order, refresh_all
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.triggers import track_calls
from data_platform.sql.text import identifiers
from schema.designs import design


@contextmanager
def filled(
    server: Server, text: str, rows: int = 40, change: str = ""
) -> Iterator[tuple[Ground, Design, str]]:
    """The ground of a stage, its design, and how to reach the database; `change` is SQL behind the model's back."""
    wanted = design(text)
    with server.scratch_database() as scratch:
        done = apply(wanted, scratch, 60)
        assert done.refused is None, done.refused
        with connect(scratch.conninfo, read_only=False) as connection:
            assert track_calls(scratch, connection.info.user)
            connection.execute(f"SET search_path TO {identifiers(search_path(wanted))}")
            if change:
                connection.execute(change.encode())
            named = named_roles(wanted.database)
            found = read(connection, roles=named)
            found = replace(found, roles=tuple(role for role in found.roles if role.name in named))
            on = switches(connection)
            switch_off(connection, on)
            wished = {t.name: min(rows, wanted.rows.get(t.name, rows)) for t in found.tables if t.holds_rows}
            generator = Generator(fillable(connection, found, wanted.hints), wished, wanted.hints, 1)
            assert all(fill.rows for fill in generator.fill(connection))
            refresh_all(connection, materialized_in_order(connection))
            switch_on(connection, on)
        with connect(scratch.conninfo, read_only=False) as connection:
            connection.prepare_threshold = None
            connection.execute(f"SET search_path TO {identifiers(search_path(wanted))}")
            yield Ground(connection, found, generator, on, wanted.search_path), wanted, scratch.conninfo


def states(claims: Iterable[Claim]) -> dict[tuple[str, str], str]:
    """The state of each promise, by object and promise; the worst one where several roles tried it."""
    order = ("failed", "not checked", "proven")
    found: dict[tuple[str, str], str] = {}
    for claim in claims:
        key = (claim.object.removeprefix("public.").removeprefix("app."), claim.claim)
        found[key] = min(found.get(key, "proven"), claim.state, key=order.index)
    return found


def failed(claims: Iterable[Claim]) -> set[tuple[str, str]]:
    """Objects with the promises that were broken."""
    return {key for key, state in states(claims).items() if state == "failed"}

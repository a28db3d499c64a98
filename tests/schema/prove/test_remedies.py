"""Whatever fails in a proof says in one line what to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from data_platform.model.database import Name
from data_platform.model.differences import Change, Differences
from data_platform.postgres.server import Server
from data_platform.schema.prove import grants, interference, partitions, promises, remedies
from data_platform.schema.prove.findings import findings
from data_platform.schema.prove.prove import Plan, prove
from data_platform.schema.prove.result import Claim, Probe, Proof, Refresh
from schema.designs import design

TEXT = """
tables:
  orders:
    columns: {tenant_id: {type: uuid, data: {distinct: 4}}, id: {type: bigint, primary_key: true}}
    row_security: forced
    policies: {own: {using: "tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid"}}
materialized_views: {of_orders: SELECT id FROM orders}
"""


def _claims() -> Iterator[Claim]:
    texts = [text for module in (promises, interference, partitions) for text in _promises(module)]
    texts += [grants.HOLDS, grants.LATER]
    for text in texts:
        yield Claim(kind="view", object="x", claim=text, state="failed", detail="why")
    yield Claim(kind="trigger", object="x", claim="fires after insert", state="failed", detail="why")


def _promises(module: object) -> list[str]:
    """The module's constants that are sentences."""
    values = [getattr(module, name) for name in vars(module) if name.isupper() and not name.startswith("_")]
    return [value for value in values if isinstance(value, str) and " " in value]


def _proof() -> Proof:
    name = Name("public", "orders")
    kinds = ("unique", "check", "foreign key", "not null", "exclusion", "default", "on delete cascade")
    probes = [Probe(kind=kind, table=name, constraint="c", state="failed", detail="d") for kind in kinds]
    details = (
        "it is empty after it: its owner sees none",
        "a reader waited 9 ms",
        "the refresh fails",
        "rows are not those of its query",
    )
    refreshes = tuple(Refresh(view=name, state="failed", detail=detail) for detail in details)
    claims = tuple(_claims())
    return replace(
        Proof(
            server="s", server_version="18.0", seed=1, baseline_ms=0, seconds=0, verdict="failed", reasons=()
        ),
        catalog=Differences(
            added=("a",), removed=("b",), changed=(Change(object="x", property="y", before="1", after="2"),)
        ),
        constraints=tuple(probes),
        isolation=claims,
        partitions=claims,
        triggers=claims,
        grants=claims,
        refreshes=refreshes,
        broken="it ended",
    )


def test_every_failure_has_a_fix_of_one_line() -> None:
    found = [finding for finding in findings(design(TEXT), _proof()) if finding.severity == "error"]
    assert len(found) > 60
    for finding in found:
        assert finding.fix, finding
        assert "\n" not in finding.fix
        assert len(finding.fix) < 220


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (
            Claim(kind="view", object="v", claim=interference.SILENT, state="failed", detail="d"),
            "security_invoker",
        ),
        (
            Claim(
                kind="view",
                object="v",
                claim=interference.SILENT,
                state="failed",
                detail="x has no row-level security",
            ),
            "`row_security: forced`",
        ),
        (Claim(kind="table", object="t", claim=promises.COPIED, state="failed", detail="d"), "tenant column"),
        (
            Claim(kind="trigger", object="t", claim="does not fire after insert", state="failed", detail="d"),
            "enabled:",
        ),
        (
            Claim(
                kind="table",
                object="t",
                claim=grants.HOLDS,
                state="failed",
                detail="SELECT works and is not granted",
            ),
            "`grants:`",
        ),
    ],
)
def test_it_is_the_one_for_what_happened(claim: Claim, words: str) -> None:
    assert words in remedies.of_claim(claim)


def test_a_materialized_view_that_row_security_empties(server: Server) -> None:
    wanted = design(TEXT)
    proof = prove(wanted, server, Plan(default_rows=20))
    found = {
        finding.rule: finding.fix or "" for finding in findings(wanted, proof) if finding.severity == "error"
    }
    assert set(found) == {"refresh-fails", "isolation-broken"}
    assert "bypass_row_security" in found["refresh-fails"]
    assert "no grants on it" in found["isolation-broken"]


def test_what_it_says_to_do_for_such_a_view_is_refreshed(server: Server) -> None:
    """Its owner passes row-level security by: then the refresh finds the rows."""
    cured = (
        TEXT.replace("SELECT id FROM orders}", "{query: SELECT id FROM orders, owner: remedy_reports}}")
        + """
roles: {remedy_reports: {bypass_row_security: true}}
grants: [{on: table orders, to: remedy_reports, privileges: select}]
"""
    )
    proof = prove(design(cured), server, Plan(default_rows=20))
    assert [(refresh.state, refresh.rows) for refresh in proof.refreshes] == [("proven", 20)]

"""The verdict of a proof, from everything that it found."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.report.document import plain
from data_platform.schema.prove.checklist import INDEXED, NORMALISED
from data_platform.schema.prove.result import Proof, Verdict


def judge(proof: Proof) -> tuple[Verdict, tuple[str, ...]]:
    """What the run amounts to, and why it is not `proven`.

    `failed`: something was tried and is wrong. `not_provable`: nothing is wrong, but a whole table went untried.
    """
    failures = tuple(_failures(proof))
    if failures:
        return "failed", failures
    gaps = tuple(_gaps(proof))
    return ("not_provable", gaps) if gaps else ("proven", ())


def _gaps(proof: Proof) -> Iterator[str]:
    if proof.refused:
        refused = proof.refused
        yield (
            f"the server refused `{refused.object}` (`{refused.message}`) "
            f"after `{refused.for_want_of}` had been left out"
        )
    for fill in proof.filled:
        if not fill.rows:
            why = (
                f"no row that satisfies every constraint was found: `{fill.note}`"
                if fill.wanted
                else "0 rows were asked for"
            )
            yield f"`{fill.table}` is empty: {why}"
    filled = {fill.table for fill in proof.filled if fill.rows}
    for table in sorted(filled):
        tried = [probe for probe in proof.constraints if probe.table == table]
        if tried and all(probe.state == "not checked" for probe in tried):
            yield f"no constraint of `{table}` could be tried: {tried[0].detail}"


def _failures(proof: Proof) -> Iterator[str]:
    if proof.refused and proof.refused.for_want_of:
        return
    if proof.refused:
        yield f"the server refused `{proof.refused.object}`: `{proof.refused.message}`"
        return
    if proof.broken:
        yield f"the run ended early, {proof.broken}"
    if proof.catalog and not proof.catalog.equal:
        count = len(proof.catalog.added) + len(proof.catalog.removed) + len(proof.catalog.changed)
        yield f"the catalog differs from the model in {count} place{'s' if count != 1 else ''}"
    for measured in proof.patterns:
        if measured.error:
            yield f"access pattern `{measured.pattern.name}` does not run: `{measured.error}`"
        elif measured.meets_target is False:
            yield (
                f"access pattern `{measured.pattern.name}` takes {measured.median_ms:.2f} ms, "
                f"target {measured.pattern.latency_ms:g} ms"
            )
    for check in proof.checks:
        # What fails in the list is also why the whole fails; the items on probes are told by the probes below.
        if check.state == "failed" and check.claim in (NORMALISED, INDEXED):
            yield f"{plain(check.claim)}: {plain(check.reason)}"
    yield from (
        f"constraint `{p.constraint}` on `{p.table}`: {p.detail}"
        for p in proof.constraints
        if p.state == "failed"
    )
    yield from (
        f"foreign key `{p.constraint}` on `{p.table}`: {p.detail}"
        for p in proof.deletes
        if p.state == "failed"
    )
    for claims in proof.claims.values():
        yield from (f"`{c.object}`: {c.claim}: {c.detail}" for c in claims if c.state == "failed")
    yield from (f"`{r.view}`: {r.detail}" for r in proof.refreshes if r.state == "failed")

"""The stages beyond rows and constraints, for a person and as JSON: only what there is, failures first."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from data_platform.report.document import (
    Bullets,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Strong,
    Table,
    words,
)
from data_platform.schema.prove.partitions import LANDS
from data_platform.schema.prove.result import Claim, LeftOut, Proof, Refresh

MAX_ROWS = 40
_FIRST = ("failed", "not checked", "proven")

_HEADINGS = {
    "partitions": "Partitions",
    "isolation": "Tenant isolation, tried as another tenant and without one",
    "triggers": "Triggers, each made to fire",
    "grants": "Privileges, tried as each role",
}
_TOLD = {
    "partitions": "promises of partitions held",
    "isolation": "promises of tenant isolation held",
    "triggers": "triggers did as the model says",
    "grants": "objects and roles have the privileges of the model",
}


# --- JSON ---


def result(proof: Proof) -> dict[str, Any]:
    """The keys that these stages add to the envelope's `result`."""
    claims = {stage: [_claim(claim) for claim in claims] for stage, claims in proof.claims.items()}
    return {
        **claims,
        "refreshes": [_refresh(refresh) for refresh in proof.refreshes],
        "left_out": [_left_out(part) for part in proof.left_out],
        "set_aside": dataclasses.asdict(proof.aside),
    }


def _claim(claim: Claim) -> dict[str, Any]:
    return {**dataclasses.asdict(claim), "table": claim.table and str(claim.table)}


def _refresh(refresh: Refresh) -> dict[str, Any]:
    times = {name: round(getattr(refresh, name), 3) for name in ("query_ms", "refresh_ms", "stall_ms")}
    return {**dataclasses.asdict(refresh), "view": str(refresh.view), **times}


def _left_out(part: LeftOut) -> dict[str, Any]:
    return {
        "object": part.object,
        "table": part.table and str(part.table),
        "statement": part.sql,
        "reason": part.why,
    }


# --- for a person ---


def counts(proof: Proof) -> Iterator[tuple[int, int, str]]:
    """What was proven of how many, by stage, for the summary."""
    for stage, claims in proof.claims.items():
        yield sum(claim.state == "proven" for claim in claims), len(claims), _TOLD[stage]
    refreshed = sum(refresh.state == "proven" for refresh in proof.refreshes)
    yield refreshed, len(proof.refreshes), "materialized views refreshed under a reader"


def pieces(proof: Proof) -> Iterator[Piece]:
    """One section for each stage that had something to do."""
    if proof.left_out:
        yield Heading("Not run here as it stands")
        rows = [(Code(part.object), words(part.why)) for part in proof.left_out]
        yield Table(("object", "why"), _cut(rows))
    for stage in ("isolation", "partitions"):
        yield from _stage(stage, proof.claims[stage])
    yield from _refreshes(proof.refreshes)
    for stage in ("triggers", "grants"):
        yield from _stage(stage, proof.claims[stage])


def _stage(stage: str, claims: Sequence[Claim]) -> Iterator[Piece]:
    if not claims:
        return
    yield Heading(_HEADINGS[stage])
    yield _counted(stage, claims)
    open_ = sorted((c for c in claims if c.state != "proven"), key=lambda claim: _FIRST.index(claim.state))
    if open_:
        columns = ("object", "promise", "as", "state", "what happened")
        yield Table(columns, _cut([_row(claim) for claim in open_]))
    shown = [c for c in claims if c.state == "proven" and (stage == "triggers" or c.claim == LANDS)]
    if shown:
        told = [(Code(claim.object), claim.claim, words(claim.detail)) for claim in shown]
        yield Table(("object", "promise", "what happened"), _cut(told))
    warnings = [claim for claim in claims if claim.warning]
    if warnings:
        yield Bullets(tuple(_warned(claim) for claim in warnings[:MAX_ROWS]))


def _counted(stage: str, claims: Sequence[Claim]) -> Table:
    """By promise; privileges by role."""
    label = _label(stage)
    found: Counter[tuple[str, str]] = Counter((label(claim), claim.state) for claim in claims)
    names = list(dict.fromkeys(label(claim) for claim in claims))
    if stage == "triggers":
        told = "it fires where the model says so, and nowhere else"
        return _states(("promise",), {told: Counter(claim.state for claim in claims)})
    by_name = {name: {state: found[name, state] for state in _FIRST} for name in names}
    return _states(("role" if stage == "grants" else "promise",), by_name, code=stage == "grants")


def _label(stage: str) -> Callable[[Claim], str]:
    return (lambda claim: claim.role or "") if stage == "grants" else (lambda claim: claim.claim)


def _states(head: tuple[str], found: Mapping[str, Mapping[str, int]], *, code: bool = False) -> Table:
    rows = [
        (Code(name) if code else name, *(str(states.get(s, 0)) for s in ("proven", "failed", "not checked")))
        for name, states in found.items()
    ]
    return Table((*head, "proven", "failed", "not checked"), _cut(rows), numeric=frozenset({1, 2, 3}))


def _row(claim: Claim) -> tuple[Inline, ...]:
    role: Inline = Code(claim.role) if claim.role else "the owner"
    state: Inline = Strong(claim.state) if claim.state == "failed" else claim.state
    return Code(claim.object), claim.claim, role, state, words(claim.detail)


def _warned(claim: Claim) -> Inline:
    told = words(claim.warning or "")
    return (Code(claim.object), ": ", *(told if isinstance(told, tuple) else (told,)))


def _refreshes(found: Sequence[Refresh]) -> Iterator[Piece]:
    if not found:
        return
    yield Heading("Materialized views, refreshed while somebody reads them")
    ordered = sorted(found, key=lambda refresh: _FIRST.index(refresh.state))
    columns = ("view", "how", "refresh", "× its query", "longest read meanwhile", "state", "what happened")
    yield Table(columns, _cut([_refresh_row(one) for one in ordered]), numeric=frozenset({2, 3, 4}))
    if any(not one.concurrently for one in found):
        yield Paragraph("What is not refreshed CONCURRENTLY keeps its readers waiting until it is done.")


def _refresh_row(one: Refresh) -> tuple[Inline, ...]:
    ratio = f"{one.refresh_ms / one.query_ms:.1f}" if one.query_ms else "–"
    return (
        Code(str(one.view)),
        "CONCURRENTLY" if one.concurrently else "plain",
        f"{one.refresh_ms:.1f} ms",
        ratio,
        f"{one.stall_ms:.1f} ms",
        Strong(one.state) if one.state == "failed" else one.state,
        words(one.detail),
    )


def set_aside(proof: Proof) -> str:
    """What patterns and constraints ran without, in a sentence; "" where that is nothing."""
    aside = proof.aside
    parts = (
        (aside.triggers, "trigger", "triggers"),
        (aside.rules, "rule", "rules"),
        (aside.forced, "table's row-level security", "tables' row-level security"),
    )
    told = [f"{count} {one if count == 1 else many}" for count, one, many in parts if count]
    if not told:
        return ""
    return f"Rows, access patterns, constraints and deletes: with {' and '.join(told)} set aside, restored afterwards. "


def _cut(rows: Sequence[tuple[Inline, ...]]) -> tuple[tuple[Inline, ...], ...]:
    if len(rows) <= MAX_ROWS:
        return tuple(rows)
    rest: tuple[Inline, ...] = (f"… {len(rows) - MAX_ROWS} more, in the JSON", *("" for _ in rows[0][1:]))
    return (*rows[:MAX_ROWS], rest)

"""A proof for a person (`Report`) and for a program (JSON)."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import Any

from data_platform.model.design import Design
from data_platform.report.document import (
    Bars,
    Block,
    Bullets,
    Checklist,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Strong,
    Table,
    plain,
    spans,
    words,
)
from data_platform.schema.prove import claims_report
from data_platform.schema.prove.checklist import wasteful_scans
from data_platform.schema.prove.findings import found_nothing
from data_platform.schema.prove.result import DEFAULT, IndexUse, Measured, Probe, Proof

MAX_ALIKE = 3
MAX_BARS = 8
MAX_ROWS = 40
"""Rows of a table in the report; JSON has them all."""


# --- JSON ---


def result(proof: Proof) -> dict[str, Any]:
    """The envelope's `result`."""
    return {
        "verdict": proof.verdict,
        "reasons": list(proof.reasons),
        "server": proof.server,
        "server_version": proof.server_version,
        "seed": proof.seed,
        "statements": proof.statements,
        "refused": _refused(proof),
        "broken": proof.broken,
        "catalog": _catalog(proof),
        "rows": {str(fill.table): fill.rows for fill in proof.filled},
        "tables": [
            {
                "table": str(f.table),
                "rows": f.rows,
                "wanted": f.wanted,
                "seconds": round(f.seconds, 3),
                "note": f.note,
            }
            for f in proof.filled
        ],
        "baseline_ms": round(proof.baseline_ms, 4),
        "access_patterns": [_pattern(measured) for measured in proof.patterns],
        "constraints": [_probe(probe) for probe in proof.constraints],
        "deletes": [_probe(probe) for probe in proof.deletes],
        "indexes": [
            {"table": str(u.table), "index": u.index, "bytes": u.bytes, "reasons": list(u.reasons)}
            for u in proof.indexes
        ],
        **claims_report.result(proof),
        "checklist": [{"item": c.claim, "state": c.state, "reason": plain(c.reason)} for c in proof.checks],
        "seconds": round(proof.seconds, 3),
    }


def _refused(proof: Proof) -> dict[str, Any] | None:
    if proof.refused is None:
        return None
    return {**dataclasses.asdict(proof.refused), "table": proof.refused.table and str(proof.refused.table)}


def _catalog(proof: Proof) -> dict[str, Any] | None:
    if proof.catalog is None:
        return None
    return {
        "equal": proof.catalog.equal,
        "added": list(proof.catalog.added),
        "removed": list(proof.catalog.removed),
        "changed": [dataclasses.asdict(change) for change in proof.catalog.changed],
    }


def _pattern(measured: Measured) -> dict[str, Any]:
    return {
        "name": measured.pattern.name,
        "status": _status(measured),
        "error": measured.error,
        "executions": measured.executions,
        "median_ms": round(measured.median_ms, 4),
        "p95_ms": round(measured.p95_ms, 4),
        "target_ms": measured.pattern.latency_ms,
        "rows": measured.rows,
        "expected_rows": measured.pattern.expected_rows,
        "load_ms_per_s": None if measured.load is None else round(measured.load, 3),
        "indexes": list(measured.indexes),
        "empty": list(measured.empty),
        "scans": [dataclasses.asdict(scan) for scan in measured.scans],
        "plan": measured.plan,
    }


def _status(measured: Measured) -> str:
    if measured.error:
        return "error"
    if measured.empty and measured.meets_target is None:
        return "not checked"
    return {True: "met", False: "missed", None: "no target"}[measured.meets_target]


def _probe(probe: Probe) -> dict[str, Any]:
    return {**dataclasses.asdict(probe), "table": str(probe.table)}


# --- for a person ---


def report(design: Design, proof: Proof, again: str) -> Report:
    """The proof as a report. `again` is the command that repeats it."""
    return Report(
        title=(Code(design.store), f": {_title(design, proof)}"),
        verdict=proof.verdict.replace("_", " "),
        good={"proven": True, "failed": False}.get(proof.verdict),
        summary=_summary(design, proof),
        pieces=tuple(_pieces(proof, again)),
    )


def _title(design: Design, proof: Proof) -> str:
    count = len(design.database.tables)
    tables = f"{count} table{'s' if count != 1 else ''}"
    server = f"PostgreSQL\N{NO-BREAK SPACE}{proof.server_version}"
    match proof.verdict:
        case "proven":
            return f"{tables} proven on {server}"
        case "failed":
            failures = len(proof.reasons)
            return f"{tables} tried on {server}, {failures} thing{'s' if failures != 1 else ''} failed"
        case _:
            return f"{tables} not provable on {server}"


def _summary(design: Design, proof: Proof) -> str:
    if not proof.filled:
        return ""
    rows = sum(fill.rows for fill in proof.filled)
    met = sum(_status(measured) in ("met", "no target") for measured in proof.patterns)
    constraints = [probe for probe in proof.constraints if probe.kind != DEFAULT]
    held = sum(probe.state == "proven" for probe in constraints)
    did = sum(probe.state == "proven" for probe in proof.deletes)
    tried = (
        (met, len(proof.patterns), "access patterns run and meet their target"),
        (held, len(constraints), "constraints refused a row that breaks them"),
        (did, len(proof.deletes), "ON DELETEs did what they say"),
        *claims_report.counts(proof),
    )
    told = ", ".join(f"{good} of {total} {what}" for good, total, what in tried if total)
    made = f"{proof.statements} statements, {_catalog_words(proof)}, {rows:,} rows"
    empty = sum(found_nothing(measured) for measured in proof.patterns)
    nothing = f"{empty} access pattern{'s' if empty != 1 else ''} found no row" if empty else ""
    parts = (made, told, nothing, _other_version(design, proof), f"{proof.seconds:.1f} s")
    return ". ".join(part for part in parts if part) + "."


def _other_version(design: Design, proof: Proof) -> str:
    if int(proof.server_version.split(".")[0]) == design.server_version:
        return ""
    return f"The model is for PostgreSQL {design.server_version}: nothing was tried there"


def _catalog_words(proof: Proof) -> str:
    same = proof.catalog is not None and proof.catalog.equal
    return "catalog equal to the model" if same else "catalog not equal to the model"


def _pieces(proof: Proof, again: str) -> Iterator[Piece]:
    if proof.reasons:
        yield Bullets(tuple(words(reason) for reason in proof.reasons[:MAX_ROWS]))
    if proof.refused:
        yield Heading("The statement that was refused")
        yield Block(proof.refused.sql, "sql")
    if proof.patterns:
        yield from _pattern_pieces(proof)
    if proof.constraints:
        yield from _constraint_pieces(proof)
    if proof.deletes:
        yield Heading("Each ON DELETE tried")
        yield Table(
            ("foreign key", "table", "says", "what happened"),
            _cut([(Code(p.constraint), Code(str(p.table)), p.kind, _state(p)) for p in proof.deletes]),
        )
    yield from claims_report.pieces(proof)
    if proof.indexes:
        yield from _index_pieces(proof)
    if proof.filled:
        yield Heading("Rows")
        yield Table(
            ("table", "rows", "wanted", "seconds", "note"),
            _cut(
                [
                    (Code(str(f.table)), f"{f.rows:,}", f"{f.wanted:,}", f"{f.seconds:.2f}", _note(f.note))
                    for f in proof.filled
                ]
            ),
            numeric=frozenset({1, 2, 3}),
        )
    yield Heading("Quality Checklist")
    yield Checklist(proof.checks)
    yield Heading("How this was measured")
    yield Paragraph(_method(proof))
    yield Block(again, "bash")


def _pattern_pieces(proof: Proof) -> Iterator[Piece]:
    yield Heading("Access patterns")
    yield Table(
        ("access pattern", "median", "p95", "target", "rows (expected)", "reads by", "load"),
        _cut([_pattern_row(measured) for measured in proof.patterns]),
        numeric=frozenset({1, 2, 3, 4, 6}),
    )
    loads = sorted(((m.load, m.pattern.name) for m in proof.patterns if m.load), reverse=True)
    if loads:
        yield Heading("Where the time goes, at the declared frequencies")
        yield Bars(
            "ms of database time a second", tuple((Code(name), load) for load, name in loads[:MAX_BARS])
        )
    slow = [m for m in proof.patterns if m.meets_target is False or wasteful_scans(m)]
    for measured in slow[:5]:
        yield Paragraph(("The plan of ", Code(measured.pattern.name), ":"))
        yield Block(measured.plan)


def _pattern_row(measured: Measured) -> tuple[Inline, ...]:
    pattern = measured.pattern
    target = f"{pattern.latency_ms:g} ms" if pattern.latency_ms is not None else "–"
    if measured.error:
        return (Code(pattern.name), "–", "–", target, "–", ("failed: ", Code(measured.error)), "–")
    rows = f"{measured.rows:g}" + (f" ({pattern.expected_rows})" if pattern.expected_rows is not None else "")
    return (
        Code(pattern.name),
        f"{measured.median_ms:.2f} ms",
        f"{measured.p95_ms:.2f} ms",
        _target(measured, target),
        rows,
        _reads(measured),
        f"{measured.load:.1f} ms/s" if measured.load is not None else "–",
    )


def _target(measured: Measured, target: str) -> Inline:
    if measured.meets_target is False:
        return Strong(f"{target} (missed)")
    if measured.empty:
        return (f"{target} (not checked: ", Code(measured.empty[0]), " is empty)")
    return target


def _reads(measured: Measured) -> Inline:
    parts: list[str | Code] = []
    for name in measured.indexes[:3]:
        parts += [", " if parts else "", Code(name)]
    whole = [scan.relation for scan in measured.scans if scan.node.endswith("Seq Scan")]
    for name in dict.fromkeys(whole):
        parts += [", all of " if parts else "all of ", Code(name)]
    return tuple(parts) or "–"


def _constraint_pieces(proof: Proof) -> Iterator[Piece]:
    yield Heading("Constraints tried with a row that breaks them, defaults with a row that needs them")
    kinds = sorted({probe.kind for probe in proof.constraints})
    counts = Counter((probe.kind, probe.state) for probe in proof.constraints)
    yield Table(
        ("kind", "proven", "failed", "not checked"),
        tuple(
            (kind, *(str(counts[kind, state]) for state in ("proven", "failed", "not checked")))
            for kind in kinds
        ),
        numeric=frozenset({1, 2, 3}),
    )
    open_ = _untried_tables_once([probe for probe in proof.constraints if probe.state != "proven"])
    if open_:
        yield Table(
            ("constraint", "table", "kind", "state", "what happened"),
            _cut([(Code(p.constraint), Code(str(p.table)), p.kind, p.state, words(p.detail)) for p in open_]),
        )


def _untried_tables_once(probes: list[Probe]) -> list[Probe]:
    """One line for a table of which several could not be tried for one and the same reason."""
    counts = Counter((probe.table, probe.detail) for probe in probes)
    kept: dict[tuple[Any, ...], Probe] = {}
    for probe in probes:
        alike = counts[probe.table, probe.detail]
        if alike > MAX_ALIKE:
            told = dataclasses.replace(probe, kind="all", constraint=f"{alike} constraints")
            kept[probe.table, probe.detail] = told
        else:
            kept[probe.table, probe.kind, probe.constraint] = probe
    return list(kept.values())


def _index_pieces(proof: Proof) -> Iterator[Piece]:
    yield Heading("Why each index is there")
    yield Table(
        ("index", "table", "size", "needed by"),
        _cut([(Code(u.index), Code(str(u.table)), _size(u.bytes), _because(u)) for u in proof.indexes]),
        numeric=frozenset({2}),
    )


def _because(use: IndexUse) -> Inline:
    if not use.reasons:
        return "nothing in this run"
    rest = f" and {len(use.reasons) - 2} more" if len(use.reasons) > 2 else ""
    return (*spans(words(", ".join(use.reasons[:2]))), rest)


def _state(probe: Probe) -> Inline:
    return (f"{probe.state}: ", *spans(words(probe.detail)))


def _note(note: str | None) -> Inline:
    return Code(note) if note else ""


def _size(size: int) -> str:
    return f"{size / 1024:,.0f} kB" if size < 10 * 1024 * 1024 else f"{size / 1024 / 1024:,.0f} MB"


def _cut(rows: list[tuple[Inline, ...]]) -> tuple[tuple[Inline, ...], ...]:
    if len(rows) <= MAX_ROWS:
        return tuple(rows)
    rest: tuple[Inline, ...] = (f"… {len(rows) - MAX_ROWS} more, in the JSON", *("" for _ in rows[0][1:]))
    return (*rows[:MAX_ROWS], rest)


def _method(proof: Proof) -> Inline:
    return (
        f"{proof.server}; a scratch database, dropped afterwards. Rows are synthetic (seed {proof.seed}), loaded "
        f"by COPY, then VACUUM ANALYZE. {claims_report.set_aside(proof)}"
        f"Each access pattern ran as a prepared statement with up to 20 sets of values from those "
        f"rows, warm cache; an empty round trip takes {proof.baseline_ms:.3f} ms here. Not checked: production data, "
        f"concurrency, cold disks, replicas."
    )

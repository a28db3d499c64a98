"""A proof for a person (`Report`), for a program (JSON) and as findings."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from data_platform.model.design import Design
from data_platform.report.document import (
    Bars,
    Block,
    Bullets,
    Check,
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
from data_platform.report.finding import Finding
from data_platform.schema.prove.checklist import wasteful_scans
from data_platform.schema.prove.result import IndexUse, Measured, Probe, Proof

MAX_BARS = 8
MAX_ROWS = 40
"""Rows of a table in the report; JSON has them all."""


def findings(design: Design, proof: Proof) -> Iterator[Finding]:
    """What the run has against the design, each measured."""
    if proof.refused:
        yield _finding(
            design,
            "ddl-refused",
            "error",
            f"{proof.refused.sqlstate}: {proof.refused.message}",
            proof.refused.object,
        )
    if proof.verdict == "not_provable":
        for reason in proof.reasons:
            yield _finding(design, "not-provable", "error", reason)
    if proof.catalog:
        for change in proof.catalog.changed:
            message = f"the model says {change.property} {change.before}, the server has {change.after}"
            yield _finding(design, "catalog-differs", "error", message, change.object)
        for name in (*proof.catalog.added, *proof.catalog.removed):
            side = "only on the server" if name in proof.catalog.added else "only in the model"
            yield _finding(design, "catalog-differs", "error", side, name)
    for measured in proof.patterns:
        yield from _pattern_findings(design, measured)
    for probe in (*proof.constraints, *proof.deletes):
        if probe.state == "failed":
            rule = "on-delete-fails" if probe.kind.startswith("on delete") else "constraint-accepts-bad-row"
            yield _finding(design, rule, "error", probe.detail, f"{probe.table}.{probe.constraint}")
    for use in unused(proof):
        message = "no access pattern, key or foreign key needed this index"
        fix = "add the access pattern that it is for, or remove it"
        finding = _finding(design, "index-unused", "warning", message, f"{use.table}.{use.index}", fix)
        mark = design.mark(use.table, "indexes", use.index)
        yield dataclasses.replace(finding, line=mark.line, column=mark.column) if mark else finding
    for fill in proof.filled:
        if fill.rows < fill.wanted and fill.note:
            yield _finding(
                design,
                "fewer-rows",
                "info",
                f"{fill.rows:,} of {fill.wanted:,} rows: {fill.note}",
                str(fill.table),
            )


def _pattern_findings(design: Design, measured: Measured) -> Iterator[Finding]:
    name = f"access_patterns.{measured.pattern.name}"
    if measured.error:
        yield _finding(design, "pattern-fails", "error", measured.error, name)
        return
    if measured.meets_target is False:
        message = f"median {measured.median_ms:.2f} ms, target {measured.pattern.latency_ms:g} ms"
        yield _finding(design, "pattern-too-slow", "error", message, name)
    for scan in wasteful_scans(measured):
        read = scan.rows + scan.removed
        message = f"reads all {read:,.0f} rows of {scan.relation} and keeps {scan.rows:,.0f}"
        yield _finding(
            design, "pattern-reads-whole-table", "warning", message, name, "an index on what it filters by"
        )
    expected = measured.pattern.expected_rows
    if expected is not None and not _plausible(measured.rows, expected):
        message = f"{measured.rows:g} rows on synthetic data, {expected} expected"
        yield _finding(
            design, "pattern-rows", "info", message, name, "data: hints on the columns it filters by"
        )


def _plausible(rows: float, expected: int) -> bool:
    """Within a factor of ten, and not empty where rows are expected."""
    return rows == expected or (rows > 0 and expected > 0 and 0.1 <= rows / expected <= 10)


def _finding(
    design: Design, rule: str, severity: Any, message: str, object_: str | None = None, fix: str | None = None
) -> Finding:
    key = tuple(object_.split(".", 1)) if object_ and object_.startswith("access_patterns.") else ()
    mark = design.marks.get(key) if key else None
    return Finding(
        rule=rule,
        severity=severity,
        message=message,
        evidence="measured",
        file=design.file or None,
        line=mark.line if mark else None,
        column=mark.column if mark else None,
        object=object_,
        fix=fix,
    )


def unused(proof: Proof) -> list[IndexUse]:
    """Indexes that nothing needed."""
    return [use for use in proof.indexes if not use.reasons]


# --- JSON ---


def result(proof: Proof, checks: Sequence[Check]) -> dict[str, Any]:
    """The envelope's `result`."""
    return {
        "verdict": proof.verdict,
        "reasons": list(proof.reasons),
        "server": proof.server,
        "server_version": proof.server_version,
        "seed": proof.seed,
        "statements": proof.statements,
        "refused": dataclasses.asdict(proof.refused) if proof.refused else None,
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
        "checklist": [{"item": c.claim, "state": c.state, "reason": plain(c.reason)} for c in checks],
        "seconds": round(proof.seconds, 3),
    }


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
        "scans": [dataclasses.asdict(scan) for scan in measured.scans],
        "plan": measured.plan,
    }


def _status(measured: Measured) -> str:
    if measured.error:
        return "error"
    return {True: "met", False: "missed", None: "no target"}[measured.meets_target]


def _probe(probe: Probe) -> dict[str, Any]:
    return {**dataclasses.asdict(probe), "table": str(probe.table)}


# --- for a person ---


def report(design: Design, proof: Proof, checks: Sequence[Check], again: str) -> Report:
    """The proof as a report. `again` is the command that repeats it."""
    return Report(
        title=(Code(design.store), f": {_title(design, proof)}"),
        verdict=proof.verdict.replace("_", " "),
        good={"proven": True, "failed": False}.get(proof.verdict),
        summary=_summary(proof),
        pieces=tuple(_pieces(design, proof, checks, again)),
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


def _summary(proof: Proof) -> str:
    if not proof.filled:
        return ""
    rows = sum(fill.rows for fill in proof.filled)
    met = sum(measured.meets_target is not False and not measured.error for measured in proof.patterns)
    held = sum(probe.state == "proven" for probe in proof.constraints)
    did = sum(probe.state == "proven" for probe in proof.deletes)
    tried = (
        (met, len(proof.patterns), "access patterns run and meet their target"),
        (held, len(proof.constraints), "constraints refused a row that breaks them"),
        (did, len(proof.deletes), "ON DELETEs did what they say"),
    )
    told = ", ".join(f"{good} of {total} {what}" for good, total, what in tried if total)
    made = f"{proof.statements} statements, {_catalog_words(proof)}, {rows:,} rows"
    return ". ".join(part for part in (made, told, f"{proof.seconds:.1f} s") if part) + "."


def _catalog_words(proof: Proof) -> str:
    same = proof.catalog is not None and proof.catalog.equal
    return "catalog equal to the model" if same else "catalog not equal to the model"


def _pieces(design: Design, proof: Proof, checks: Sequence[Check], again: str) -> Iterator[Piece]:
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
    yield Checklist(tuple(checks))
    yield Heading("How this was measured")
    yield Paragraph(_method(design, proof))
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
        Strong(f"{target} (missed)") if measured.meets_target is False else target,
        rows,
        _reads(measured),
        f"{measured.load:.1f} ms/s" if measured.load is not None else "–",
    )


def _reads(measured: Measured) -> Inline:
    parts: list[str | Code] = []
    for name in measured.indexes[:3]:
        parts += [", " if parts else "", Code(name)]
    whole = [scan.relation for scan in measured.scans if scan.node.endswith("Seq Scan")]
    for name in dict.fromkeys(whole):
        parts += [", all of " if parts else "all of ", Code(name)]
    return tuple(parts) or "–"


def _constraint_pieces(proof: Proof) -> Iterator[Piece]:
    yield Heading("Constraints tried with a row that breaks them")
    kinds = sorted({probe.kind for probe in proof.constraints})
    counts = Counter((probe.kind, probe.state) for probe in proof.constraints)
    yield Table(
        ("kind", "refused the bad row", "accepted it", "not checked"),
        tuple(
            (kind, *(str(counts[kind, state]) for state in ("proven", "failed", "not checked")))
            for kind in kinds
        ),
        numeric=frozenset({1, 2, 3}),
    )
    open_ = [probe for probe in proof.constraints if probe.state != "proven"]
    if open_:
        yield Table(
            ("constraint", "table", "kind", "state", "what happened"),
            _cut([(Code(p.constraint), Code(str(p.table)), p.kind, p.state, words(p.detail)) for p in open_]),
        )


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


def _method(design: Design, proof: Proof) -> Inline:
    newer = ""
    if not proof.server_version.startswith(str(design.server_version)):
        newer = f" The model is for PostgreSQL {design.server_version}; this server is newer."
    return (
        f"{proof.server}; a scratch database, dropped afterwards. Rows are synthetic (seed {proof.seed}), loaded "
        f"by COPY, then VACUUM ANALYZE. "
        f"Each access pattern ran as a prepared statement with up to 20 sets of values from those "
        f"rows, warm cache; an empty round trip takes {proof.baseline_ms:.3f} ms here. Not checked: production data, "
        f"concurrency, cold disks, replicas.{newer}"
    )

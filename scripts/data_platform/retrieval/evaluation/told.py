"""An evaluation for a program and for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from data_platform.postgres.vectors.cold import Cold
from data_platform.report.document import Code, Heading, Inline, Paragraph, Piece, Report, Strong, Table
from data_platform.report.finding import Finding
from data_platform.retrieval.evaluation.evaluate import Evaluation, Filtered
from data_platform.retrieval.metrics import Interval
from data_platform.spec.retrieval import Retrieval

_NAMES = {
    "ndcg": "nDCG",
    "mrr": "MRR",
    "precision": "precision",
    "recall": "recall",
    "exact_recall": "recall against exact",
}


def result(found: Evaluation) -> dict[str, Any]:
    """The `result` of the JSON envelope."""
    return {
        "rows": found.rows,
        "known_items": found.known_items,
        "metrics": [
            {"name": one.name, "mode": one.mode, "k": one.k, **_interval(one.found)} for one in found.metrics
        ],
        "compared": [
            {
                "first": one.first,
                "second": one.second,
                "ndcg_difference": round(one.difference.value, 4),
                "low": round(one.difference.low, 4),
                "high": round(one.difference.high, 4),
                "significant": one.difference.significant,
            }
            for one in found.compared
        ],
        "latency": _latency(found),
        "filters": [
            {
                "name": one.name,
                "value": one.value
                if isinstance(one.value, str | int | float | bool | list)
                else str(one.value),
                "selectivity": round(one.share, 5),
                "strategy": one.strategy,
                "recall": _interval(one.recall),
                "rows": one.rows,
                "wanted": one.wanted,
            }
            for one in found.filters
        ],
    }


def _latency(found: Evaluation) -> dict[str, Any]:
    p50, p95, p99 = found.latency_ms or (None, None, None)
    return {
        "p50_ms": _rounded(p50),
        "p95_ms": _rounded(p95),
        "p99_ms": _rounded(p99),
        "first_p50_ms": _rounded(found.first_ms),
        "cold": _cold(found.cold),
        "queries_per_second": _rounded(found.per_second),
        "clients": found.clients,
        "cpu_ms_per_query": _rounded(found.cpu_ms),
    }


def _cold(found: Cold | None) -> dict[str, Any] | None:
    """`caches` are those that were empty."""
    if found is None:
        return None
    p50, p95 = (float(value) for value in np.quantile(found.ms, (0.5, 0.95)))
    caches = ["server", "system"] if found.system else ["server"]
    return {"p50_ms": _rounded(p50), "p95_ms": _rounded(p95), "queries": len(found.ms), "caches": caches}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _interval(found: Interval) -> dict[str, Any]:
    return {
        "value": round(found.value, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "queries": found.queries,
    }


def findings(spec: Retrieval, found: Evaluation) -> tuple[Finding, ...]:
    """What misses the spec's targets."""
    return tuple(_findings(spec, found))


def _findings(spec: Retrieval, found: Evaluation) -> Iterator[Finding]:
    exact = next((one for one in found.metrics if one.name == "exact_recall"), None)
    if exact is not None and exact.found.high < spec.needs.recall:
        yield _finding(
            "retrieval-recall-low",
            f"recall@{found.k} is {exact.found.value:.3f}; the spec wants {spec.needs.recall:g}",
            "dpe retrieval tune, or a larger ef_search",
        )
    for one in found.filters:
        if one.rows < one.wanted:
            yield _finding(
                "retrieval-filter-short",
                f"a search with {one.name} gave {one.rows} rows of {one.wanted} that there are",
                "the search function of dpe retrieval render",
            )
        if one.recall.high < spec.needs.recall:
            yield _finding(
                "retrieval-recall-low",
                f"recall with {one.name} at {one.share:.2%} of the rows is {one.recall.value:.3f}",
                "a larger prefilter_rows or ef_search",
            )
    if found.latency_ms and found.latency_ms[1] > spec.needs.latency_ms:
        yield _finding(
            "retrieval-slow",
            f"one search in twenty takes {found.latency_ms[1]:.1f} ms; the spec wants {spec.needs.latency_ms:g}",
            "dpe retrieval tune --max-latency",
        )


def _finding(rule: str, message: str, fix: str) -> Finding:
    return Finding(rule=rule, severity="error", message=message, fix=fix, evidence="measured")


def report(spec: Retrieval, found: Evaluation, repeat: str, *, before: tuple[str, ...] = ()) -> Report:
    """Verdict, figures side by side, filters, time, how it was measured."""
    wrong = findings(spec, found)
    return Report(
        title=_title(found),
        verdict="the targets are met." if not wrong else "targets are missed.",
        good=not wrong,
        summary="; ".join(one.message for one in wrong),
        pieces=(
            *map(Paragraph, before),
            *_figures(found),
            *_filters(found),
            *_time(found),
            *_how(found, repeat),
        ),
    )


def _title(found: Evaluation) -> str:
    exact = next((one for one in found.metrics if one.name == "exact_recall"), None)
    best = max(
        (one for one in found.metrics if one.name == "ndcg"), key=lambda one: one.found.value, default=None
    )
    parts = [f"recall@{found.k} {exact.found.value:.3f}"] if exact else []
    parts += [f"nDCG@{found.k} {best.found.value:.3f} ({best.mode})"] if best else []
    return f"{found.rows:,} vectors: {', '.join(parts)}"


def _figures(found: Evaluation) -> tuple[Piece, ...]:
    rows = tuple(
        (
            _NAMES[one.name],
            one.mode,
            f"{one.found.value:.3f}",
            f"{one.found.low:.3f}–{one.found.high:.3f}",
            str(one.found.queries),
        )
        for one in found.metrics
    )
    pieces: list[Piece] = [
        Heading("How good the answers are"),
        Table((f"@{found.k}", "search", "mean", "95 %", "queries"), rows, frozenset({2, 4})),
    ]
    if found.compared:
        told: tuple[tuple[Inline, ...], ...] = tuple(
            (
                f"{one.first} − {one.second}",
                f"{one.difference.value:+.3f}",
                f"{one.difference.low:+.3f} to {one.difference.high:+.3f}",
                Strong("yes") if one.difference.significant else "no",
            )
            for one in found.compared
        )
        pieces += [Table(("nDCG", "difference", "95 %, paired", "significant"), told, frozenset({1}))]
    if found.known_items:
        pieces.append(
            Paragraph(
                "There were no judged queries: each question is a sentence of a document that is to be found"
                " (known-item). Real questions are harder: compare ways to search by these figures, but do not quote"
                " them as quality."
            )
        )
    return tuple(pieces)


def _filters(found: Evaluation) -> tuple[Piece, ...]:
    if not found.filters:
        return ()
    rows = tuple(_filter_row(one) for one in found.filters)
    columns = ("filter", "value", "of the rows", "way", "recall", "95 %", "rows")
    return (Heading("With filters"), Table(columns, rows, frozenset({2, 4})))


def _filter_row(one: Filtered) -> tuple[Inline, ...]:
    return (
        Code(one.name),
        Code(str(one.value)),
        f"{one.share:.2%}",
        one.strategy,
        f"{one.recall.value:.3f}",
        f"{one.recall.low:.3f}–{one.recall.high:.3f}",
        f"{one.rows} of {one.wanted}",
    )


def _time(found: Evaluation) -> tuple[Piece, ...]:
    if not found.latency_ms:
        return ()
    p50, p95, p99 = found.latency_ms
    rows = [("one client: p50, p95, p99", f"{p50:.2f}, {p95:.2f}, {p99:.2f} ms")]
    if found.first_ms is not None:
        rows.append(("the same questions for the first time: p50", f"{found.first_ms:.2f} ms"))
    if (cold := _cold(found.cold)) is not None:
        which = "server's and system's cache" if found.cold and found.cold.system else "server's cache"
        rows.append((f"with an empty {which}: p50, p95", f"{cold['p50_ms']:.2f}, {cold['p95_ms']:.2f} ms"))
    if found.per_second is not None:
        rows.append((f"{found.clients} clients at once", f"{found.per_second:,.0f} searches a second"))
    if found.cpu_ms is not None:
        rows.append(("processor time of the server a search", f"{found.cpu_ms:.2f} ms"))
    return (Heading("How quick they are"), Table(("", "measured"), tuple(rows)))


def _how(found: Evaluation, repeat: str) -> tuple[Piece, ...]:
    return (
        Heading("How this was measured"),
        Paragraph(
            f"On {found.rows:,} vectors through the store's own functions. Recall is against a search that compares"
            " every row; intervals are bootstraps over queries. Documents count once, at their best chunk."
        ),
        Paragraph(("Repeat: ", Code(repeat), ".")),
    )

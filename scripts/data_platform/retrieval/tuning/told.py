"""What tuning found, for a program and for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_platform.postgres.vectors.settings import OPERATORS, Index, Search, operator_class
from data_platform.report.document import (
    Block,
    Bullets,
    Code,
    Curve,
    Heading,
    Inline,
    Line,
    Paragraph,
    Piece,
    Report,
    Strong,
    Table,
)
from data_platform.retrieval.metrics import Interval
from data_platform.retrieval.sizing import build_bytes
from data_platform.retrieval.tuning.hybrid import Fused
from data_platform.retrieval.tuning.trial import Build, Trial, Tuned

_MB = 1024 * 1024


def result(tuned: Tuned, fused: Fused | None = None) -> dict[str, Any]:
    """The `result` of the JSON envelope."""
    return {
        "reachable": tuned.reachable,
        "because": tuned.because or None,
        "chosen": chosen(tuned.index, tuned.search),
        "recall": {
            **_interval(tuned.recall),
            "k": tuned.goal.k,
            "target": tuned.goal.recall,
            "held_out": True,
        },
        "cpu_ms_per_query": _rounded(tuned.cpu_ms),
        "exact_cpu_ms_per_query": _rounded(tuned.exact_cpu_ms),
        "latency_ms": dict(zip(("p50", "p95", "p99"), map(_rounded, tuned.latency_ms), strict=True))
        if tuned.latency_ms
        else None,
        "rows": tuned.rows,
        "dimensions": tuned.dimensions,
        "distance": tuned.distance,
        "size_bytes": tuned.size_bytes,
        "build_seconds": _rounded(tuned.build_seconds),
        "contrast": {
            "ratio": _rounded(tuned.contrast.ratio),
            "intrinsic_dimension": _rounded(tuned.contrast.intrinsic_dimension),
        },
        "visited": _rounded(tuned.visited),
        "filters": _filters(tuned),
        "prefilter_rows": tuned.filtering.prefilter_rows if tuned.filtering else None,
        "search": _fused(fused),
        "tried": [_trial(one) for one in tuned.tried],
        "builds": [_build(one) for one in tuned.builds],
        "notes": list(tuned.notes),
    }


def _fused(fused: Fused | None) -> dict[str, Any] | None:
    if fused is None:
        return None
    return {
        "mode": fused.mode,
        "weight": fused.weight,
        "ndcg": _interval(fused.ndcg),
        "held_out": fused.apart,
        "best_single": fused.single,
        "difference": {
            "value": _rounded(fused.difference.value),
            "low": _rounded(fused.difference.low),
            "high": _rounded(fused.difference.high),
        },
    }


def _ways(fused: Fused | None) -> tuple[Piece, ...]:
    """Which way to search, by judged queries."""
    if fused is None:
        return ()
    rows = tuple(
        (mode, f"{weight:g}", f"{one.value:.3f}", f"{one.low:.3f}–{one.high:.3f}")
        for mode, weight, one in fused.tried
    )
    found = fused.difference
    seen = "had no part in the choice" if fused.apart else "it was not chosen with, though confirmed by"
    return (
        Heading("By meaning, by words, or both"),
        Table(("search", "weight of the words", "nDCG", "95 %"), rows, frozenset({1, 2})),
        Paragraph(
            (
                Strong(f"{fused.mode}, weight {fused.weight:g}"),
                f": nDCG {fused.ndcg.value:.3f} on {fused.ndcg.queries} queries that {seen},"
                f" {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}) against {fused.single} alone.",
            )
        ),
    )


def _filters(tuned: Tuned) -> list[dict[str, Any]]:
    """Both ways for each share; `chosen` is the one that the threshold takes."""
    if tuned.filtering is None:
        return []
    taken = tuned.filtering.chosen(tuned.rows)
    return [
        {
            "selectivity": one.share,
            "strategy": one.strategy,
            "recall": _interval(one.recall),
            "rows": one.rows,
            "wanted": one.wanted,
            "cpu_ms_per_query": _rounded(one.cpu_ms),
            "chosen": one in taken,
        }
        for one in tuned.filtering.trials
    ]


def chosen(index: Index, search: Search) -> dict[str, Any]:
    """A setting as `settings:` of a spec holds it."""
    found: dict[str, Any] = {"type": index.type, "index": index.method}
    if index.method == "hnsw":
        found |= {"m": index.m, "ef_construction": index.ef_construction, "ef_search": search.ef_search}
    if index.method == "ivfflat":
        found |= {"lists": index.lists, "probes": search.probes}
    if search.rerank:
        found |= {"rerank": search.rerank, "centred": index.centred}
    return found


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "stage": trial.stage,
        "rows": trial.rows,
        **chosen(trial.index, trial.search),
        "recall": _interval(trial.recall),
        "cpu_ms_per_query": _rounded(trial.cpu_ms),
    }


def _build(build: Build) -> dict[str, Any]:
    return {
        "stage": build.stage,
        "rows": build.rows,
        "index": str(build.index),
        "seconds": _rounded(build.seconds),
        "size_bytes": build.size_bytes,
        "spilled": build.spilled,
    }


def _interval(found: Interval) -> Mapping[str, Any]:
    return {
        "value": _rounded(found.value),
        "low": _rounded(found.low),
        "high": _rounded(found.high),
        "queries": found.queries,
    }


def _rounded(value: float) -> float:
    return round(value, 4)


# --- for a person ---


def report(tuned: Tuned, measured_on: str, repeat: str, fused: Fused | None = None) -> Report:
    """Verdict, setting, what it costs, how to make it, what was tried."""
    return Report(
        title=_title(tuned),
        verdict="reachable." if tuned.reachable else "unreachable here.",
        good=tuned.reachable,
        summary=_summary(tuned),
        pieces=(
            *_setting(tuned),
            *_making(tuned),
            *_with_filters(tuned),
            *_ways(fused),
            *_curve(tuned),
            *_tried(tuned),
            *_how(tuned, measured_on, repeat),
        ),
    )


def _title(tuned: Tuned) -> str:
    if not tuned.reachable:
        return f"Recall {tuned.goal.recall:g} is out of reach for these {tuned.rows:,} vectors"
    if tuned.index.method == "none":
        return f"{tuned.rows:,} vectors need no index: reading all of them is quicker"
    return f"Recall {tuned.recall.value:.3f} for {tuned.cpu_ms:.2f} ms of processor time a search"


def _summary(tuned: Tuned) -> Inline:
    if not tuned.reachable:
        return f"{tuned.because[:1].upper()}{tuned.because[1:]}. An exact search costs {tuned.exact_cpu_ms:.1f} ms."
    if tuned.index.method == "none":
        return f"An exact search costs {tuned.exact_cpu_ms:.2f} ms of processor time and misses nothing."
    found = tuned.recall
    return (
        f"Recall@{tuned.goal.k} is {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) on {found.queries:,} queries"
        f" that the setting was not chosen with; the target is {tuned.goal.recall:g}."
        f" An exact search costs {tuned.exact_cpu_ms / max(tuned.cpu_ms, 1e-9):.0f} times as much."
    )


def _setting(tuned: Tuned) -> tuple[Piece, ...]:
    rows: list[tuple[Inline, Inline]] = [("index", Strong(str(tuned.index)))]
    if tuned.index.method == "hnsw":
        rows.append((Code("hnsw.ef_search"), str(tuned.search.ef_search)))
        rows.append(("size of the index", f"{tuned.size_bytes / _MB:,.0f} MB"))
        rows.append(("build", f"{tuned.build_seconds:.1f} s"))
    if tuned.search.rerank:
        rows.append(("candidates ordered again by their full vectors", str(tuned.search.rerank)))
    if tuned.latency_ms:
        p50, p95, p99 = tuned.latency_ms
        rows.append(("one search at a time: p50, p95, p99", f"{p50:.2f}, {p95:.2f}, {p99:.2f} ms"))
    rows.append(
        (
            f"distance to the {tuned.goal.k}th neighbour over that to any row",
            f"{tuned.contrast.ratio:.2f} (1 is random)",
        )
    )
    return (Heading("The setting"), Table(("", "measured"), tuple(rows)))


def _making(tuned: Tuned) -> tuple[Piece, ...]:
    if tuned.index.method != "hnsw":
        return ()
    index, d = tuned.index, tuned.dimensions
    need = build_bytes(tuned.rows, index.type, d, index.m, parallel=True, non_zero=tuned.non_zero)
    key, asked, operator = _expressions(tuned)
    indexed = key if index.type == "vector" else f"({key})"
    text = f"""\
SET maintenance_work_mem = '{max(64, round(1.05 * need / _MB) + 16)}MB';
CREATE INDEX CONCURRENTLY ON items USING hnsw ({indexed} {operator_class(index.type, tuned.distance)})
  WITH (m = {index.m}, ef_construction = {index.ef_construction});

SET hnsw.ef_search = {tuned.search.ef_search};
SELECT id FROM items ORDER BY {key} {operator} {asked} LIMIT {tuned.search.rerank or tuned.goal.k};"""  # noqa: S608
    return (Heading("How to make it and ask it"), Block(text, "sql"), *_stored(tuned))


def _stored(tuned: Tuned) -> tuple[Piece, ...]:
    """Vectors of which most numbers are zero are small in a column of their own type only."""
    if tuned.index.type != "sparsevec":
        return ()
    return (
        Paragraph(
            f"About {tuned.non_zero:,} of {tuned.dimensions:,} numbers are not zero. A column of type"
            f" sparsevec({tuned.dimensions}) stores these alone, and needs no cast: `model: {{non_zero: …}}` in a spec."
        ),
    )


def _expressions(tuned: Tuned) -> tuple[str, str, str]:
    """What is indexed, the same of the query, and the operator between them."""
    d = tuned.dimensions
    match tuned.index.type:
        case "vector":
            return "embedding", "$1", OPERATORS[tuned.distance]
        case "halfvec" | "sparsevec" as type_:
            return f"embedding::{type_}({d})", f"$1::{type_}({d})", OPERATORS[tuned.distance]
        case "bit":
            return f"binary_quantize(embedding)::bit({d})", f"binary_quantize($1)::bit({d})", "<~>"


def _with_filters(tuned: Tuned) -> tuple[Piece, ...]:
    if tuned.filtering is None:
        return ()
    taken = tuned.filtering.chosen(tuned.rows)
    words = {"prefilter": "compare all that pass", "index": "read the index on"}
    rows = tuple(
        (
            f"{one.share:.1%}",
            Strong(words[one.strategy]) if one in taken else words[one.strategy],
            f"{one.recall.value:.3f}",
            f"{one.rows} of {one.wanted}",
            f"{one.cpu_ms:.2f}",
        )
        for one in tuned.filtering.trials
    )
    columns = ("rows that pass", "way", "recall", "fewest rows", "ms")
    return (
        Heading("With a filter"),
        Table(columns, rows, frozenset({2, 4})),
        Paragraph(
            f"Up to {tuned.filtering.prefilter_rows:,} rows that pass, compare all of them; above, read the index on"
            " (hnsw.iterative_scan = relaxed_order). The search function of dpe retrieval render decides so:"
            f" settings: {{prefilter_rows: {tuned.filtering.prefilter_rows}}}."
        ),
    )


def _curve(tuned: Tuned) -> tuple[Piece, ...]:
    """Recall for processor time of each graph on all rows."""
    graphs = dict.fromkeys(
        one.index for one in tuned.tried if one.stage == "all rows" and one.index.method == "hnsw"
    )
    lines = tuple(
        Line(
            str(graph),
            tuple(
                sorted(
                    {
                        (one.cpu_ms, one.recall.value)
                        for one in tuned.tried
                        if one.stage == "all rows" and one.index == graph
                    }
                )
            ),
            chosen=graph == tuned.index,
        )
        for graph in graphs
    )
    if not lines:
        return ()
    return (
        Heading("Recall for time"),
        Curve("milliseconds a search", f"recall@{tuned.goal.k}", lines, tuned.goal.recall),
    )


def _tried(tuned: Tuned) -> tuple[Piece, ...]:
    rows = tuple(
        (
            f"{one.stage}, {one.rows:,}",
            str(one.index),
            str(one.search.ef_search) if one.index.method == "hnsw" else "–",
            f"{one.recall.value:.3f}",
            f"{one.recall.low:.3f}–{one.recall.high:.3f}",
            str(one.recall.queries),
            f"{one.cpu_ms:.3f}",
        )
        for one in tuned.tried
    )
    columns = ("rows", "index", "ef_search", "recall", "95 %", "queries", "ms")
    return (Heading("All that was tried"), Table(columns, rows, frozenset({2, 3, 5, 6})))


def _how(tuned: Tuned, measured_on: str, repeat: str) -> tuple[Piece, ...]:
    return (
        Heading("How this was measured"),
        Paragraph(
            f"{tuned.rows:,} vectors of {tuned.dimensions} dimensions, distance {tuned.distance}, on {measured_on}."
            " Recall is against an exact search in memory, by distance, so that duplicates are no misses. Milliseconds"
            " are processor time of the server's process for a search, with everything in its cache. ef_search was"
            " chosen so that the lower bound of the recall (95 %, one-sided) reaches the target."
        ),
        *((Bullets(tuned.notes),) if tuned.notes else ()),
        Paragraph(
            "Not checked: filters that go along with the meaning, writes beside the searches, a cache that is too"
            " small, several clients at once."
        ),
        Paragraph(("Repeat: ", Code(repeat), ".")),
    )

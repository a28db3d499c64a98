"""What is wrong with a collection on a server, from its own description."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.qdrant.calls import Server
from data_platform.report.finding import Finding, Severity
from data_platform.retrieval.design import Design
from data_platform.retrieval.qdrant.collection import collection, differences, payload_indexes
from data_platform.spec.retrieval import Retrieval

_FULL_SCAN_KB = 10_000
"""Qdrant's default: segments smaller than this are scanned, and lose nothing."""


def findings(spec: Retrieval, made: Design, server: Server) -> Iterator[Finding]:
    """All of them."""
    current = server.current(spec.name)
    if current is None:
        taken = (
            ", but a collection of that name: it cannot be replaced"
            if spec.name in server.collections
            else ""
        )
        yield _finding(
            "qdrant-no-alias", "error", f"there is no alias `{spec.name}`{taken}", "dpe qdrant apply"
        )
        return
    config = server.collections[current]
    for told in differences(collection(spec, made), config.get("params", {})):
        yield _finding(
            "qdrant-differs", "error", f"`{current}`: {told}", "dpe qdrant plan: a new collection beside"
        )
    there = config.get("payload_schema", {})
    for name in payload_indexes(spec):
        if name not in there:
            yield _finding(
                "qdrant-filter-unindexed",
                "error",
                f"filters by `{name}` have no payload index: each search reads the payload of every point that"
                " it meets",
                "dpe qdrant apply; an index that is made before the points gives the graph links for it",
            )
    info = config.get("info", {})
    points, indexed = info.get("points_count") or 0, info.get("indexed_vectors_count") or 0
    if info.get("status") not in ("green", None):
        yield _finding(
            "qdrant-not-green", "warning", f"`{current}` is {info.get('status')}", "wait for its optimizers"
        )
    optimizer = info.get("optimizer_status")
    if isinstance(optimizer, dict):
        said = str(optimizer.get("error", ""))[:200]
        yield _finding("qdrant-optimizer", "error", f"the optimizer failed: `{said}`", "the server's log")
    if points > 20_000 and indexed < 0.8 * points:
        yield _finding(
            "qdrant-unindexed-vectors",
            "warning",
            f"{points - indexed:,} of {points:,} points are in no graph: they are scanned",
            "wait, or a lower indexing_threshold",
        )
    threshold = config.get("hnsw_config", {}).get("full_scan_threshold", _FULL_SCAN_KB)
    if 0 < threshold < 1_000 and spec.filters:
        yield _finding(
            "qdrant-full-scan-threshold",
            "warning",
            f"full_scan_threshold is {threshold}: with a rare filter the graph is walked and gives too few points",
            f"full_scan_threshold: {_FULL_SCAN_KB}",
        )


def _finding(rule: str, severity: Severity, message: str, fix: str) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, fix=fix, evidence="measured")

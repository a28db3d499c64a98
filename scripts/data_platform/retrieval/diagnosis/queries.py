"""What is wrong with one search: read by PostgreSQL's own grammar, and planned by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.facts import Facts, VectorIndex
from data_platform.report.finding import Finding

OPERATORS = ("<->", "<=>", "<#>", "<~>", "<+>", "<%>")
_HOST_LIMIT = 1000


def findings(text: str, facts: Facts, plan: Callable[[str], dict[str, Any]]) -> tuple[Finding, ...]:
    """Of a SELECT that orders by a distance. UsageProblem for what is no such thing."""
    try:
        (raw,) = postgast.parse(text).stmts
    except (postgast.PgQueryError, ValueError) as error:
        raise UsageProblem(f"no query: {error}", where=text[:80]) from None
    select = raw.stmt.select_stmt
    order = select.sort_clause[0].sort_by if len(select.sort_clause) else None
    if order is None:
        raise UsageProblem("a search has ORDER BY a distance", where=text[:80])
    return tuple(_findings(text, select, order, facts, plan))


def _findings(
    text: str, select: Any, order: Any, facts: Facts, plan: Callable[[str], dict[str, Any]]
) -> Iterator[Finding]:
    tables = {node.range_var.relname for node in select.from_clause if node.HasField("range_var")}
    own = [index for index in facts.indexes if index.table.name in tables]
    operator = _distance(order.node)
    if operator is None:
        inside = _within(order.node)
        if inside:
            yield _told(
                "vector-order-hides-distance",
                f"ORDER BY is over an expression around `{inside}`: no index serves it",
                f"ORDER BY the distance alone (… {inside} …), ascending; compute 1 - distance in the select list",
            )
    elif order.sortby_dir == pb.SORTBY_DESC:
        yield _told(
            "vector-order-descending",
            "ORDER BY … DESC asks for the farthest rows, and no index serves it",
            "leave out DESC",
        )
    elif own and operator not in {index.operator for index in own}:
        known = ", ".join(f"`{index.name}` serves {index.operator}" for index in own)
        yield _told(
            "vector-operator-mismatch",
            f"the query orders by {operator}, {known}",
            f"the operator of the index, or an index for {operator}",
        )
    yield from _limits(select, facts, own)
    yield from _scanned(plan(text), own)


def _limits(select: Any, facts: Facts, own: list[VectorIndex]) -> Iterator[Finding]:
    hnsw = [index for index in own if index.method == "hnsw"]
    constant = select.limit_count.a_const.ival.ival if select.HasField("limit_count") else 0
    if not select.HasField("limit_count"):
        yield _told("vector-no-limit", "without LIMIT every row is compared and sorted", "LIMIT")
    if hnsw and not facts.iterative and constant > facts.ef_search:
        yield _told(
            "vector-limit-over-ef-search",
            f"LIMIT {constant} gives {facts.ef_search} rows at most: hnsw.ef_search is {facts.ef_search}",
            f"SET hnsw.ef_search = {min(max(constant, 100), _HOST_LIMIT)}, or SET hnsw.iterative_scan = relaxed_order",
        )
    if own and not facts.iterative and select.HasField("where_clause"):
        yield _told(
            "vector-filter-after-index",
            "the filter is applied to the rows that the index gave: where few rows pass it, too few come out",
            "SET hnsw.iterative_scan = relaxed_order, or compare all rows that pass when these are few",
        )


def _scanned(plan: dict[str, Any], own: list[VectorIndex]) -> Iterator[Finding]:
    nodes = list(_nodes(plan))
    used = {node.get("Index Name") for node in nodes}
    if own and not used & {index.name.name for index in own}:
        kinds = sorted({str(node["Node Type"]) for node in nodes if "Scan" in str(node["Node Type"])})
        yield _told(
            "vector-index-unused",
            f"the plan has {', '.join(kinds)} and none of {', '.join(f'`{index.name}`' for index in own)}",
            "see the other findings; an index on an expression wants the same expression (a cast to halfvec)"
            " in ORDER BY",
        )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


def _distance(node: Any) -> str | None:
    """The operator of an expression that is a distance and nothing else."""
    if not node.HasField("a_expr") or not len(node.a_expr.name):
        return None
    name = node.a_expr.name[-1].string.sval
    return name if name in OPERATORS else None


def _within(node: Any) -> str | None:
    """A distance somewhere inside."""
    text = str(node)
    return next((one for one in OPERATORS if f'"{one}"' in text), None)


def _told(rule: str, message: str, fix: str) -> Finding:
    return Finding(rule=rule, severity="warning", message=message, fix=fix, evidence="parsed")

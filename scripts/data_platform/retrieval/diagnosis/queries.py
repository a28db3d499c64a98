"""What is wrong with one search: read by PostgreSQL's own grammar, and planned by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import postgast

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.facts import Facts, VectorIndex
from data_platform.report.finding import Finding, Severity
from data_platform.retrieval.diagnosis.rules import SMALL_TABLE
from data_platform.retrieval.diagnosis.searches import Search, kinds_of, searches

_MOST_EF_SEARCH = 1000
_ITS_OWN = ("hnsw.", "ivfflat.", "enable_")
"""Settings before a search that say how it is planned or run."""

Plan = Callable[[str, Mapping[str, str]], dict[str, Any]]
"""The plan of a query under some settings."""


@dataclass(frozen=True)
class _Asked:
    """One search with the indexes over what it orders by, those of them that its plan reads, and the plan's nodes."""

    search: Search
    own: tuple[VectorIndex, ...]
    used: frozenset[str]
    nodes: tuple[dict[str, Any], ...]
    facts: Facts


def findings(text: str, facts: Facts, plan: Plan) -> tuple[Finding, ...]:
    """Of a SELECT that orders by a distance, somewhere; SETs may stand before it. UsageProblem for anything else."""
    select, settings = _read(text)
    found = searches(postgast.parse(select))
    if not found:
        raise UsageProblem("a search has ORDER BY a distance", where=text[:80])
    facts = _under(facts, settings)
    nodes = tuple(_nodes(plan(select, settings)))
    used = frozenset(str(node["Index Name"]) for node in nodes if "Index Name" in node)
    asked = [_Asked(one, _own(one, facts), used, nodes, facts) for one in found]
    return tuple(dict.fromkeys(finding for one in asked for finding in _findings(one)))


def of_applications(facts: Facts, plan: Plan) -> Iterator[Finding]:
    """Of the searches that pg_stat_statements has seen. Under which settings is not known: what they decide is left."""
    for one in facts.asked or ():
        try:
            found = findings(one.text, facts, plan)
        except UsageProblem:
            continue
        for finding in found:
            if finding.rule in _WHATEVER_IS_SET and finding.severity != "info":
                asked = " ".join(one.text.split())[:120]
                yield replace(finding, message=f"{finding.message}; asked {one.calls:,} times: {asked}")


_WHATEVER_IS_SET = frozenset(
    {"vector-operator-mismatch", "vector-order-hides-distance", "vector-order-descending", "vector-no-limit"}
)


def _read(text: str) -> tuple[str, dict[str, str]]:
    """The query, and the settings that stand before it."""
    try:
        each = [(part, postgast.parse(part).stmts[0].stmt) for part in postgast.split(text)]
    except (postgast.PgQueryError, ValueError, IndexError) as error:
        raise UsageProblem(
            f"no query: {error}", where=text[:80], try_="parameters as $1, $2, as PREPARE has them"
        ) from None
    queries = [part for part, node in each if node.HasField("select_stmt")]
    others = [node for _, node in each if not node.HasField("select_stmt")]
    if len(queries) != 1 or not all(
        node.HasField("variable_set_stmt") or node.HasField("transaction_stmt") for node in others
    ):
        raise UsageProblem(
            f"{len(queries)} queries among {len(each)} statements",
            where=text[:80],
            expected="one SELECT, and what is SET before it",
        )
    sets = [node.variable_set_stmt for node in others if node.HasField("variable_set_stmt")]
    return queries[0], {
        one.name: str(_constant(one.args[0]))
        for one in sets
        if one.name.startswith(_ITS_OWN) and len(one.args)
    }


def _under(facts: Facts, settings: Mapping[str, str]) -> Facts:
    size = settings.get("hnsw.ef_search", "")
    scan = settings.get("hnsw.iterative_scan")
    return replace(
        facts,
        ef_search=int(size) if size.isdigit() else facts.ef_search,
        iterative=facts.iterative if scan is None else scan != "off",
    )


def _own(search: Search, facts: Facts) -> tuple[VectorIndex, ...]:
    """The indexes over the column that the search orders by."""
    return tuple(
        index
        for index in facts.indexes
        if any(
            index.table.name == name and schema in ("", index.table.schema) for schema, name in search.tables
        )
        and set(index.columns) & search.columns
    )


# --- what is wrong ---


def _findings(asked: _Asked) -> Iterator[Finding]:
    why = list(_order(asked))
    yield from why
    yield from _limits(asked)
    yield from _filtered(asked)
    if not why and asked.search.limited:
        yield from _unused(asked)


def _order(asked: _Asked) -> Iterator[Finding]:
    """Orders that no index can serve."""
    search, own = asked.search, asked.own
    if not search.bare:
        yield _told(
            "vector-order-hides-distance",
            f"ORDER BY is over an expression around `{search.operator}`: no index serves it",
            f"ORDER BY the distance alone (… {search.operator} …), ascending; compute 1 - distance in the select list",
        )
    elif search.descending:
        yield _told(
            "vector-order-descending",
            "ORDER BY … DESC asks for the farthest rows, and no index serves it",
            "leave out DESC",
        )
    elif own and search.operator not in {index.operator for index in own}:
        known = ", ".join(f"`{index.name}` serves {index.operator}" for index in own)
        yield _told(
            "vector-operator-mismatch",
            f"the query orders by {search.operator}, {known}",
            f"the operator of the index, or an index for {search.operator}",
        )


def _limits(asked: _Asked) -> Iterator[Finding]:
    search, facts = asked.search, asked.facts
    if not search.limited:
        yield _told("vector-no-limit", "without LIMIT every row is compared and sorted", "LIMIT")
    wanted = search.limit + search.offset
    if search.limit and wanted > facts.ef_search and not facts.iterative and _may(asked, "hnsw"):
        skipped = f" OFFSET {search.offset}" if search.offset else ""
        gives = max(0, facts.ef_search - search.offset)
        yield _told(
            "vector-limit-over-ef-search",
            f"LIMIT {search.limit}{skipped} gives {gives} rows at most: hnsw.ef_search is {facts.ef_search}"
            + _once(asked),
            f"SET hnsw.ef_search = {min(max(wanted, 100), _MOST_EF_SEARCH)},"
            " or SET hnsw.iterative_scan = relaxed_order",
            "warning" if _is_used(asked) else "info",
        )


def _filtered(asked: _Asked) -> Iterator[Finding]:
    """A filter that comes after the index: on the rows that it gave, or by a join with them."""
    if not asked.search.filtered or asked.facts.iterative or not _may(asked, "hnsw", "ivfflat"):
        return
    names = {index.name.name for index in asked.own}
    scans = [node for node in asked.nodes if node.get("Index Name") in names]
    if scans and not any("Filter" in node for node in scans) and not _joined(asked):
        return  # the index holds the rows of this filter only
    yield _told(
        "vector-filter-after-index",
        "the filter is applied to the rows that the index gave: where few rows pass it, too few come out"
        + _once(asked),
        "SET hnsw.iterative_scan = relaxed_order, or compare all rows that pass when these are few",
        "warning" if _is_used(asked) else "info",
    )


def _unused(asked: _Asked) -> Iterator[Finding]:
    if not asked.own or _is_used(asked):
        return
    kinds = sorted({str(node["Node Type"]) for node in asked.nodes if "Scan" in str(node["Node Type"])})
    because, fix, severity = _why(asked)
    names = ", ".join(f"`{index.name}`" for index in asked.own)
    yield _told(
        "vector-index-unused",
        f"the plan has {', '.join(kinds)} and none of {names}: {because}",
        fix,
        severity,
    )


def _why(asked: _Asked) -> tuple[str, str, Severity]:
    """What keeps the planner from these indexes, and what helps."""
    search = asked.search
    valid = [index for index in asked.own if index.valid]
    if not valid:
        return "it is left over from a build that failed", "REINDEX INDEX CONCURRENTLY", "warning"
    same = [index for index in valid if kinds_of(index.key) == search.kinds]
    if not same:
        return (
            f"it is over `{valid[0].key}`, which is not what the query orders by",
            "the same expression in ORDER BY, casts included, on both sides of the operator",
            "warning",
        )
    whole = [index for index in same if index.predicate is None]
    if not whole:
        return (
            f"it holds only the rows WHERE {same[0].predicate}",
            "the same condition in the query, as a constant and no parameter",
            "warning",
        )
    if search.filtered:
        return (
            "the planner expects few rows to pass the filter, and compares all of these",
            "nothing where few pass: that is complete; else ANALYZE",
            "info",
        )
    numbers = max((c.live * c.compared for c in asked.facts.columns if c.table == whole[0].table), default=0)
    if numbers < SMALL_TABLE:
        return "of so few rows the planner rightly compares all", "nothing", "info"
    return (
        "the planner takes it for dearer",
        "ANALYZE; random_page_cost = 1.1 where the disk is no spinning one; a LIMIT that is small beside the table",
        "warning",
    )


def _may(asked: _Asked, *methods: str) -> bool:
    """Whether the planner may take such an index for this search, now or when there are more rows."""
    search = asked.search
    return (
        search.bare
        and not search.descending
        and any(
            index.method in methods
            and index.operator == search.operator
            and kinds_of(index.key) == search.kinds
            for index in asked.own
        )
    )


def _is_used(asked: _Asked) -> bool:
    """By its own name, or the name that the index of a partition has."""
    names = {index.name.name for index in asked.facts.indexes}
    return bool(asked.used & {index.name.name for index in asked.own}) or (
        not all(index.size_bytes for index in asked.own) and bool(asked.used & names)
    )


def _once(asked: _Asked) -> str:
    return "" if _is_used(asked) else "; not as it is planned now, but as soon as the planner takes the index"


def _joined(asked: _Asked) -> bool:
    return any("Join" in str(node["Node Type"]) or node["Node Type"] == "Nested Loop" for node in asked.nodes)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


def _constant(node: Any) -> object:
    value = node.a_const
    return value.sval.sval if value.HasField("sval") else value.ival.ival


def _told(rule: str, message: str, fix: str, severity: Severity = "warning") -> Finding:
    return Finding(rule=rule, severity=severity, message=message, fix=fix, evidence="parsed")

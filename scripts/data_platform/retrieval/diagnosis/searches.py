"""The searches in a query: each SELECT in it, at whatever depth, that orders by a distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

OPERATORS = ("<->", "<=>", "<#>", "<~>", "<+>", "<%>")

Kinds = frozenset[str]
"""Types that an expression is cast to and functions that it calls: they tell one over a column from another."""


@dataclass(frozen=True)
class Search:
    """`bare`: the order is a distance and nothing else. `tables` are (schema or nothing, name)."""

    operator: str
    bare: bool
    descending: bool
    columns: frozenset[str]
    kinds: Kinds
    tables: frozenset[tuple[str, str]]
    limited: bool
    limit: int
    """0 where it is no number."""
    offset: int
    filtered: bool


def searches(tree: Any) -> tuple[Search, ...]:
    """All of them."""
    within = {
        one.ctename: one
        for one in postgast.find_nodes(tree, pb.CommonTableExpr)
        if one.ctequery.HasField("select_stmt")
    }
    found = (_search(select, within) for select in postgast.find_nodes(tree, pb.SelectStmt))
    return tuple(one for one in found if one is not None)


def kinds_of(expression: str) -> Kinds:
    """Of SQL, as an index's key."""
    return _kinds(postgast.parse(f"SELECT {expression}"))


def _search(select: Any, within: dict[str, Any]) -> Search | None:
    if not len(select.sort_clause):
        return None
    order = select.sort_clause[0].sort_by
    key, place = _followed(order.node, select, within)
    operator = _distance(key)
    inside = operator or next((one for one in OPERATORS if f'"{one}"' in str(key)), None)
    if inside is None:
        return None
    side = _column_side(key) if operator else key
    return Search(
        operator=inside,
        bare=operator is not None,
        descending=order.sortby_dir == pb.SORTBY_DESC,
        columns=frozenset(_last(one) for one in postgast.find_nodes(side, pb.ColumnRef)),
        kinds=_kinds(side),
        tables=frozenset(_tables(place, within)),
        limited=select.HasField("limit_count"),
        limit=select.limit_count.a_const.ival.ival,
        offset=select.limit_offset.a_const.ival.ival,
        filtered=place.HasField("where_clause") or select.HasField("where_clause"),
    )


def _followed(node: Any, select: Any, within: dict[str, Any]) -> tuple[Any, Any]:
    """What an order is by, and the SELECT where that stands: a name or number of the select list is looked up in it,
    also in that of a query in FROM.
    """
    if node.HasField("a_const") and 0 < node.a_const.ival.ival <= len(select.target_list):
        return select.target_list[node.a_const.ival.ival - 1].res_target.val, select
    if not node.HasField("column_ref"):
        return node, select
    name = _last(node.column_ref)
    for place in (select, *_sources(select, within)):
        for target in place.target_list:
            if target.res_target.name == name:
                return target.res_target.val, place
    return node, select


def _sources(select: Any, within: dict[str, Any]) -> Iterator[Any]:
    """The queries that a SELECT reads directly."""
    for node in select.from_clause:
        if node.HasField("range_subselect"):
            yield node.range_subselect.subquery.select_stmt
        elif node.HasField("range_var") and node.range_var.relname in within:
            named = within[node.range_var.relname]
            if named.ctematerialized != pb.CTEMaterializeAlways:
                yield named.ctequery.select_stmt


def _tables(select: Any, within: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Those whose index may serve: not behind a query that stands for itself (MATERIALIZED, ORDER BY, LIMIT, OFFSET).
    One that compares all rows that pass, or puts candidates in order again, has that on purpose.
    """
    for node in select.from_clause:
        yield from _named(node, within)
    for below in _sources(select, within):
        if not (len(below.sort_clause) or below.HasField("limit_count") or below.HasField("limit_offset")):
            yield from _tables(below, {})


def _named(node: Any, within: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if node.HasField("range_var") and node.range_var.relname not in within:
        yield node.range_var.schemaname, node.range_var.relname
    if node.HasField("join_expr"):
        yield from _named(node.join_expr.larg, within)
        yield from _named(node.join_expr.rarg, within)


def _distance(node: Any) -> str | None:
    """The operator of an expression that is a distance and nothing else."""
    if not node.HasField("a_expr") or not len(node.a_expr.name):
        return None
    name = node.a_expr.name[-1].string.sval
    return name if name in OPERATORS else None


def _column_side(key: Any) -> Any:
    """Of a distance: the side with a column, the left one where both have."""
    left, right = key.a_expr.lexpr, key.a_expr.rexpr
    return left if any(postgast.find_nodes(left, pb.ColumnRef)) else right


def _kinds(node: Any) -> Kinds:
    casts = (one.type_name.names[-1].string.sval for one in postgast.find_nodes(node, pb.TypeCast))
    calls = (one.funcname[-1].string.sval for one in postgast.find_nodes(node, pb.FuncCall))
    # A literal that a key holds (the mean that bits are centred by) is cast, too: to vector, which says nothing.
    return frozenset({*casts, *calls} - {"vector"})


def _last(reference: Any) -> str:
    field = reference.fields[-1]
    return str(field.string.sval) if field.HasField("string") else ""

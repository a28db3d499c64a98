"""What statements about rows do: which tables they read and change, and how much of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.definitions import relation_of
from data_platform.migration.lint.effects.collect import Effects
from data_platform.migration.lint.locks import Mode


def insert(effects: Effects, node: pb.InsertStmt) -> None:
    """A few rows of VALUES, or as many as a query yields."""
    few = node.select_stmt.HasField("select_stmt") and bool(node.select_stmt.select_stmt.values_lists)
    few = few or not node.HasField("select_stmt")
    table = effects.state.table(relation_of(effects.state, node.relation))
    effects.lock(table, Mode.ROW_EXCLUSIVE)
    effects.add("rows", "few" if few else "insert", table, Mode.ROW_EXCLUSIVE, node)
    if not few:
        _reads(effects, node.select_stmt)


def update(effects: Effects, node: pb.UpdateStmt) -> None:
    """As many rows as the condition lets through."""
    _changes(effects, node, node.relation)


def delete(effects: Effects, node: pb.DeleteStmt) -> None:
    """As many rows as the condition lets through."""
    _changes(effects, node, node.relation)


def merge(effects: Effects, node: pb.MergeStmt) -> None:
    """Rows of the source decide."""
    table = effects.state.table(relation_of(effects.state, node.relation))
    effects.lock(table, Mode.ROW_EXCLUSIVE)
    effects.add("rows", "some", table, Mode.ROW_EXCLUSIVE, node)


def select(effects: Effects, node: pb.SelectStmt) -> None:
    """Rows read, under the weakest lock."""
    _reads(effects, node)


def copy(effects: Effects, node: pb.CopyStmt) -> None:
    """Rows of a file into a table, or a table's rows out of it."""
    if not node.HasField("relation"):
        _reads(effects, node.query)
        return
    table = effects.state.table(relation_of(effects.state, node.relation))
    mode = Mode.ROW_EXCLUSIVE if node.is_from else Mode.ACCESS_SHARE
    effects.lock(table, mode)
    effects.add("rows" if node.is_from else "read", "copy", table, mode, node)


def create_as(effects: Effects, node: pb.CreateTableAsStmt) -> None:
    """The rows of a query into a new table: only the reading concerns others."""
    if not node.into.skip_data:
        _reads(effects, node.query)


def _changes(effects: Effects, node: Any, target: pb.RangeVar) -> None:
    table = effects.state.table(relation_of(effects.state, target))
    effects.lock(table, Mode.ROW_EXCLUSIVE)
    effects.add("rows", how_many(node), table, Mode.ROW_EXCLUSIVE, node)


def how_many(node: pb.UpdateStmt | pb.DeleteStmt) -> str:
    """ "all" without a condition that could be false, "few" for `column = constant`, else "some"."""
    if not node.HasField("where_clause") or always_true(node.where_clause):
        source = node.from_clause if isinstance(node, pb.UpdateStmt) else node.using_clause
        return "some" if len(source) else "all"
    return "few" if _by_key(node.where_clause) else "some"


def always_true(node: pb.Node) -> bool:
    """Conditions that keep nothing out: TRUE, 1 = 1, a = a."""
    kind = node.WhichOneof("node")
    if kind == "a_const":
        return bool(node.a_const.boolval.boolval)
    if kind == "type_cast":
        return node.type_cast.arg.a_const.sval.sval.lower() in ("t", "true")
    if kind == "bool_expr" and node.bool_expr.boolop == pb.AND_EXPR:
        return all(always_true(part) for part in node.bool_expr.args)
    if kind == "bool_expr" and node.bool_expr.boolop == pb.OR_EXPR:
        return any(always_true(part) for part in node.bool_expr.args)
    if kind == "a_expr" and node.a_expr.name and node.a_expr.name[-1].string.sval in ("=", "<=", ">="):
        left, right = node.a_expr.lexpr, node.a_expr.rexpr
        constants = left.HasField("a_const") and right.HasField("a_const")
        return constants and _value(left) == _value(right)
    return False


def _value(node: pb.Node) -> bytes:
    bare = pb.A_Const()
    bare.CopyFrom(node.a_const)
    bare.location = 0
    return bytes(bare.SerializeToString())


def _by_key(node: pb.Node) -> bool:
    """`column = constant`, alone or with more conditions, or a short list of constants."""
    if node.HasField("bool_expr") and node.bool_expr.boolop == pb.AND_EXPR:
        return any(_by_key(part) for part in node.bool_expr.args)
    if not node.HasField("a_expr"):
        return False
    expression = node.a_expr
    column = expression.lexpr.HasField("column_ref")
    name = expression.lexpr.column_ref.fields[-1].string.sval if column else ""
    looks_like_key = name in (
        "id",
        "uuid",
        "key",
        "code",
        "slug",
        "version_num",
        "name",
        "version",
    ) or name.endswith("_id")
    if expression.kind == pb.AEXPR_IN:
        return looks_like_key and all(item.HasField("a_const") for item in expression.rexpr.list.items)
    return looks_like_key and expression.kind == pb.AEXPR_OP and expression.rexpr.HasField("a_const")


def _reads(effects: Effects, node: Any) -> None:
    for name in _tables(node):
        table = effects.state.table(relation_of(effects.state, name))
        effects.lock(table, Mode.ACCESS_SHARE)
        effects.add("read", "select", table, Mode.ACCESS_SHARE, node)


def _tables(node: Any) -> Iterator[pb.RangeVar]:
    made_here = {cte.ctename for cte in postgast.find_nodes(node, pb.CommonTableExpr)}
    for name in postgast.find_nodes(node, pb.RangeVar):
        if (name.schemaname or name.relname not in made_here) and name.schemaname not in (
            "pg_catalog",
            "information_schema",
        ):
            yield name

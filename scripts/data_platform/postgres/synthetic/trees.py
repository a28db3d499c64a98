"""Small questions to PostgreSQL parse trees (postgast): which column, which constant, which function."""

from __future__ import annotations

from typing import TypeAlias

import postgast

from data_platform.sql.text import expression_tree

Node: TypeAlias = postgast.pg_query_pb2.Node
pb = postgast.pg_query_pb2


def form(node: Node) -> str:
    """The name of the node's kind: "a_expr", "column_ref" …"""
    return node.WhichOneof("node") or ""


def bare(node: Node) -> Node:
    """`node` without the casts and collations around it."""
    while form(node) in ("type_cast", "collate_clause"):
        node = node.type_cast.arg if form(node) == "type_cast" else node.collate_clause.arg
    return node


def column(node: Node) -> str | None:
    """The column that `node` names, casts aside."""
    node = bare(node)
    if form(node) != "column_ref":
        return None
    last = node.column_ref.fields[-1]
    return last.string.sval if form(last) == "string" else None


def columns(node: Node) -> set[str]:
    """Every column named inside `node`."""
    found = (column(Node(column_ref=ref)) for ref in postgast.find_nodes(node, pb.ColumnRef))
    return {name for name in found if name is not None}


def literal(node: Node) -> str | None:
    """The text of a constant, casts aside; None if `node` is something else, or NULL."""
    node = bare(node)
    if form(node) != "a_const" or node.a_const.isnull:
        return None
    constant = node.a_const
    match constant.WhichOneof("val"):
        case "ival":
            return str(constant.ival.ival)
        case "fval":
            return str(constant.fval.fval)
        case "boolval":
            return "true" if constant.boolval.boolval else "false"
        case "sval":
            return str(constant.sval.sval)
        case _:
            return None


def function(node: Node) -> tuple[str, list[Node]]:
    """A call's bare name and arguments, casts aside; ("", []) if `node` is no call."""
    node = bare(node)
    if form(node) == "coalesce_expr":
        return "coalesce", list(node.coalesce_expr.args)
    if form(node) != "func_call":
        return "", []
    return node.func_call.funcname[-1].string.sval, list(node.func_call.args)


def operation(node: Node) -> tuple[str, Node, Node] | None:
    """`left operator right` as (operator, left, right), casts aside."""
    node = bare(node)
    if form(node) != "a_expr" or node.a_expr.kind != pb.AEXPR_OP or not node.a_expr.HasField("lexpr"):
        return None
    return operator(node), node.a_expr.lexpr, node.a_expr.rexpr


def operator(node: Node) -> str:
    """The operator's bare name."""
    return str(node.a_expr.name[-1].string.sval)


def source(node: Node) -> str:
    """`node` as SQL text again."""
    tree = postgast.parse("SELECT 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(node)
    return str(postgast.deparse(tree)).removeprefix("SELECT ")


def renamed(expression: str, old: str, new: str) -> str:
    """An expression with one column called by another name."""
    tree = expression_tree(expression)
    for reference in postgast.find_nodes(tree, pb.ColumnRef):
        if len(reference.fields) == 1 and reference.fields[0].string.sval == old:
            reference.fields[0].string.sval = new
    return source(tree)


def items(node: Node) -> list[Node] | None:
    """The elements of `ARRAY[…]` or of a list in parentheses, casts aside; None if `node` is neither."""
    node = bare(node)
    match form(node):
        case "a_array_expr":
            return list(node.a_array_expr.elements)
        case "list":
            return list(node.list.items)
        case _:
            return None

"""Questions to ask of a parse tree: what is below a node, what is compared with what, and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import postgast

pb = postgast.pg_query_pb2

Kind = Literal["equality", "range", "like", "search", "null", "other"]

STATEMENTS = (pb.SelectStmt, pb.InsertStmt, pb.UpdateStmt, pb.DeleteStmt, pb.MergeStmt)

_KINDS: dict[str, Kind] = {
    "=": "equality",
    **dict.fromkeys(("<", "<=", ">", ">="), "range"),
    **dict.fromkeys(("~~", "~~*", "~", "~*"), "like"),
    **dict.fromkeys(("@>", "<@", "?", "?|", "?&", "@@", "@?", "&&", "-|-", "<<", ">>", "&<", "&>"), "search"),
    **dict.fromkeys(("%", "<%", "%>", "<<%", "%>>"), "search"),
}
_MIRRORED = {"@>": "<@", "<@": "@>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_DISTANCES = frozenset({"<->", "<=>", "<#>", "<+>", "<~>", "<%>"})


def inner(node: Any) -> Any:
    """What a `Node` wraps."""
    return postgast.unwrap_node(node)


def below(root: Any) -> Iterator[Any]:
    """Every message from `root` down, in order; nested statements and EXISTS are yielded but not entered."""
    waiting = [root]
    while waiting:
        message = inner(waiting.pop())
        yield message
        if message is root or not (isinstance(message, STATEMENTS) or is_exists(message)):
            waiting += reversed(list(_children(message)))


def _children(message: Any) -> Iterator[Any]:
    for _, value in message.ListFields():
        if hasattr(value, "ListFields"):
            yield value
        elif not isinstance(value, str | bytes | int | float):
            yield from (item for item in value if hasattr(item, "ListFields"))


def is_exists(message: Any) -> bool:
    """Whether this is EXISTS (…)."""
    return isinstance(message, pb.SubLink) and message.sub_link_type == pb.EXISTS_SUBLINK


def plain(node: Any) -> str:
    """An expression as PostgreSQL prints it, its columns without their tables."""
    copy = type(node)()
    copy.CopyFrom(node)
    for reference in postgast.find_nodes(copy, pb.ColumnRef):
        del reference.fields[:-1]
    return printed(copy)


def printed(node: Any) -> str:
    """An expression as PostgreSQL prints it."""
    tree = postgast.parse("SELECT 1")
    tree.stmts[0].stmt.select_stmt.target_list[0].res_target.val.CopyFrom(node)
    return str(postgast.deparse(tree).removeprefix("SELECT "))


def nodes(message: Any) -> Iterator[Any]:
    """Every `Node` in a tree, nested statements too."""
    waiting = [message]
    while waiting:
        found = waiting.pop()
        if isinstance(found, pb.Node):
            yield found
        waiting += list(_children(found))


def conjuncts(node: Any) -> Iterator[Any]:
    """The parts of a condition that AND joins."""
    if node.HasField("bool_expr") and node.bool_expr.boolop == pb.AND_EXPR:
        for part in node.bool_expr.args:
            yield from conjuncts(part)
    else:
        yield node


def comparisons(node: Any, certain: bool = True) -> Iterator[tuple[Any, bool]]:
    """The comparisons in a condition, and whether each must hold; an OR comes as a whole and in parts."""
    for part in conjuncts(node):
        yield part, certain
        if _is_or(part):
            for branch in part.bool_expr.args:
                yield from comparisons(branch, certain=False)


class Side(NamedTuple):
    """One side of a comparison, as an index over it would see the comparison."""

    key: Any
    other: Any | None
    kind: Kind
    operator: str


def sides(node: Any) -> Iterator[Side]:
    """Each side of a comparison that an index could be over; of a row, each element."""
    for side in _whole_sides(node):
        if side.key.HasField("row_expr"):
            yield from (side._replace(key=element) for element in side.key.row_expr.args)
        else:
            yield side


def _whole_sides(node: Any) -> Iterator[Side]:
    if node.HasField("null_test"):
        known = "IS NULL" if node.null_test.nulltesttype == pb.IS_NULL else "IS NOT NULL"
        yield Side(node.null_test.arg, None, "null", known)
    elif node.HasField("sub_link") and node.sub_link.sub_link_type == pb.ANY_SUBLINK:
        operator = "".join(part.string.sval for part in node.sub_link.oper_name[-1:]) or "="
        yield Side(node.sub_link.testexpr, node.sub_link.subselect, _KINDS.get(operator, "other"), operator)
    elif node.HasField("a_expr"):
        yield from _sides_of_operator(node.a_expr)
    else:
        yield Side(node, None, "other", "")


def _sides_of_operator(node: Any) -> Iterator[Side]:
    left, right, operator = node.lexpr, node.rexpr, _operator(node)
    kind = _KINDS.get(operator, "other")
    if node.kind == pb.AEXPR_BETWEEN:
        yield Side(left, right, "range", "BETWEEN")
    elif node.kind in (pb.AEXPR_IN, pb.AEXPR_LIKE, pb.AEXPR_ILIKE, pb.AEXPR_SIMILAR):
        yield Side(left, right, kind, operator)
    elif node.kind == pb.AEXPR_OP_ANY:
        yield Side(left, right, kind, operator)
        yield Side(right, left, "other", f"{operator} ANY")
    elif node.kind == pb.AEXPR_OP and left.HasField("row_expr") and right.HasField("row_expr"):
        for one, other in zip(left.row_expr.args, right.row_expr.args, strict=False):
            yield Side(one, other, kind, operator)
    elif node.kind == pb.AEXPR_OP:
        yield Side(left, right, kind, operator)
        if kind != "like":
            yield Side(right, left, kind, _MIRRORED.get(operator, operator))
    else:
        yield Side(left, right, "other", operator)


def column_of(node: Any) -> str | None:
    """The column that an expression is, through casts; None if it is something else."""
    while node.HasField("type_cast"):
        node = node.type_cast.arg
    fields = node.column_ref.fields if node.HasField("column_ref") else ()
    return str(fields[-1].string.sval) if fields and fields[-1].HasField("string") else None


def is_constant(node: Any) -> bool:
    """Whether the planner knows the value: no parameter, column or subquery in it."""
    return not any(isinstance(part, (pb.ParamRef, pb.ColumnRef, *STATEMENTS)) for part in below(node))


def is_zero(node: Any) -> bool:
    """Whether this is the constant 0."""
    return bool(node.HasField("a_const") and node.a_const.HasField("ival") and node.a_const.ival.ival == 0)


def hides_beginning(pattern: Any, operator: str) -> bool:
    """Whether no btree can find what (I)LIKE asks: the pattern begins with a wildcard, or ignores case."""
    if operator == "~~*":
        return True
    first = pattern
    while not first.HasField("a_const"):
        if first.HasField("type_cast"):
            first = first.type_cast.arg
        elif first.HasField("a_expr") and _operator(first.a_expr) == "||":
            first = first.a_expr.lexpr
        elif first.HasField("func_call") and first.func_call.args:
            first = first.func_call.args[0]
        else:
            return False
    return operator == "~~" and str(first.a_const.sval.sval).startswith(("%", "_"))


def is_stepped(node: Any) -> bool:
    """Whether this is `a > x OR (a = x AND …)`, in either order."""
    if not _is_or(node):
        return False
    branches = [list(conjuncts(branch)) for branch in node.bool_expr.args]
    steps = {plain(b[0].a_expr.lexpr) for b in branches if len(b) == 1 and _compares(b[0], ("<", ">"))}
    ties = {plain(part.a_expr.lexpr) for b in branches if len(b) > 1 for part in b if _compares(part, ("=",))}
    return bool(steps & ties)


def is_extreme(message: Any) -> bool:
    """Whether this is min(…) or max(…), which read one end of an index."""
    return isinstance(message, pb.FuncCall) and message.funcname[-1].string.sval in ("min", "max")


def output(node: Any, select: Any) -> Any:
    """What an item of ORDER BY stands for: `2` and an alias name an output column."""
    targets = [target.res_target for target in select.target_list]
    if node.HasField("a_const") and 0 < node.a_const.ival.ival <= len(targets):
        return targets[node.a_const.ival.ival - 1].val
    fields = node.column_ref.fields
    if len(fields) == 1:
        return next((target.val for target in targets if target.name == fields[0].string.sval), node)
    return node


def distance(node: Any) -> tuple[Any, str] | None:
    """`column <=> value`, as the side with the column and the operator."""
    if (
        not node.HasField("a_expr")
        or node.a_expr.kind != pb.AEXPR_OP
        or _operator(node.a_expr) not in _DISTANCES
    ):
        return None
    left, right = node.a_expr.lexpr, node.a_expr.rexpr
    return (left if _has_column(left) else right), _operator(node.a_expr)


def holds_distance(node: Any) -> bool:
    """Whether a distance is anywhere in the expression."""
    return any(isinstance(part, pb.A_Expr) and _operator(part) in _DISTANCES for part in below(node))


def _operator(node: Any) -> str:
    return str(node.name[-1].string.sval) if node.name else ""


def _is_or(node: Any) -> bool:
    return bool(node.HasField("bool_expr") and node.bool_expr.boolop == pb.OR_EXPR)


def _compares(node: Any, operators: tuple[str, ...]) -> bool:
    is_operator = node.HasField("a_expr") and node.a_expr.kind == pb.AEXPR_OP
    return bool(
        is_operator and _operator(node.a_expr) in operators and node.a_expr.lexpr.HasField("column_ref")
    )


def _has_column(node: Any) -> bool:
    return any(isinstance(part, pb.ColumnRef) for part in below(node))

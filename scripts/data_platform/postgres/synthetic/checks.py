"""Reads CHECK expressions: from a parse tree to the worlds in which it is not false.

Only sufficient conditions are made: whatever a sure world says makes the check pass. What is not understood becomes
an unsure world, and the server sorts the rows out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product

from data_platform.postgres.synthetic import trees
from data_platform.postgres.synthetic.comparisons import Comparisons
from data_platform.postgres.synthetic.facts import NO_FACTS, Facts, every, some, strict
from data_platform.postgres.synthetic.kinds import Kind
from data_platform.postgres.synthetic.sums import Sums
from data_platform.postgres.synthetic.terms import (
    DUNNO,
    HOLDS,
    INVERSE,
    MIRROR,
    NO,
    YES,
    Fold,
    Terms,
    Worlds,
    known,
    matching,
)
from data_platform.postgres.synthetic.trees import Node, form, pb
from data_platform.sql.text import NotSql, expression_tree

_REGEXES = {"~": True, "~*": True, "!~": False, "!~*": False}
_LIKES = {"~~": True, "~~*": True, "!~~": False, "!~~*": False}
_MATCHES = _REGEXES | _LIKES
_MOST_TRUTHS = 6
"""Of more truths than this, not all combinations are tried."""

Truths = list[tuple[Node, bool]]
"""Conditions that count as 1: those that are true, or (False) those that are not."""


class CheckReader:
    """Reads the checks of one table, whose columns have these kinds."""

    def __init__(self, kinds: Mapping[str, Kind], fold: Fold) -> None:
        self._terms = Terms(kinds, fold)
        self._sums = Sums(self._terms)
        self._comparisons = Comparisons(self._terms, self._sums)

    def read(self, expression: str) -> Worlds:
        """The worlds in which `expression` is true or NULL; none if it never is."""
        return self._read(expression, True)

    def opposite(self, expression: str) -> Worlds:
        """The worlds in which `expression` is false or NULL."""
        return self._read(expression, False)

    def _read(self, expression: str, wanted: bool) -> Worlds:
        try:
            return self._truth(expression_tree(expression), wanted)
        except NotSql:
            return DUNNO

    def _truth(self, node: Node, wanted: bool) -> Worlds:
        """The worlds in which `node` is true (or not, as `wanted` says) or NULL."""
        match form(node):
            case "type_cast":
                return self._truth(node.type_cast.arg, wanted)
            case "bool_expr":
                return self._connective(node.bool_expr, wanted)
            case "null_test":
                return self._null_test(node.null_test, wanted)
            case "boolean_test":
                return self._boolean_test(node.boolean_test, wanted)
            case "case_expr":
                return self._case(node.case_expr, wanted)
            case "column_ref":
                return self._compare(node, "=", "true" if wanted else "false")
            case "a_const":
                value = trees.literal(node)
                return YES if value is None or (value in ("true", "t")) == wanted else NO
            case "a_expr":
                return self._expression(node, wanted)
            case "func_call" | "coalesce_expr":
                return self._call(node, wanted)
            case _:
                return DUNNO

    # Connectives and tests.

    def _connective(self, node: pb.BoolExpr, wanted: bool) -> Worlds:
        if node.boolop == pb.NOT_EXPR:
            return self._truth(node.args[0], not wanted)
        parts = [self._truth(arg, wanted) for arg in node.args]
        return every(parts) if (node.boolop == pb.AND_EXPR) == wanted else some(parts)

    def _null_test(self, node: pb.NullTest, wanted: bool) -> Worlds:
        column = self._terms.column(node.arg)
        null = (node.nulltesttype == pb.IS_NULL) == wanted
        if column is not None:
            return known(column, Facts(null=null))
        return DUNNO if null else self._comparisons.json_step_is_not_null(node.arg)

    def _boolean_test(self, node: pb.BooleanTest, wanted: bool) -> Worlds:
        positive = {pb.IS_TRUE: True, pb.IS_NOT_FALSE: True, pb.IS_FALSE: False, pb.IS_NOT_TRUE: False}
        if node.booltesttype not in positive:
            return DUNNO
        worlds = self._truth(node.arg, positive[node.booltesttype] == wanted)
        return strict(worlds) if (node.booltesttype in (pb.IS_TRUE, pb.IS_FALSE)) == wanted else worlds

    def _case(self, node: pb.CaseExpr, wanted: bool) -> Worlds:
        """The first WHEN that holds decides; the ones before it do not."""
        branches: list[Worlds] = []
        failed: list[Worlds] = []
        for when in (item.case_when for item in node.args):
            condition = _equal(node.arg, when.expr) if node.HasField("arg") else when.expr
            holds = strict(self._truth(condition, True))
            branches.append(every([*failed, holds, self._truth(when.result, wanted)]))
            failed.append(self._truth(condition, False))
        last = self._truth(node.defresult, wanted) if node.HasField("defresult") else YES
        return some([*branches, every([*failed, last])])

    def _call(self, node: Node, wanted: bool) -> Worlds:
        name, args = trees.function(node)
        if name == "coalesce" and len(args) == 2:
            return strict(self._truth(args[0], wanted))
        column = self._terms.column(args[0]) if args else None
        if column is None:
            return DUNNO
        match name:
            case "isempty" | "lower_inf" | "upper_inf" if not wanted:
                return known(column, NO_FACTS)
            case "jsonb_exists" if wanted:
                return self._comparisons.json_key(args[0], args[1])
            case "starts_with" if wanted:
                return matching(column, "^" + re.escape(self._terms.constant(args[1]) or ""))
            case "regexp_like" if len(args) == 2:
                return self._match(args[0], "~", args[1], wanted)
            case _:
                return DUNNO

    # Operators.

    def _expression(self, node: Node, wanted: bool) -> Worlds:
        left, right, operator = node.a_expr.lexpr, node.a_expr.rexpr, trees.operator(node)
        match node.a_expr.kind:
            case pb.AEXPR_OP | pb.AEXPR_LIKE | pb.AEXPR_ILIKE | pb.AEXPR_SIMILAR:
                return self._binary(left, operator, right, wanted)
            case pb.AEXPR_OP_ANY | pb.AEXPR_OP_ALL | pb.AEXPR_IN:
                return self._list(node, wanted)
            case pb.AEXPR_BETWEEN | pb.AEXPR_NOT_BETWEEN:
                low, high = right.list.items
                inside = wanted == (node.a_expr.kind == pb.AEXPR_BETWEEN)
                parts = [self._binary(left, ">=", low, inside), self._binary(left, "<=", high, inside)]
                return every(parts) if inside else some(parts)
            case pb.AEXPR_DISTINCT | pb.AEXPR_NOT_DISTINCT:
                same = wanted == (node.a_expr.kind == pb.AEXPR_NOT_DISTINCT)
                worlds = self._binary(left, "=", right, same)
                return strict(worlds) if same else worlds
            case _:
                return DUNNO

    def _list(self, node: Node, wanted: bool) -> Worlds:
        """`x = ANY (…)`, `x <> ALL (…)`, `x IN (…)` and their opposites."""
        left, operator = node.a_expr.lexpr, trees.operator(node)
        values = self._terms.values(node.a_expr.rexpr)
        if values is None or operator not in INVERSE:
            return DUNNO
        is_in = node.a_expr.kind == pb.AEXPR_IN and operator == "="
        one_is_enough = (node.a_expr.kind == pb.AEXPR_OP_ANY or is_in) == wanted
        operator = operator if wanted else INVERSE[operator]
        if operator == "=" and one_is_enough and self._truths(left) is None:
            return self._comparisons.one_of(left, values)
        parts = [self._compare(left, operator, value) for value in values]
        return some(parts) if one_is_enough else every(parts)

    def _binary(self, left: Node, operator: str, right: Node, wanted: bool) -> Worlds:
        operator = "<>" if operator == "!=" else operator
        if operator in _MATCHES:
            return self._match(left, operator, right, wanted)
        if operator not in INVERSE:
            return self._comparisons.contains(left, operator, right) if wanted else DUNNO
        if operator in ("=", "<>") and self._is_truth(left) and self._is_truth(right):
            return self._same_truth(left, right, (operator == "=") == wanted)
        operator = operator if wanted else INVERSE[operator]
        value = self._terms.constant(right)
        if value is not None:
            return self._compare(left, operator, value)
        value = self._terms.constant(left)
        if value is not None:
            return self._compare(right, MIRROR[operator], value)
        return self._sums.compare(left, operator, right)

    def _compare(self, left: Node, operator: str, value: str) -> Worlds:
        truths = self._truths(left)
        return (
            self._comparisons.compare(left, operator, value)
            if truths is None
            else self._counted(truths, operator, value)
        )

    def _is_truth(self, node: Node) -> bool:
        node = trees.bare(node)
        if form(node) in ("bool_expr", "null_test", "boolean_test"):
            return True
        if form(node) == "a_expr":
            return trees.operator(node) in INVERSE | _MATCHES or node.a_expr.kind != pb.AEXPR_OP
        column = self._terms.column(node)
        return column is not None and self._terms.kinds[column].base == "boolean"

    def _same_truth(self, left: Node, right: Node, same: bool) -> Worlds:
        return some(
            every([self._truth(left, value), self._truth(right, value == same)]) for value in (True, False)
        )

    def _match(self, left: Node, operator: str, right: Node, wanted: bool) -> Worlds:
        column, text = self._terms.text_column(left), self._terms.constant(right)
        if column is None or text is None:
            return DUNNO
        regex = text if operator in _REGEXES else like_as_regex(text)
        return matching(
            column, regex, wanted=_MATCHES[operator] == wanted, ignore_case=operator.endswith("*")
        )

    # Counting truths: num_nonnulls(a, b) = 1, (a IS NOT NULL)::int + (b IS NOT NULL)::int = 1.

    def _truths(self, node: Node) -> Truths | None:
        name, args = trees.function(node)
        if name in ("num_nonnulls", "num_nulls"):
            test = pb.IS_NULL if name == "num_nulls" else pb.IS_NOT_NULL
            return [(Node(null_test=pb.NullTest(arg=arg, nulltesttype=test)), True) for arg in args]
        if form(node) == "type_cast" and form(trees.bare(node)) != "column_ref" and self._is_truth(node):
            return [(node, True)]
        if form(node) == "case_expr":
            return _zero_or_one(node.case_expr)
        step = trees.operation(node)
        if step is None or step[0] != "+":
            return None
        left, right = self._truths(step[1]), self._truths(step[2])
        return left + right if left is not None and right is not None else None

    def _counted(self, truths: Truths, operator: str, value: str) -> Worlds:
        if len(truths) > _MOST_TRUTHS or not value.isdigit():
            return DUNNO
        return some(
            every(
                self._truth(node, chosen == positive)
                for (node, positive), chosen in zip(truths, choice, strict=True)
            )
            for choice in product((True, False), repeat=len(truths))
            if HOLDS[operator](sum(choice), int(value))
        )


def _equal(left: Node, right: Node) -> Node:
    name = [Node(string=pb.String(sval="="))]
    return Node(a_expr=pb.A_Expr(kind=pb.AEXPR_OP, name=name, lexpr=left, rexpr=right))


def _zero_or_one(node: pb.CaseExpr) -> Truths | None:
    """CASE WHEN condition THEN 1 ELSE 0 END, or the other way round."""
    if len(node.args) != 1 or node.HasField("arg") or not node.HasField("defresult"):
        return None
    when = node.args[0].case_when
    match trees.literal(when.result), trees.literal(node.defresult):
        case "1", "0":
            return [(when.expr, True)]
        case "0", "1":
            return [(when.expr, False)]
        case _:
            return None


def like_as_regex(pattern: str) -> str:
    """A LIKE pattern as a regular expression."""
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        match character:
            case "%":
                parts.append(".*")
            case "_":
                parts.append(".")
            case "\\":
                parts.append(re.escape(next(characters, "")))
            case _:
                parts.append(re.escape(character))
    return f"^{''.join(parts)}$"

"""Reads CHECK expressions: from a parse tree to the worlds in which it is not false.

Only sufficient conditions are made: whatever a sure world says makes the check pass. What is not understood becomes
an unsure world, and the server sorts the rows out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product
from typing import cast

from data_platform.postgres.synthetic import trees
from data_platform.postgres.synthetic.facts import (
    ANYTHING,
    NO_FACTS,
    UNKNOWN,
    Bound,
    Comparison,
    Derived,
    Facts,
    Pattern,
    Relation,
    World,
    about,
    every,
    some,
    strict,
)
from data_platform.postgres.synthetic.kinds import CLOCKS, LINEAR, MOMENTS, MULTIRANGES, RANGES, TEXTS, Kind
from data_platform.postgres.synthetic.linear import microseconds
from data_platform.postgres.synthetic.trees import Node, form, pb
from data_platform.sql.text import NotSql, expression_tree

Worlds = tuple[World, ...]
Fold = Callable[[str], str | None]
"""Computes an expression without columns: its value as text, or None."""

_DUNNO: Worlds = (UNKNOWN,)
_YES: Worlds = (ANYTHING,)
_NO: Worlds = ()
_INVERSE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>", "<>": "="}
_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_HOLDS: dict[str, Callable[[int, int], bool]] = {
    "<": int.__lt__,
    "<=": int.__le__,
    ">": int.__gt__,
    ">=": int.__ge__,
    "=": int.__eq__,
    "<>": int.__ne__,
}
_LENGTHS = frozenset(
    {
        "length",
        "char_length",
        "character_length",
        "octet_length",
        "cardinality",
        "array_length",
        "jsonb_array_length",
        "json_array_length",
        "bit_length",
    }
)
_TRIMS = frozenset({"btrim", "ltrim", "rtrim", "trim"})
_MATCHES = {"~": True, "~*": True, "!~": False, "!~*": False}
_LIKES = {"~~": True, "~~*": True, "!~~": False, "!~~*": False}
_START_OF = {
    "month": (("day", "=", "1"),),
    "quarter": (("day", "=", "1"), ("quarter_month", "=", "1")),
    "year": (("day", "=", "1"), ("month", "=", "1")),
    "week": (("isodow", "=", "1"),),
    "day": (("hour", "=", "0"),),
    "hour": (("hour", "=", "0"),),
    "minute": (("hour", "=", "0"),),
    "second": (("hour", "=", "0"),),
}
_MOST_TRUTHS = 6


class CheckReader:
    """Reads the checks of one table, whose columns have these kinds."""

    def __init__(self, kinds: Mapping[str, Kind], fold: Fold) -> None:
        self._kinds = kinds
        self._fold = fold

    def read(self, expression: str) -> Worlds:
        """The worlds in which `expression` is true or NULL; none if it never is."""
        try:
            tree = expression_tree(expression)
        except NotSql:
            return _DUNNO
        return self._truth(tree, True)

    def opposite(self, expression: str) -> Worlds:
        """The worlds in which `expression` is false or NULL."""
        try:
            return self._truth(expression_tree(expression), False)
        except NotSql:
            return _DUNNO

    # Truth: connectives, tests, and what compares.

    def _truth(self, node: Node, wanted: bool) -> Worlds:
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
                return self._comparison(node, "=", "true" if wanted else "false")
            case "a_const":
                value = trees.literal(node)
                return _YES if value is None or (value in ("true", "t")) == wanted else _NO
            case "a_expr":
                return self._expression(node, wanted)
            case "func_call" | "coalesce_expr":
                return self._call(node, wanted)
            case _:
                return _DUNNO

    def _connective(self, node: pb.BoolExpr, wanted: bool) -> Worlds:
        if node.boolop == pb.NOT_EXPR:
            return self._truth(node.args[0], not wanted)
        parts = [self._truth(arg, wanted) for arg in node.args]
        return every(parts) if (node.boolop == pb.AND_EXPR) == wanted else some(parts)

    def _null_test(self, node: pb.NullTest, wanted: bool) -> Worlds:
        column = trees.column(node.arg)
        null = (node.nulltesttype == pb.IS_NULL) == wanted
        if column in self._kinds:
            return (about(column, Facts(null=null)),)
        return self._json_key_test(node.arg, null)

    def _json_key_test(self, node: Node, null: bool) -> Worlds:
        step = trees.operation(node)
        if step is None or step[0] not in ("->", "->>") or null:
            return _DUNNO
        return strict(self._json_key(step[1], step[2]))

    def _json_key(self, subject: Node, key: Node) -> Worlds:
        column, name = trees.column(subject), trees.literal(key)
        if column not in self._kinds or name is None:
            return _DUNNO
        return (about(column, Facts(json_type="object", json_keys=frozenset({name}))),)

    def _boolean_test(self, node: pb.BooleanTest, wanted: bool) -> Worlds:
        positive = {pb.IS_TRUE: True, pb.IS_NOT_FALSE: True, pb.IS_FALSE: False, pb.IS_NOT_TRUE: False}
        if node.booltesttype not in positive:
            return _DUNNO
        worlds = self._truth(node.arg, positive[node.booltesttype] == wanted)
        return strict(worlds) if (node.booltesttype in (pb.IS_TRUE, pb.IS_FALSE)) == wanted else worlds

    def _case(self, node: pb.CaseExpr, wanted: bool) -> Worlds:
        """The first WHEN that holds decides; the ones before it do not."""
        branches: list[Worlds] = []
        failed: list[Worlds] = []
        for when in (item.case_when for item in node.args):
            condition = when.expr if not node.HasField("arg") else _equal(node.arg, when.expr)
            holds = strict(self._truth(condition, True))
            branches.append(every([*failed, holds, self._truth(when.result, wanted)]))
            failed.append(self._truth(condition, False))
        last = self._truth(node.defresult, wanted) if node.HasField("defresult") else _YES
        return some([*branches, every([*failed, last])])

    def _expression(self, node: Node, wanted: bool) -> Worlds:
        left, right, operator = node.a_expr.lexpr, node.a_expr.rexpr, trees.operator(node)
        match node.a_expr.kind:
            case pb.AEXPR_OP:
                return self._binary(left, operator, right, wanted)
            case pb.AEXPR_OP_ANY | pb.AEXPR_OP_ALL | pb.AEXPR_IN:
                return self._list(node, wanted)
            case pb.AEXPR_BETWEEN | pb.AEXPR_NOT_BETWEEN:
                low, high = right.list.items
                inside = wanted == (node.a_expr.kind == pb.AEXPR_BETWEEN)
                parts = [self._binary(left, ">=", low, inside), self._binary(left, "<=", high, inside)]
                return every(parts) if inside else some(parts)
            case pb.AEXPR_LIKE | pb.AEXPR_ILIKE | pb.AEXPR_SIMILAR:
                return self._binary(left, operator, right, wanted)
            case pb.AEXPR_DISTINCT | pb.AEXPR_NOT_DISTINCT:
                same = wanted == (node.a_expr.kind == pb.AEXPR_NOT_DISTINCT)
                worlds = self._binary(left, "=", right, same)
                return strict(worlds) if same else worlds
            case _:
                return _DUNNO

    def _list(self, node: Node, wanted: bool) -> Worlds:
        """`x = ANY (…)`, `x <> ALL (…)`, `x IN (…)` and their opposites."""
        left, operator = node.a_expr.lexpr, trees.operator(node)
        values = self._values(node.a_expr.rexpr)
        if values is None or operator not in _INVERSE:
            return _DUNNO
        alternative = node.a_expr.kind == pb.AEXPR_OP_ANY or (
            node.a_expr.kind == pb.AEXPR_IN and operator == "="
        )
        operator = operator if wanted else _INVERSE[operator]
        if operator == "=" and alternative == wanted:
            return self._one_of(left, values)
        parts = [self._comparison(left, operator, value) for value in values]
        return some(parts) if alternative == wanted else every(parts)

    def _one_of(self, left: Node, values: list[str]) -> Worlds:
        column, name = trees.column(left), trees.function(left)[0]
        if column is None and name == "lower":
            column = trees.column(trees.function(left)[1][0])
        if column in self._kinds:
            return (about(column, Facts(only=tuple(self._normal(column, value) for value in values))),)
        return some([self._comparison(left, "=", value) for value in values])

    def _values(self, node: Node) -> list[str] | None:
        elements = trees.items(node)
        if elements is not None:
            values = [self._constant(element) for element in elements]
            return None if None in values else cast(list[str], values)
        if trees.columns(node):
            return None
        listed = self._fold(f"array_to_string({trees.source(node)}, E'\\x01')")
        return None if listed is None else listed.split("\x01")

    def _constant(self, node: Node) -> str | None:
        """The value of an expression without columns; the server computes what is more than a constant."""
        value = trees.literal(node)
        if value is not None or trees.columns(node):
            return value
        try:
            return self._fold(trees.source(node))
        except ValueError:
            return None

    # Binary operators.

    def _binary(self, left: Node, operator: str, right: Node, wanted: bool) -> Worlds:
        operator = "<>" if operator == "!=" else operator
        if operator in _MATCHES or operator in _LIKES:
            return self._match(left, operator, right, wanted)
        if operator not in _INVERSE:
            return self._contains(left, operator, right) if wanted else _DUNNO
        if operator in ("=", "<>") and self._is_truth(left) and self._is_truth(right):
            return self._same_truth(left, right, (operator == "=") == wanted)
        operator = operator if wanted else _INVERSE[operator]
        value = self._constant(right)
        if value is not None:
            return self._comparison(left, operator, value)
        value = self._constant(left)
        if value is not None:
            return self._comparison(right, _MIRROR[operator], value)
        return self._between_columns(left, operator, right)

    def _is_truth(self, node: Node) -> bool:
        node = trees.bare(node)
        if form(node) in ("bool_expr", "null_test", "boolean_test"):
            return True
        if form(node) == "a_expr":
            return trees.operator(node) in {*_INVERSE, *_MATCHES, *_LIKES} or node.a_expr.kind != pb.AEXPR_OP
        column = trees.column(node)
        return column in self._kinds and self._kinds[column].base == "boolean"

    def _same_truth(self, left: Node, right: Node, same: bool) -> Worlds:
        return some(
            every([self._truth(left, value), self._truth(right, value == same)]) for value in (True, False)
        )

    def _match(self, left: Node, operator: str, right: Node, wanted: bool) -> Worlds:
        column, text = trees.column(left), self._constant(right)
        if trees.function(left)[0] in _TRIMS | {"lower", "upper"}:
            column = trees.column(trees.function(left)[1][0])
        if column not in self._kinds or text is None:
            return _DUNNO
        regex = text if operator in _MATCHES else like_as_regex(text)
        positive = (_MATCHES.get(operator) or _LIKES.get(operator) or False) == wanted
        pattern = Pattern(regex, positive, operator.endswith("*"))
        return (about(column, Facts(patterns=frozenset({pattern}))),)

    def _contains(self, left: Node, operator: str, right: Node) -> Worlds:
        """Operators on JSON, arrays and ranges, where a few forms are common."""
        column = trees.column(left)
        if column not in self._kinds:
            return _DUNNO
        if operator == "?":
            return self._json_key(left, right)
        if self._kinds[column].base == "array" and operator in ("<@", "@>", "&&"):
            values = self._values(right)
            if values:
                whole = "{" + ",".join(_quoted(value) for value in values) + "}"
                ones = tuple("{" + _quoted(value) + "}" for value in values)
                return (about(column, Facts(only=(whole,) if operator == "@>" else (*ones, whole))),)
        if self._kinds[column].base in LINEAR and operator == "<@":
            return self._within_range(column, self._constant(right))
        return _DUNNO

    def _within_range(self, column: str, text: str | None) -> Worlds:
        found = re.fullmatch(r"([\[(])\"?([^\",]*)\"?,\"?([^\",]*)\"?([\])])", text or "")
        if not found:
            return _DUNNO
        lows = frozenset({Bound(found[2], found[1] == "(")} if found[2] else ())
        highs = frozenset({Bound(found[3], found[4] == ")")} if found[3] else ())
        return (about(column, Facts(lows=lows, highs=highs)),)

    # A subject compared with a constant.

    def _comparison(self, left: Node, operator: str, value: str) -> Worlds:
        column = trees.column(left)
        if column in self._kinds:
            return self._column_comparison(column, operator, value)
        truths = self._truths(left)
        if truths is not None:
            return self._counted(truths, operator, value)
        name, args = trees.function(left)
        if name:
            return self._function_comparison(name, args, operator, value)
        step = trees.operation(left)
        if step and step[0] == "%":
            return self._function_comparison("mod", [step[1], step[2]], operator, value)
        if step and step[0] in ("->>", "->") and operator == "=":
            return self._json_key(step[1], step[2]) and _DUNNO
        return self._linear(left, operator, value)

    def _column_comparison(self, column: str, operator: str, value: str) -> Worlds:
        value = self._normal(column, value)
        kind = self._kinds[column]
        if kind.base == "boolean" and operator == "<>":
            operator, value = "=", "false" if value == "true" else "true"
        if kind.base == "enum" and operator not in ("=", "<>") and value in kind.labels:
            place = kind.labels.index(value)
            kept = (label for i, label in enumerate(kind.labels) if _HOLDS[operator](i, place))
            return (about(column, Facts(only=tuple(kept))),)
        return (about(column, _limit(operator, value)),)

    def _normal(self, column: str, value: str) -> str:
        if self._kinds[column].base == "boolean":
            return "true" if value in ("true", "t", "yes", "on", "1") else "false"
        return value

    def _function_comparison(self, name: str, args: list[Node], operator: str, value: str) -> Worlds:
        if name == "coalesce" and len(args) == 2:
            return self._coalesce(args, operator, value)
        if name in ("extract", "date_part", "date_trunc", "position", "strpos"):
            return self._two_argument_comparison(name, args, operator, value)
        if not args:
            return _DUNNO
        column = trees.column(args[0])
        if column is None and trees.function(args[0])[0] in _TRIMS | {"lower", "upper"}:
            column = trees.column(trees.function(args[0])[1][0])
        if column not in self._kinds:
            return _DUNNO
        return self._of_column(name, column, args[1:], operator, value)

    def _of_column(self, name: str, column: str, rest: list[Node], operator: str, value: str) -> Worlds:
        base = self._kinds[column].base
        if name in _LENGTHS:
            return self._length(column, operator, value)
        if name in _TRIMS and (operator, value) == ("<>", ""):
            return (about(column, Facts(shortest=1)),)
        if name in ("lower", "upper") and (base in RANGES or base in MULTIRANGES):
            return (about(column, _limit(operator, value)),) if operator not in ("=", "<>") else _DUNNO
        if name in ("lower", "upper") and operator in ("=", "<>"):
            return (about(column, _limit(operator, value)),)
        if name in ("jsonb_typeof", "json_typeof") and operator == "=":
            return (about(column, Facts(json_type=value)),)
        if name == "abs" and operator in ("<", "<="):
            strict = operator == "<"
            low, high = Bound(f"-{value}", strict), Bound(value, strict)
            return (about(column, Facts(lows=frozenset({low}), highs=frozenset({high}))),)
        if name == "mod" and (operator, value) == ("=", "0"):
            step = self._constant(rest[0])
            return (about(column, Facts(multiple_of=int(step))),) if step and step.isdigit() else _DUNNO
        return _DUNNO

    def _length(self, column: str, operator: str, value: str) -> Worlds:
        if not value.isdigit():
            return _YES if operator in (">", ">=", "<>") else _DUNNO
        size = int(value)
        match operator:
            case "=":
                return (about(column, Facts(shortest=size, longest=size)),)
            case "<" | "<=":
                return (about(column, Facts(longest=size - (operator == "<"))),)
            case ">" | ">=":
                return (about(column, Facts(shortest=size + (operator == ">"))),)
            case _:
                return (about(column, Facts(shortest=size + 1)),)

    def _two_argument_comparison(self, name: str, args: list[Node], operator: str, value: str) -> Worlds:
        first, second = args[0], args[1] if len(args) > 1 else args[0]
        if name in ("position", "strpos"):
            column, needle = trees.column(first), trees.literal(second)
            if column not in self._kinds or needle is None or not _HOLDS[operator](10**6, int(value)):
                return _DUNNO
            return (
                about(column, Facts(patterns=frozenset({_after(needle, int(value) - (operator == ">="))}))),
            )
        column, part = trees.column(second), trees.literal(first)
        if column not in self._kinds or part is None or name == "date_trunc":
            return _DUNNO
        return (about(column, Facts(calendar=frozenset({(part, operator, value)}))),)

    def _coalesce(self, args: list[Node], operator: str, value: str) -> Worlds:
        column, other = trees.column(args[0]), self._constant(args[1])
        if column not in self._kinds or other is None:
            return _DUNNO
        given = every([self._comparison(args[0], operator, value), (about(column, Facts(null=False)),)])
        try:
            holds = _HOLDS[operator](*_as_integers(other, value))
        except ValueError:
            holds = _HOLDS[operator](*_as_ranks(other, value))
        return some([given, (about(column, Facts(null=True)),)]) if holds else given

    # Counting truths: num_nonnulls(a, b) = 1, (a IS NOT NULL)::int + (b IS NOT NULL)::int = 1.

    def _truths(self, node: Node) -> list[tuple[Node, bool]] | None:
        name, args = trees.function(node)
        if name in ("num_nonnulls", "num_nulls"):
            test = pb.IS_NULL if name == "num_nulls" else pb.IS_NOT_NULL
            return [(Node(null_test=pb.NullTest(arg=arg, nulltesttype=test)), True) for arg in args]
        if form(node) == "type_cast" and self._is_truth(node):
            return [(node, True)]
        if form(node) == "case_expr":
            return _zero_or_one(node.case_expr)
        step = trees.operation(node)
        if step is None or step[0] != "+":
            return None
        left, right = self._truths(step[1]), self._truths(step[2])
        return left + right if left is not None and right is not None else None

    def _counted(self, truths: list[tuple[Node, bool]], operator: str, value: str) -> Worlds:
        if len(truths) > _MOST_TRUTHS or not value.isdigit():
            return _DUNNO
        return some(
            every(
                self._truth(node, chosen == positive)
                for (node, positive), chosen in zip(truths, choice, strict=True)
            )
            for choice in product((True, False), repeat=len(truths))
            if _HOLDS[operator](sum(choice), int(value))
        )

    # Columns compared with columns.

    def _between_columns(self, left: Node, operator: str, right: Node) -> Worlds:
        normal = self._normal_form(left, operator, right)
        if normal:
            return normal
        a, b = self._sum(left, 1), self._sum(right, -1)
        if a is None or b is None:
            return self._derived(left, operator, right)
        terms = dict(a[0])
        for column, factor in b[0].items():
            terms[column] = terms.get(column, 0) + factor
        related = self._related(terms, a[1] + b[1], operator)
        return related or self._derived(left, operator, right)

    def _normal_form(self, left: Node, operator: str, right: Node) -> Worlds:
        """lower(x) = x, btrim(x) = x, date_trunc('month', x) = x."""
        if operator != "=":
            return _NO
        for call, other in ((left, right), (right, left)):
            name, args = trees.function(call)
            column = trees.column(other)
            if not name or column not in self._kinds or column not in trees.columns(call):
                continue
            if name in ("lower", "upper") and self._kinds[column].base in TEXTS:
                regex = "[A-Z]" if name == "lower" else "[a-z]"
                return (about(column, Facts(patterns=frozenset({Pattern(regex, wanted=False)}))),)
            if name in _TRIMS and len(args) == 1:
                return (about(column, Facts(patterns=frozenset({Pattern(r"^\s|\s$", wanted=False)}))),)
            part = trees.literal(args[0])
            if name == "date_trunc" and part in _START_OF:
                hour = (("hour", "=", "0"),) if self._kinds[column].base != "date" else ()
                return (about(column, Facts(calendar=frozenset({*_START_OF[part], *hour}))),)
        return _NO

    def _derived(self, left: Node, operator: str, right: Node) -> Worlds:
        """`total = quantity * price`: the server computes the column."""
        for target, value in ((left, right), (right, left)):
            column = trees.column(target)
            if operator == "=" and column in self._kinds and column not in trees.columns(value):
                return (World(derived=frozenset({Derived(column, trees.source(value))})),)
        return _DUNNO

    def _linear(self, left: Node, operator: str, value: str) -> Worlds:
        """`end_at - start_at <= '8 hours'`, `a + 5 > 10`."""
        terms = self._sum(left, 1)
        gap = self._amount(value, moments=any(self._is_moment(c) for c in terms[0])) if terms else None
        if terms is None or gap is None:
            return _DUNNO
        return self._related(terms[0], terms[1] - gap, operator) or _DUNNO

    def _sum(self, node: Node, sign: int) -> tuple[dict[str, int], Fraction] | None:
        """A sum of columns and constants as (factor of each column, constant); None if it is something else."""
        column = trees.column(node)
        if column in self._kinds:
            return {column: sign}, Fraction(0)
        step = trees.operation(node)
        if step is None or step[0] not in ("+", "-"):
            value = self._constant(node)
            amount = None if value is None else self._amount(value, moments="interval" in trees.source(node))
            return None if amount is None else ({}, sign * amount)
        a, b = self._sum(step[1], sign), self._sum(step[2], sign if step[0] == "+" else -sign)
        if a is None or b is None:
            return None
        days = any(self._kinds[c].base == "date" for c in {*a[0], *b[0]})
        constants = [
            part[1] * 86_400_000_000 if days and 0 < abs(part[1]) < 10**6 else part[1] for part in (a, b)
        ]
        terms = dict(a[0])
        for name, factor in b[0].items():
            terms[name] = terms.get(name, 0) + factor
        return terms, sum(constants, Fraction(0))

    def _is_moment(self, column: str) -> bool:
        return self._kinds[column].base in MOMENTS | CLOCKS | {"interval"}

    def _amount(self, value: str, *, moments: bool) -> Fraction | None:
        try:
            if not moments:
                return Fraction(value)
            days = value.lstrip("-").isdigit()
            return Fraction(value) * 86_400_000_000 if days else Fraction(microseconds(value))
        except ValueError:
            return None

    def _related(self, terms: Mapping[str, int], constant: Fraction, operator: str) -> Worlds:
        """`a - b + constant OP 0` for two columns on the same kind of line."""
        present = {column: factor for column, factor in terms.items() if factor}
        if len(present) != 2 or sorted(present.values()) != [-1, 1]:
            return _NO
        left = next(column for column, factor in present.items() if factor == 1)
        right = next(column for column, factor in present.items() if factor == -1)
        if operator in (">", ">="):
            left, right, operator, constant = right, left, _MIRROR[operator], -constant
        if constant and operator in ("=", "<>"):
            return _NO
        return (World(relations=frozenset({_relation(left, operator, right, constant)})),)

    def _call(self, node: Node, wanted: bool) -> Worlds:
        name, args = trees.function(node)
        column = trees.column(args[0]) if args else None
        if name == "coalesce" and len(args) == 2:
            return strict(self._truth(args[0], wanted))
        if column not in self._kinds:
            return _DUNNO
        if name in ("isempty", "lower_inf", "upper_inf") and not wanted:
            return (about(column, NO_FACTS),)
        if name == "jsonb_exists" and wanted:
            return self._json_key(args[0], args[1])
        if name == "starts_with" and wanted:
            start = self._constant(args[1])
            return (
                (about(column, Facts(patterns=frozenset({Pattern("^" + re.escape(start))}))),)
                if start is not None
                else _DUNNO
            )
        if name == "regexp_like" and len(args) == 2:
            return self._match(args[0], "~", args[1], wanted)
        return _DUNNO


def _relation(left: str, operator: str, right: str, gap: Fraction) -> Relation:
    return Relation(left, cast(Comparison, operator), right, gap)


def _equal(left: Node, right: Node) -> Node:
    name = [Node(string=pb.String(sval="="))]
    return Node(a_expr=pb.A_Expr(kind=pb.AEXPR_OP, name=name, lexpr=left, rexpr=right))


def _limit(operator: str, value: str) -> Facts:
    match operator:
        case "=":
            return Facts(only=(value,))
        case "<>":
            return Facts(never=frozenset({value}))
        case "<" | "<=":
            return Facts(highs=frozenset({Bound(value, operator == "<")}))
        case _:
            return Facts(lows=frozenset({Bound(value, operator == ">")}))


def _after(needle: str, characters: int) -> Pattern:
    """Something before, then the needle."""
    if characters <= 0 or not needle:
        return Pattern(re.escape(needle))
    return Pattern(f"^[^{re.escape(needle[0])}]{{{characters},}}{re.escape(needle)}")


def _zero_or_one(node: pb.CaseExpr) -> list[tuple[Node, bool]] | None:
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


def _as_integers(a: str, b: str) -> tuple[int, int]:
    low, high = Fraction(a), Fraction(b)
    scale = low.denominator * high.denominator
    return int(low * scale), int(high * scale)


def _as_ranks(a: str, b: str) -> tuple[int, int]:
    return (a > b) - (a < b), 0


def _quoted(item: str) -> str:
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


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

"""PostgreSQL's parse tree of an expression as a tree of sqlglot's, which then writes it in the target's words.

Only what is listed here passes: each case was chosen because both sides mean the same by it, so that a function or an
operator that nobody thought of is refused and not copied. Names, strings and precedence come from PostgreSQL's own
grammar; every nested operator gets parentheses, since precedence differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from postgast import pg_query_pb2 as pb
from sqlglot import exp

from data_platform.schema.dialects import functions, matching
from data_platform.schema.dialects.literals import Untranslatable, number, string, typed
from data_platform.schema.dialects.scope import Scope, Typed, nested
from data_platform.schema.dialects.spellings import Kind
from data_platform.sql.text import identifier

Node: TypeAlias = Any
"""A node of PostgreSQL's parse tree; its generated classes are without types."""

NUMBERS = frozenset({"integer", "decimal", "float"})
TEXTS = frozenset({"text", "citext", "literal"})
_MOMENTS = frozenset({"date", "time", "timestamp", "timestamptz"})
_COMPARISONS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}
_ARITHMETIC: dict[str, type[exp.Binary]] = {
    "+": exp.Add,
    "-": exp.Sub,
    "*": exp.Mul,
    "/": exp.Div,
    "%": exp.Mod,
}


class Reader:
    """Translates one expression."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.dialect = scope.target.name

    def read(self, node: Node) -> Typed:
        """The node's counterpart; Untranslatable if it has none."""
        kind = node.WhichOneof("node")
        handler: Callable[[Node], Typed] | None = getattr(self, f"_{kind}", None)
        if handler is None:
            raise Untranslatable(f"there is no translation of `{_words(kind)}`")
        return handler(getattr(node, kind))

    def note(self, text: str) -> None:
        """Remember what differs."""
        if text not in self.scope.notes:
            self.scope.notes.append(text)

    def require(self, value: Typed, kinds: frozenset[str], what: str) -> exp.Expr:
        """The expression if it is of one of these kinds."""
        if value.kind not in kinds:
            raise Untranslatable(f"{what} on a value of type {value.kind} has no exact counterpart")
        return nested(value.node)

    # ------------------------------------------------------------------ constants and names
    def _a_const(self, node: Node) -> Typed:
        which = node.WhichOneof("val")
        if node.isnull:
            return Typed(exp.null(), "literal")
        if which == "ival":
            return Typed(number(str(node.ival.ival)), "integer")
        if which == "fval":
            text = node.fval.fval
            return Typed(number(text), "integer" if text.isdigit() else "decimal")
        if which == "boolval":
            return Typed(exp.Boolean(this=bool(node.boolval.boolval)), "boolean")
        if which == "sval":
            return Typed(string(node.sval.sval), "literal")
        raise Untranslatable("a constant of bits has no counterpart")

    def _column_ref(self, node: Node) -> Typed:
        parts = tuple(field.string.sval for field in node.fields)
        found = self.scope.columns.get(parts)
        if found is None:
            raise Untranslatable(f"the column `{'.'.join(parts)}` is not there")
        return found

    def _sqlvalue_function(self, node: Node) -> Typed:
        names = {
            pb.SVFOP_CURRENT_DATE: "current_date",
            pb.SVFOP_CURRENT_TIMESTAMP: "now",
            pb.SVFOP_LOCALTIMESTAMP: "localtimestamp",
        }
        if node.op not in names:
            raise Untranslatable("there is no translation of this SQL value function")
        return self._call(names[node.op], [])

    # ------------------------------------------------------------------ logic
    def _bool_expr(self, node: Node) -> Typed:
        parts = [self.read(argument).node for argument in node.args]
        if node.boolop == pb.NOT_EXPR:
            return Typed(exp.Not(this=nested(parts[0])), "boolean")
        joiner = exp.And if node.boolop == pb.AND_EXPR else exp.Or
        made = _operand(parts[0], joiner)
        for part in parts[1:]:
            made = joiner(this=made, expression=_operand(part, joiner))
        return Typed(made, "boolean")

    def _null_test(self, node: Node) -> Typed:
        value = self.read(node.arg)
        if value.kind == "composite":
            raise Untranslatable("IS NULL of a composite value looks into its fields in PostgreSQL")
        return Typed(_is(value.node, exp.null(), negated=node.nulltesttype == pb.IS_NOT_NULL), "boolean")

    def _boolean_test(self, node: Node) -> Typed:
        value = self.read(node.arg).node
        test = node.booltesttype
        if test in (pb.IS_UNKNOWN, pb.IS_NOT_UNKNOWN):
            return Typed(_is(value, exp.null(), negated=test == pb.IS_NOT_UNKNOWN), "boolean")
        # `IS TRUE` reads differently or is not there in some engines; with COALESCE it is the same in all.
        asked = exp.Not(this=nested(value)) if test in (pb.IS_FALSE, pb.IS_NOT_FALSE) else value
        made = exp.Coalesce(this=asked, expressions=[exp.false()])
        negated = test in (pb.IS_NOT_TRUE, pb.IS_NOT_FALSE)
        return Typed(exp.Not(this=made) if negated else made, "boolean")

    # ------------------------------------------------------------------ operators
    def _a_expr(self, node: Node) -> Typed:
        handlers: dict[int, Callable[[Node, str], Typed]] = {
            pb.AEXPR_OP: self._operator,
            pb.AEXPR_IN: self._in,
            pb.AEXPR_OP_ANY: self._any,
            pb.AEXPR_OP_ALL: self._any,
            pb.AEXPR_LIKE: self._like,
            pb.AEXPR_ILIKE: self._like,
            pb.AEXPR_BETWEEN: self._between,
            pb.AEXPR_NOT_BETWEEN: self._between,
            pb.AEXPR_DISTINCT: self._distinct,
            pb.AEXPR_NOT_DISTINCT: self._distinct,
            pb.AEXPR_NULLIF: self._nullif,
        }
        if node.kind not in handlers:
            raise Untranslatable("there is no translation of this comparison")
        return handlers[node.kind](node, node.name[-1].string.sval)

    def _operator(self, node: Node, name: str) -> Typed:
        if not node.HasField("lexpr"):
            return self._signed(node, name)
        if name in _COMPARISONS:
            return functions.json_type_test(self, node, name) or self._comparison(node, name)
        if name in _ARITHMETIC:
            return self._arithmetic(node, name)
        if name in matching.REGEX:
            return matching.regex(self, node, name)
        if name == "||":
            left, right = (self.read(side) for side in (node.lexpr, node.rexpr))
            made = exp.DPipe(
                this=self.require(left, TEXTS, "`||`"),
                expression=self.require(right, TEXTS, "`||`"),
                safe=True,
            )
            return Typed(made, "text")
        if name == "->>":
            return functions.json_text(self, node)
        raise Untranslatable(f"there is no translation of the operator `{name}`")

    def _signed(self, node: Node, name: str) -> Typed:
        value = self.read(node.rexpr)
        if name != "-":
            raise Untranslatable(f"there is no translation of the operator `{name}`")
        return Typed(exp.Neg(this=self.require(value, NUMBERS, "`-`")), value.kind)

    def _comparison(self, node: Node, name: str) -> Typed:
        return self.compared(self.read(node.lexpr), self.read(node.rexpr), name)

    def compared(self, one: Typed, other: Typed, name: str) -> Typed:
        """`one = other`, or another comparison."""
        left, right = self._alike(one, other)
        self._check_order(left, right, ordering=name not in ("=", "<>"))
        sides = [nested(self._comparable(side)) for side in (left, right)]
        return Typed(_COMPARISONS[name](this=sides[0], expression=sides[1]), "boolean")

    def _alike(self, left: Typed, right: Typed) -> tuple[Typed, Typed]:
        """A string constant takes the type of what it is compared with, as in PostgreSQL."""
        return self._as(left, right.kind), self._as(right, left.kind)

    def _as(self, value: Typed, kind: Kind) -> Typed:
        if value.kind != "literal" or not value.node.is_string or kind == "literal":
            return value
        return Typed(typed(value.node.name, kind, self.dialect), kind)

    def _check_order(self, left: Typed, right: Typed, *, ordering: bool) -> None:
        kinds = {left.kind, right.kind} - {"literal"}
        same = len(kinds) <= 1 or kinds <= NUMBERS or kinds <= {"text", "citext"}
        if not same or kinds & {"json", "interval", "array", "composite", "vector", "other", "bytes"}:
            raise Untranslatable(f"a comparison of {' and '.join(sorted(kinds))} has no exact counterpart")
        if ordering and kinds == {"enum"} and not self.scope.target.enum_types:
            raise Untranslatable("the order of an enum's labels is not known here")
        if ordering and kinds & {"text", "citext"}:
            self.note("texts are ordered by code point, not by the database's collation")

    def _comparable(self, value: Typed) -> exp.Expr:
        # Texts in ISO 8601 compare as times only if all are written alike; as Julian days they always do.
        if self.dialect == "sqlite" and value.kind in ("timestamp", "timestamptz"):
            return exp.Anonymous(this="JULIANDAY", expressions=[value.node])
        return value.node

    def _arithmetic(self, node: Node, name: str) -> Typed:
        left, right = self._alike(self.read(node.lexpr), self.read(node.rexpr))
        if left.kind in ("timestamp", "timestamptz") and right.kind == "interval" and name in "+-":
            return Typed(_ARITHMETIC[name](this=nested(left.node), expression=right.node), left.kind)
        sides = [self.require(side, NUMBERS, f"`{name}`") for side in (left, right)]
        kinds = {left.kind, right.kind}
        kind: Kind = "float" if "float" in kinds else "decimal" if "decimal" in kinds else "integer"
        if name == "/":
            return self._division(sides, kind)
        if name == "%":
            self.note("a remainder by zero gives NULL or fails otherwise than in PostgreSQL")
        return Typed(_ARITHMETIC[name](this=sides[0], expression=sides[1]), kind)

    def _division(self, sides: list[exp.Expr], kind: Kind) -> Typed:
        self.note("a division by zero does not fail as in PostgreSQL")
        if kind == "integer":
            if self.dialect not in ("mysql", "sqlite", "duckdb"):
                raise Untranslatable("a division of integers drops the rest in PostgreSQL and not here")
            divide = exp.Div if self.dialect == "sqlite" else exp.IntDiv
            return Typed(divide(this=sides[0], expression=sides[1], typed=True, safe=True), kind)
        self.note("a quotient has another number of digits")
        return Typed(exp.Div(this=sides[0], expression=sides[1], typed=True, safe=True), kind)

    def _like(self, node: Node, name: str) -> Typed:
        return matching.like(self, node, name)

    def _in(self, node: Node, name: str) -> Typed:
        items = [self.read(item) for item in node.rexpr.list.items]
        return self._listed(self.read(node.lexpr), items, negated=name == "<>")

    def _any(self, node: Node, name: str) -> Typed:
        array = node.rexpr
        while array.HasField("type_cast"):
            array = array.type_cast.arg
        wanted = (node.kind, name) in ((pb.AEXPR_OP_ANY, "="), (pb.AEXPR_OP_ALL, "<>"))
        if not wanted or not array.HasField("a_array_expr"):
            raise Untranslatable("there is no translation of ANY or ALL but over a list")
        items = [self.read(item) for item in array.a_array_expr.elements]
        return self._listed(self.read(node.lexpr), items, negated=name == "<>")

    def _listed(self, value: Typed, items: list[Typed], *, negated: bool) -> Typed:
        pairs = [self._alike(value, item) for item in items]
        for left, right in pairs:
            self._check_order(left, right, ordering=False)
        subject = nested(self._comparable(pairs[0][0]))
        made = exp.In(this=subject, expressions=[self._comparable(right) for _, right in pairs])
        return Typed(exp.Not(this=made) if negated else made, "boolean")

    def _between(self, node: Node, _name: str) -> Typed:
        value = self.read(node.lexpr)
        bounds = [self._alike(value, self.read(item)) for item in node.rexpr.list.items]
        for left, right in bounds:
            self._check_order(left, right, ordering=True)
        low, high = (nested(self._comparable(right)) for _, right in bounds)
        made = exp.Between(this=nested(self._comparable(bounds[0][0])), low=low, high=high)
        return Typed(exp.Not(this=made) if node.kind == pb.AEXPR_NOT_BETWEEN else made, "boolean")

    def _distinct(self, node: Node, _name: str) -> Typed:
        left, right = self._alike(self.read(node.lexpr), self.read(node.rexpr))
        self._check_order(left, right, ordering=False)
        same = exp.NullSafeEQ(this=nested(self._comparable(left)), expression=nested(self._comparable(right)))
        return Typed(exp.Not(this=same) if node.kind == pb.AEXPR_DISTINCT else same, "boolean")

    def _nullif(self, node: Node, _name: str) -> Typed:
        left, right = self._alike(self.read(node.lexpr), self.read(node.rexpr))
        self._check_order(left, right, ordering=False)
        return Typed(exp.Nullif(this=left.node, expression=right.node), left.kind)

    # ------------------------------------------------------------------ choices
    def _coalesce_expr(self, node: Node) -> Typed:
        parts, kind = self._one_kind([self.read(argument) for argument in node.args])
        return Typed(exp.Coalesce(this=parts[0], expressions=parts[1:]), kind)

    def _min_max_expr(self, node: Node) -> Typed:
        if self.dialect not in ("duckdb", "spark"):
            raise Untranslatable("GREATEST and LEAST skip NULL in PostgreSQL and not here")
        parts, kind = self._one_kind([self.read(argument) for argument in node.args])
        made = exp.Greatest if node.op == pb.IS_GREATEST else exp.Least
        return Typed(made(this=parts[0], expressions=parts[1:], ignore_nulls=True), kind)

    def _one_kind(self, parts: list[Typed]) -> tuple[list[exp.Expr], Kind]:
        kinds = {part.kind for part in parts} - {"literal"}
        if len(kinds) > 1 and not (kinds <= NUMBERS or kinds <= TEXTS):
            raise Untranslatable(f"values of {' and '.join(sorted(kinds))} do not mix here")
        kind: Kind = next(
            (part.kind for wanted in ("float", "decimal") for part in parts if part.kind == wanted),
            next((part.kind for part in parts if part.kind != "literal"), "text"),
        )
        return [self._as(part, kind).node for part in parts], kind

    def _case_expr(self, node: Node) -> Typed:
        if node.HasField("arg"):
            raise Untranslatable("CASE with a value before WHEN has no translation")
        results = [self.read(arm.case_when.result) for arm in node.args]
        default = [self.read(node.defresult)] if node.HasField("defresult") else []
        parts, kind = self._one_kind([*results, *default])
        tests = [self.read(arm.case_when.expr).node for arm in node.args]
        arms = [exp.If(this=test, true=part) for test, part in zip(tests, parts, strict=False)]
        return Typed(exp.Case(ifs=arms, default=parts[-1] if default else None), kind)

    # ------------------------------------------------------------------ calls and casts
    def _func_call(self, node: Node) -> Typed:
        plain = ("funcname", "args", "funcformat", "location")
        unusual = [field.name for field, _ in node.ListFields() if field.name not in plain]
        schemas = {part.string.sval for part in node.funcname[:-1]} - {"pg_catalog", "public"}
        if unusual or schemas:
            raise Untranslatable("there is no translation of this function call")
        return self._call(node.funcname[-1].string.sval, [self.read(argument) for argument in node.args])

    def _call(self, name: str, arguments: list[Typed]) -> Typed:
        return functions.call(self, name, arguments)

    def _type_cast(self, node: Node) -> Typed:
        mapped = self.scope.types.mapped(type_text(node.type_name))
        value = self.read(node.arg)
        if value.kind == "literal":
            made = typed(value.node.name, mapped.kind, self.dialect) if value.node.is_string else value.node
            return Typed(made, mapped.kind)
        if mapped.kind == value.kind and not node.type_name.typmods:
            return value
        widens = (value.kind, mapped.kind) in (("integer", "decimal"), ("citext", "text"), ("text", "citext"))
        if widens and not node.type_name.typmods:
            return Typed(value.node, mapped.kind)
        if (value.kind, mapped.kind) == ("enum", "text"):
            return Typed(self._enum_text(value.node), "text")
        raise Untranslatable(f"a cast from {value.kind} to {mapped.kind} has no exact counterpart")

    def _enum_text(self, node: exp.Expr) -> exp.Expr:
        return exp.cast(node, "TEXT") if self.scope.target.enum_types else node

    def _collate_clause(self, node: Node) -> Typed:
        if node.collname[-1].string.sval not in ("C", "POSIX", "ucs_basic", "default"):
            raise Untranslatable("this collation has no counterpart")
        return self.read(node.arg)


def type_text(node: Node) -> str:
    """The type of a cast, as text that the model's types are looked up by."""
    names = [part.string.sval for part in node.names if part.string.sval != "pg_catalog"]
    modifiers = [str(item.a_const.ival.ival) for item in node.typmods if item.a_const.HasField("ival")]
    text = ".".join(str(identifier(name)) for name in names)
    return text + (f"({', '.join(modifiers)})" if modifiers else "") + "[]" * len(node.array_bounds)


def _operand(node: exp.Expr, joiner: type[exp.Expr]) -> exp.Expr:
    """An operand of AND or OR; every comparison binds closer than these, everywhere."""
    loose = (exp.And, exp.Or, exp.Not)
    return exp.Paren(this=node) if isinstance(node, loose) and not isinstance(node, joiner) else node


def _is(value: exp.Expr, other: exp.Expr, *, negated: bool) -> exp.Expr:
    test = exp.Is(this=nested(value), expression=other)
    return exp.Not(this=test) if negated else test


def _words(kind: str | None) -> str:
    return (kind or "this").replace("_", " ")

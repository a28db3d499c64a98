"""What a policy says while the settings that it reads are unset: its condition worked out as far as constants go.

A setting that was never set is NULL to current_setting(name, true); after a SET LOCAL whose transaction has ended it is
the empty string. Everything that depends on rows is unknown, and what PostgreSQL would raise ends the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import postgast

from data_platform.schema.rules import trees
from data_platform.schema.rules.settings import Functions, called, setting_of, settings_in

pb = postgast.pg_query_pb2


class Fails(Exception):
    """PostgreSQL would raise an error here; the message says which."""


@dataclass(frozen=True)
class Term:
    """A value that depends on the row; two terms of the same text are equal."""

    text: str


class _Unknown:
    """A value that cannot be told."""


UNKNOWN = _Unknown()
Value: TypeAlias = "str | bool | Term | _Unknown | None"
_TRUE = frozenset({"true", "t", "yes", "on", "1"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext"})
_OF_TEXT: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "btrim": str.strip,
    "length": lambda text: str(len(text)),
}
"""Functions of one text, each NULL of a NULL, whose result is told."""
_STRICT = frozenset(
    {
        *_OF_TEXT,
        "string_to_array",
        "regexp_split_to_array",
        "replace",
        "split_part",
        "left",
        "right",
        "convert_from",
    }
)


@dataclass(frozen=True)
class Unset:
    """Works out conditions while every custom setting is `value`: None if it was never set, or ''."""

    value: str | None
    functions: Functions

    def opens(self, condition: Any) -> bool:
        """Whether nothing that the condition asks of the settings keeps any row back."""
        asked = [part for part in trees.conjuncts(condition) if settings_in(part, self.functions)]
        try:
            return bool(asked) and all(self.of(part) is True for part in asked)
        except Fails:
            return False

    def failure(self, condition: Any) -> str | None:
        """The error that the condition ends in, if it does."""
        try:
            self.of(condition)
        except Fails as error:
            return str(error)
        return None

    def of(self, node: Any) -> Value:
        """The value of an expression."""
        kind = node.WhichOneof("node")
        work = _WORK.get(kind)
        return work(self, getattr(node, kind)) if work else UNKNOWN


def _constant(_: Unset, node: Any) -> Value:
    if node.isnull:
        return None
    kind = node.WhichOneof("val")
    if kind == "boolval":
        return bool(node.boolval.boolval)
    return str({"sval": node.sval.sval, "ival": node.ival.ival, "fval": node.fval.fval}.get(kind, ""))


def _column(_: Unset, node: Any) -> Value:
    return Term(".".join(part.string.sval for part in node.fields))


def _cast(unset: Unset, node: Any) -> Value:
    value = unset.of(node.arg)
    type_ = node.type_name.names[-1].string.sval
    if not isinstance(value, str) or node.type_name.array_bounds:
        return value
    if type_ == "bool":
        return _as_bool(value)
    if value == "" and type_ not in _TEXTS:
        raise Fails(f"an empty text is no {type_}")
    return value


def _as_bool(text: str) -> bool:
    if text == "":
        raise Fails("an empty text is no boolean")
    return text.lower() in _TRUE


def _call(unset: Unset, node: Any) -> Value:
    name = node.funcname[-1].string.sval
    setting = setting_of(node)
    if setting == "?":
        return UNKNOWN
    if setting is not None:
        return _current_setting(unset, node, setting)
    body = unset.functions.get(called(node))
    if body is not None and not node.args:
        return unset.of(body)
    values = [unset.of(argument) for argument in node.args]
    if name in _STRICT and None in values:
        return None
    known = len(values) == 1 and isinstance(values[0], str) and name in _OF_TEXT
    return _OF_TEXT[name](str(values[0])) if known else UNKNOWN


def _current_setting(unset: Unset, node: Any, setting: str) -> Value:
    may_miss = len(node.args) > 1 and unset.of(node.args[1]) in (True, "true")
    if unset.value is None and not may_miss:
        raise Fails(f"`{setting}` is not known to a session that never set it")
    return unset.value


def _coalesce(unset: Unset, node: Any) -> Value:
    return next((value for part in node.args if (value := unset.of(part)) is not None), None)


def _operator(unset: Unset, node: Any) -> Value:
    left = unset.of(node.lexpr) if node.HasField("lexpr") else UNKNOWN
    right = unset.of(node.rexpr)
    name = node.name[-1].string.sval
    if node.kind == pb.AEXPR_NULLIF:
        return None if _equal(left, right) is True else left
    if node.kind in (pb.AEXPR_DISTINCT, pb.AEXPR_NOT_DISTINCT):
        return _distinct(left, right, node.kind == pb.AEXPR_DISTINCT)
    if left is None or right is None:
        return None
    if (
        node.kind in (pb.AEXPR_LIKE, pb.AEXPR_ILIKE)
        and isinstance(right, str)
        and right
        and not right.strip("%")
    ):
        return name in ("~~", "~~*")
    if node.kind != pb.AEXPR_OP:
        return UNKNOWN
    return _plain_operator(name, left, right)


def _plain_operator(name: str, left: Value, right: Value) -> Value:
    if name == "=":
        return _equal(left, right)
    if name in ("<>", "!="):
        equal = _equal(left, right)
        return not equal if isinstance(equal, bool) else equal
    if name in ("~~", "~~*") and isinstance(right, str) and right and not right.strip("%"):
        return True
    if name == "||" and isinstance(left, str) and isinstance(right, str):
        return left + right
    if name in (">", "<=") and isinstance(left, str) and right == "0" and left.isdecimal():
        return (int(left) > 0) == (name == ">")
    return UNKNOWN


def _equal(left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    told = all(isinstance(value, str | bool) for value in (left, right))
    if told or (isinstance(left, Term) and left == right):
        return left == right
    return UNKNOWN


def _distinct(left: Value, right: Value, wanted: bool) -> Value:
    if left is None and right is None:
        return not wanted
    if None in (left, right):
        other = right if left is None else left
        return wanted if isinstance(other, str | bool) else UNKNOWN
    equal = _equal(left, right)
    return equal != wanted if isinstance(equal, bool) else UNKNOWN


def _logic(unset: Unset, node: Any) -> Value:
    if node.boolop == pb.NOT_EXPR:
        value = unset.of(node.args[0])
        return not value if isinstance(value, bool) else (None if value is None else UNKNOWN)
    decisive = node.boolop == pb.OR_EXPR
    values = []
    for part in node.args:
        values.append(unset.of(part))
        if values[-1] is decisive:
            return decisive
    if all(value is not decisive and isinstance(value, bool) for value in values):
        return not decisive
    known = all(value is None or isinstance(value, bool) for value in values)
    return None if known else UNKNOWN


def _null_test(unset: Unset, node: Any) -> Value:
    value = unset.of(node.arg)
    if isinstance(value, Term | _Unknown):
        return UNKNOWN
    return bool((value is None) == (node.nulltesttype == pb.IS_NULL))


def _boolean_test(unset: Unset, node: Any) -> Value:
    value = unset.of(node.arg)
    if isinstance(value, Term | _Unknown):
        return UNKNOWN
    told: Mapping[int, bool] = {
        pb.IS_TRUE: value is True,
        pb.IS_NOT_TRUE: value is not True,
        pb.IS_FALSE: value is False,
        pb.IS_NOT_FALSE: value is not False,
        pb.IS_UNKNOWN: value is None,
        pb.IS_NOT_UNKNOWN: value is not None,
    }
    return told[node.booltesttype]


def _case(unset: Unset, node: Any) -> Value:
    if node.HasField("arg"):
        return UNKNOWN
    for when in (part.case_when for part in node.args):
        chosen = unset.of(when.expr)
        if chosen is True:
            return unset.of(when.result)
        if isinstance(chosen, Term | _Unknown):
            return UNKNOWN
    return unset.of(node.defresult) if node.HasField("defresult") else None


def _subquery(unset: Unset, node: Any) -> Value:
    """`(SELECT expression)`, as it is written so that it is computed once."""
    select = node.subselect.select_stmt
    alone = len(select.target_list) == 1 and not select.from_clause and not select.HasField("where_clause")
    if node.sub_link_type != pb.EXPR_SUBLINK or not alone:
        return UNKNOWN
    return unset.of(select.target_list[0].res_target.val)


_WORK: Mapping[str, Callable[[Unset, Any], Value]] = {
    "a_const": _constant,
    "a_expr": _operator,
    "bool_expr": _logic,
    "boolean_test": _boolean_test,
    "case_expr": _case,
    "coalesce_expr": _coalesce,
    "column_ref": _column,
    "func_call": _call,
    "null_test": _null_test,
    "sub_link": _subquery,
    "type_cast": _cast,
}

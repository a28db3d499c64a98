"""What an expression refers to and whether it is volatile: what decides between an instant change and a rewrite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.sql.text import NotSql, parse

_CONSTANT = frozenset({"a_const", "sqlvalue_function"})

OF_EXTENSIONS: Mapping[str, bool] = {
    "uuid_generate_v1": True,
    "uuid_generate_v1mc": True,
    "uuid_generate_v4": True,
    "gen_random_bytes": True,
    "gen_salt": True,
    "uuid_generate_v3": False,
    "uuid_generate_v5": False,
    "uuid_nil": False,
    "crypt": False,
    "digest": False,
    "hmac": False,
    "unaccent": False,
    "hstore": False,
}
"""Whether well-known functions of extensions are volatile."""


class Routine(NamedTuple):
    """A function that the schema or the migration made, as far as it matters here."""

    name: str
    volatility: str
    language: str
    body: str
    inlinable: bool
    """The server may put the body in the place of the call: LANGUAGE sql, no SET, not SECURITY DEFINER."""


class Verdict(NamedTuple):
    """Whether an expression is volatile; `certain` is False where a function is not known."""

    volatile: bool
    function: str = ""
    certain: bool = True


STABLE = Verdict(False)


def volatility(node: pb.Node, routines: Mapping[str, Routine], depth: int = 0) -> Verdict:
    """Whether a value of the expression has to be computed row by row."""
    while node.HasField("type_cast"):
        node = node.type_cast.arg
    if node.WhichOneof("node") in _CONSTANT:
        return STABLE
    worst = STABLE
    for call in postgast.find_nodes(node, pb.FuncCall):
        found = _call(call, routines, depth)
        if found.volatile and found.certain:
            return found
        if found.volatile:
            worst = found
    return worst


def _call(call: pb.FuncCall, routines: Mapping[str, Routine], depth: int) -> Verdict:
    names = [part.string.sval for part in call.funcname]
    name, schema = names[-1], names[0] if len(names) > 1 else None
    routine = routines.get(name) if schema != "pg_catalog" else None
    if routine is not None:
        return _routine(routine, routines, depth)
    if schema in (None, "pg_catalog"):
        volatile, others = built_in()
        if name in volatile:
            return Verdict(True, name)
        if name in others:
            return STABLE
    if name in OF_EXTENSIONS:
        return Verdict(OF_EXTENSIONS[name], name)
    return Verdict(True, name, certain=False)


def _routine(routine: Routine, routines: Mapping[str, Routine], depth: int) -> Verdict:
    """A function counts as what it is declared, but the server puts simple SQL bodies in its place first."""
    if routine.volatility != "v":
        return STABLE
    body = _one_expression(routine.body) if routine.inlinable and depth < _DEEPEST else None
    return volatility(body, routines, depth + 1) if body is not None else Verdict(True, routine.name)


_DEEPEST = 5


def _one_expression(body: str) -> pb.Node | None:
    """The expression of a body that is one `SELECT expression`."""
    try:
        statements = parse(body).stmts
    except NotSql:
        return None
    if len(statements) != 1 or not statements[0].stmt.HasField("select_stmt"):
        return None
    select = statements[0].stmt.select_stmt
    plain = {field.name for field, _ in select.ListFields()} <= {"target_list", "limit_option", "op"}
    return select.target_list[0].res_target.val if plain and len(select.target_list) == 1 else None


@lru_cache(maxsize=1)
def built_in() -> tuple[frozenset[str], frozenset[str]]:
    """The names of PostgreSQL's own functions: those with a volatile form, and the others."""
    text = files("data_platform.migration.lint").joinpath("functions.txt").read_text(encoding="ascii")
    volatile, others = (
        line.partition(":")[2].split() for line in text.splitlines() if not line.startswith("#")
    )
    return frozenset(volatile), frozenset(others)


def columns_in(node: Any) -> frozenset[str]:
    """The names of the columns that an expression mentions."""
    if not node.WhichOneof("node"):
        return frozenset()
    references = postgast.find_nodes(node, pb.ColumnRef)
    return frozenset(
        reference.fields[-1].string.sval
        for reference in references
        if reference.fields[-1].HasField("string")
    )


def proves_not_null(node: pb.Node) -> frozenset[str]:
    """Columns that a CHECK with this expression keeps from being null: `c IS NOT NULL`, alone or joined by AND."""
    return frozenset(_not_null(node))


def _not_null(node: pb.Node) -> Iterator[str]:
    kind = node.WhichOneof("node")
    if kind == "bool_expr" and node.bool_expr.boolop == pb.AND_EXPR:
        for part in node.bool_expr.args:
            yield from _not_null(part)
    elif kind == "null_test" and node.null_test.nulltesttype == pb.IS_NOT_NULL:
        argument = node.null_test.arg
        if argument.HasField("column_ref"):
            yield argument.column_ref.fields[-1].string.sval
    elif kind == "bool_expr" and node.bool_expr.boolop == pb.NOT_EXPR:
        inner = node.bool_expr.args[0]
        if inner.HasField("null_test") and inner.null_test.nulltesttype == pb.IS_NULL:
            argument = inner.null_test.arg
            if argument.HasField("column_ref"):
                yield argument.column_ref.fields[-1].string.sval

"""The SQL inside of DO blocks and functions, as far as it stands there as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.expressions import Routine
from data_platform.sql.text import NotSql, body, identifier, literal, parse


@dataclass(frozen=True)
class Inner:
    """A statement in a body. `line` counts from 1 within the body; None in `node`: it is put together when it runs."""

    line: int
    sql: str
    node: pb.Node | None


def of_do(node: pb.DoStmt) -> Iterator[Inner]:
    """The statements of a DO block, every branch of it."""
    options = {option.def_elem.defname: option.def_elem.arg for option in node.args}
    language = options["language"].string.sval.lower() if "language" in options else "plpgsql"
    if "as" not in options:
        return
    text = options["as"].string.sval
    if language == "plpgsql":
        yield from _plpgsql(text)
    else:
        yield Inner(1, f"a body in {language}", None)


def of_calls(node: pb.Node, routines: Mapping[str, Routine]) -> Iterator[Inner]:
    """The statements of the functions and procedures that a statement calls, as far as their bodies are known."""
    for call in _calls(node):
        routine = routines.get(call.funcname[-1].string.sval)
        if routine is None:
            continue
        if routine.language in ("plpgsql", "sql"):
            inner = _plpgsql(routine.body) if routine.language == "plpgsql" else _sql(routine.body, 1)
            yield from (replace(one, line=1) for one in inner)  # the place is the call's


def _calls(node: pb.Node) -> Iterator[pb.FuncCall]:
    if node.HasField("call_stmt"):
        yield node.call_stmt.funccall
    elif node.HasField("select_stmt"):
        for target in node.select_stmt.target_list:
            if target.res_target.val.HasField("func_call"):
                yield target.res_target.val.func_call


def _plpgsql(text: str) -> Iterator[Inner]:
    try:
        trees = postgast.parse_plpgsql(f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS {body(text)}")
    except (postgast.PgQueryError, ValueError):
        yield Inner(1, "a body that is no PL/pgSQL", None)
        return
    for kind, node in _statements(trees):
        line = int(node.get("lineno", 1))
        if kind == "PLpgSQL_stmt_dynexecute":
            yield from _dynamic(_text(node["query"]), line)
        elif kind == "PLpgSQL_stmt_execsql":
            yield from _sql(_text(node["sqlstmt"]), line)
        elif kind in ("PLpgSQL_stmt_perform", "PLpgSQL_stmt_call"):
            yield from _sql(_text(node["expr"]), line)
        elif kind == "PLpgSQL_stmt_commit":
            yield from _sql("COMMIT", line)


_TAKEN = frozenset(
    {"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_execsql", "PLpgSQL_stmt_perform", "PLpgSQL_stmt_call"}
)


def _statements(tree: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every PL/pgSQL statement, in order, whatever it stands in."""
    if isinstance(tree, list):
        for item in tree:
            yield from _statements(item)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in _TAKEN or key == "PLpgSQL_stmt_commit":
                yield key, value
            else:
                yield from _statements(value)


def _text(expression: Mapping[str, Any]) -> str:
    return str(expression["PLpgSQL_expr"]["query"])


def _sql(text: str, line: int) -> Iterator[Inner]:
    try:
        trees = parse(text).stmts
    except NotSql:
        yield Inner(line, text, None)
        return
    for tree in trees:
        yield Inner(line, text, tree.stmt)


def _dynamic(expression: str, line: int) -> Iterator[Inner]:
    """EXECUTE of constants is read like SQL; what depends on a variable is not."""
    try:
        target = parse(f"SELECT {expression}").stmts[0].stmt.select_stmt.target_list[0].res_target.val
    except NotSql:
        target = pb.Node()
    text = _constant(target)
    if text is None:
        yield Inner(line, f"EXECUTE {expression}", None)
    else:
        yield from _sql(text, line)


def _constant(node: pb.Node) -> str | None:
    if node.HasField("a_const") and node.a_const.HasField("sval"):
        return str(node.a_const.sval.sval)
    if node.HasField("a_expr") and node.a_expr.name[-1].string.sval == "||":
        left, right = _constant(node.a_expr.lexpr), _constant(node.a_expr.rexpr)
        return None if left is None or right is None else left + right
    if node.HasField("func_call") and node.func_call.funcname[-1].string.sval == "format":
        return _formatted([_constant(argument) for argument in node.func_call.args])
    return None


def _formatted(arguments: list[str | None]) -> str | None:
    """The result of format() with constants alone."""
    if not arguments or any(argument is None for argument in arguments):
        return None
    pattern, *values = [argument or "" for argument in arguments]
    made, rest = "", iter(values)
    pieces = iter(pattern.split("%"))
    made = next(pieces)
    for piece in pieces:
        if piece == "":
            made += "%" + next(pieces, "")
            continue
        value = next(rest, None)
        if value is None or piece[0] not in _FORMATS:
            return None
        made += _FORMATS[piece[0]](value) + piece[1:]
    return made


_FORMATS: dict[str, Callable[[str], str]] = {
    "s": str,
    "I": lambda text: str(identifier(text)),
    "L": lambda text: str(literal(text)),
}

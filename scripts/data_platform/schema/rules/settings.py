"""Which settings of the session a condition reads, itself or by a function, and what it compares with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import postgast

from data_platform.model.database import Function, Name
from data_platform.schema.rules import trees
from data_platform.sql.text import NotSql, parse, tokens_of

pb = postgast.pg_query_pb2

Functions: TypeAlias = Mapping[Name, Any]
"""What a function without arguments returns, as a parse tree; None where its body only mentions a setting."""


def settings_in(node: Any, functions: Functions) -> frozenset[str]:
    """The custom settings that a condition reads, itself or by a function; `?` where the name is not a constant."""
    found: set[str] = set()
    for call in postgast.find_nodes(node, pb.FuncCall):
        if name := setting_of(call):
            found.add(name)
        elif (function := called(call)) in functions:
            body = functions[function]
            found |= settings_in(body, {}) if body is not None else {"?"}
    return frozenset(found)


def readers(functions: tuple[Function, ...]) -> Functions:
    """The functions without arguments that read a setting."""
    found = {}
    for function in functions:
        text = function.sql_body or function.body or ""
        if not function.arguments and "current_setting" in text:
            found[function.name] = _returned(function, text)
            found.setdefault(Name("public", function.name.name), found[function.name])
    return found


def _returned(function: Function, text: str) -> Any | None:
    """The one expression that the function returns; None where there is more to it."""
    try:
        statement = text if function.language == "sql" else _only_return(text)
        word, _, rest = statement.strip().partition(" ")
        wanted = f"SELECT {rest}" if word.lower() == "return" else statement
        (raw,) = parse(wanted).stmts
    except (NotSql, ValueError):
        return None
    select = raw.stmt.select_stmt
    alone = len(select.target_list) == 1 and not select.from_clause and not select.HasField("where_clause")
    return select.target_list[0].res_target.val if alone else None


def _only_return(body: str) -> str:
    """`RETURN …` of a body in PL/pgSQL that does nothing else; ValueError if it does."""
    raw, tokens = tokens_of(body)
    words = [raw[token.start : token.end].lower() for token in tokens]
    if (
        words[:2] != [b"begin", b"return"]
        or words.count(b";") > 2
        or words[-1 - (words[-1] == b";")] != b"end"
    ):
        raise ValueError("more than one statement")
    return raw[tokens[1].start : tokens[words.index(b";")].start].decode()


def setting_of(call: Any) -> str | None:
    """The name of the custom setting that the call reads."""
    if call.funcname[-1].string.sval != "current_setting" or not call.args:
        return None
    name = call.args[0]
    while name.HasField("type_cast"):
        name = name.type_cast.arg
    if not name.HasField("a_const"):
        return "?"
    text = str(name.a_const.sval.sval)
    return text if "." in text else None


def called(call: Any) -> Name:
    """The name of the function; one without a schema is taken to be public."""
    parts = [part.string.sval for part in call.funcname]
    return Name(parts[-2] if len(parts) > 1 else "public", parts[-1])


def compared_columns(node: Any, functions: Functions) -> Iterator[str]:
    """The columns that a condition compares for equality with what it reads from a setting."""
    for comparison in (part for part in trees.below(node) if isinstance(part, pb.A_Expr)):
        is_equality = (
            comparison.kind in (pb.AEXPR_OP, pb.AEXPR_OP_ANY) and comparison.name[-1].string.sval == "="
        )
        for one, other in ((comparison.lexpr, comparison.rexpr), (comparison.rexpr, comparison.lexpr)):
            if is_equality and (name := trees.column_of(one)) is not None and settings_in(other, functions):
                yield name

"""Functions, procedures, and what has no form of its own."""

from __future__ import annotations

from collections.abc import Iterator, Set

from data_platform.ddl.clauses import function as named
from data_platform.ddl.piece import Part, PartKey, Piece, Statement
from data_platform.ddl.small import comment, function_kind, function_signature
from data_platform.model.database import Function, Raw
from data_platform.sql.makes import made_by
from data_platform.sql.references import (
    Reference,
    References,
    of_script,
    of_signature,
)
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, tokens_of

_WITHOUT_SCHEMA = ("access method", "foreign data wrapper", "language", "schema", "server")


def function_pieces(function: Function, late: Set[PartKey]) -> Iterator[Piece]:
    """CREATE FUNCTION or PROCEDURE and its comment; one whose body is put off has an empty one till then."""
    kind, key = function_kind(function), _key(function)
    made = f"{kind} {function.name}"
    is_late = key in late
    signature = set(_needs(function))
    body = tuple(name for name in _body_needs(function) if not is_late and name not in signature)
    yield Piece(
        statement=Statement(_sql(function, empty=is_late), made, "functions"),
        makes=(named(function.name),),
        needs=_needs(function),
        parts=(Part(key=key, needs=body),) if body else (),
        body=function.body if function.language == "sql" else None,
    )
    if is_late:
        statement = Statement(_sql(function, again=True), f"body of {made}", "functions")
        yield Piece(statement=statement, needs=_needs(function) + _body_needs(function))
    if function.comment is not None:
        yield comment(kind, function_signature(function), function.comment, made, "functions")


def _sql(function: Function, *, empty: bool = False, again: bool = False) -> Sql:
    return render("ddl/function.sql.j2", function=function, empty=empty, again=again)


def _key(function: Function) -> PartKey:
    return ("body", str(function.name), function.arguments)


def _needs(function: Function) -> References:
    language = Reference("language", None, function.language)
    support = (named(function.support),) if function.support else ()
    return (language, *support, *of_signature(function.arguments, function.returns, None))


def _body_needs(function: Function) -> References:
    return of_signature(function.arguments, function.returns, function.sql_body)


def checks_body(function: Function) -> bool:
    """Whether CREATE FUNCTION could look up in its body what is made only later.

    PostgreSQL reads a body in PL/pgSQL for its grammar and for the types of its variables, and one in SQL in full.
    """
    if function.body is None:
        return False
    plain = function.language == "plpgsql" and function.returns == "trigger" and not function.arguments
    return not plain or _declares(function.body)


def _declares(body: str) -> bool:
    raw, tokens = tokens_of(body)
    return any(raw[token.start : token.end].lower() == b"declare" for token in tokens)


def raw_piece(raw: Raw) -> Piece:
    """The statements as they are."""
    sql = render("ddl/raw.sql.j2", raw=raw)
    made = tuple(map(_placed, made_by(raw.sql)))
    statement = Statement(sql, f"{raw.kind} {raw.name}", "raw" if made else "afterwards")
    return Piece(statement=statement, makes=made, needs=of_script(raw.sql))


def _placed(reference: Reference) -> Reference:
    """What is made without a schema is made in public, which comes first in the search path of a script of ours."""
    if reference.schema is not None or reference.kind in _WITHOUT_SCHEMA:
        return reference
    return Reference(reference.kind, "public", reference.name)

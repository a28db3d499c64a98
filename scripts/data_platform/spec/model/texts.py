"""Texts of a model that are more than one expression: queries, scripts, signatures of functions, bounds of partitions.

Every function takes the text as an author wrote it, and returns it as the model holds it. NotSql for what `sql.phrases`
and `sql.routines`, which the renderer goes by, do not take for just that one thing.
"""

from __future__ import annotations

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.sql import phrases, routines
from data_platform.sql.text import SPACE, NotSql, TooDeep, parse


def query(text: str) -> str:
    """Exactly one SELECT, VALUES or TABLE; a semicolon at its end is left out."""
    text = text.strip(SPACE).removesuffix(";").rstrip(SPACE)
    phrases.query(text)
    if "$" in text and _has_parameter(text):
        raise NotSql("a parameter is not allowed here")
    return text


def _has_parameter(text: str) -> bool:
    try:
        return next(postgast.find_nodes(parse(text), pb.ParamRef), None) is not None
    except TooDeep:
        return False


def script(text: str) -> str:
    """One or more whole statements."""
    phrases.script(text)
    return text.strip(SPACE)


def rule(text: str) -> str:
    """One CREATE RULE."""
    phrases.rule(text)
    return text.strip(SPACE)


def condition(text: str) -> str:
    """One expression that may hold subqueries, as a policy's may."""
    phrases.condition(text)
    return text.strip(SPACE)


def bound(text: str) -> str:
    """`DEFAULT`, or `FOR VALUES …`, of which a short form may leave out the words FOR VALUES."""
    text = text.strip(SPACE)
    if text.upper() == "DEFAULT":
        return "DEFAULT"
    if not text.upper().startswith(("FOR", "DEFAULT")):
        text = f"FOR VALUES {text}"
    phrases.bound(text)
    return text


def signature(arguments: str, returns: str | None) -> None:
    """What stands between the parentheses of CREATE FUNCTION, and behind RETURNS."""
    routines.arguments(arguments)
    if returns is not None:
        routines.returned(returns)


def sql_body(text: str) -> str:
    """A body in SQL-standard form: `RETURN …` or `BEGIN ATOMIC … END`."""
    routines.sql_body(text)
    return text.strip(SPACE)

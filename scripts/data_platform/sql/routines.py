"""Functions as SQL: signatures, bodies, and the settings that hold while one runs; see `phrases`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import postgast

from data_platform.sql.phrases import closed, words_of
from data_platform.sql.text import SPACE, NotSql, Sql, TooDeep, identifier, literal, parse, tokens_of

_OPENING = ("(", "[")
_CLOSING = (")", "]")


@lru_cache(maxsize=4096)
def arguments(text: str) -> Sql:
    """What stands between the parentheses of CREATE FUNCTION."""
    if not text.strip(SPACE):
        return Sql("")
    closed_text = closed(text)
    _one_function(f"CREATE PROCEDURE f({closed_text}) LANGUAGE sql")
    return closed_text


@lru_cache(maxsize=4096)
def identity_arguments(text: str) -> Sql:
    """The same without defaults, as ALTER FUNCTION and COMMENT ON FUNCTION tell overloads apart."""
    arguments(text)
    return Sql(", ".join(_without_defaults(text)))


def _without_defaults(text: str) -> Iterator[str]:
    raw, tokens = tokens_of(text)
    depth, kept, skipping = 0, list[str](), False
    end = 0
    for token in tokens:
        word = raw[token.start : token.end].decode()
        if word.startswith(("--", "/*")):
            continue
        depth += (word in _OPENING) - (word in _CLOSING)
        if depth == 0 and word == ",":
            yield "".join(kept).strip(SPACE)
            kept, skipping = [], False
        elif depth == 0 and (word == "=" or word.upper() == "DEFAULT"):
            skipping = True
        elif not skipping:
            kept.append((" " if token.start > end else "") + word)
        end = token.end
    if kept:
        yield "".join(kept).strip(SPACE)


@lru_cache(maxsize=4096)
def returned(text: str) -> Sql:
    """What follows RETURNS: a type, SETOF one, or TABLE (…)."""
    if text == "trigger":
        return Sql("TRIGGER")
    _one_function(f"CREATE FUNCTION f() RETURNS {closed(text)} LANGUAGE sql")
    return closed(text)


def _one_function(whole: str, *, has_body: bool = False) -> None:
    """That `whole` is one CREATE FUNCTION with one option, so that the text in it has brought none of its own."""
    statements = parse(whole).stmts
    made = statements[0].stmt.create_function_stmt
    names = [part.string.sval for part in made.funcname]
    if (
        len(statements) != 1
        or names != ["f"]
        or len(made.options) != 1
        or made.HasField("sql_body") != has_body
    ):
        raise NotSql("something other than one part of a function stands here")


@lru_cache(maxsize=4096)
def sql_body(text: str) -> Sql:
    """A body in SQL-standard form: `RETURN …` or `BEGIN ATOMIC … END`."""
    whole = f"CREATE FUNCTION f() RETURNS int LANGUAGE sql {text}"
    try:
        _one_function(whole, has_body=True)
    except TooDeep:
        if len(postgast.split(whole)) != 1 or next(words_of(text)).lower() not in ("return", "begin"):
            raise NotSql("expected one body") from None
    return closed(text)


def body_as_text(text: str) -> str:
    """A body in SQL-standard form as the text of an older function: what PostgreSQL before 14 can hold."""
    raw, tokens = tokens_of(text)
    first = raw[tokens[0].start : tokens[0].end].lower()
    if first == b"return":
        return "SELECT" + raw[tokens[0].end :].decode().rstrip(SPACE)
    return raw[tokens[1].end : tokens[-1].start].decode().strip(SPACE)


_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
    }
)
"""Settings whose value is a list of names, each of which is quoted alone."""


def setting(pair: tuple[str, str]) -> Sql:
    """`name TO value`, as after SET."""
    name, value = pair
    values = _listed(value) if name.lower() in _LISTS else [value]
    dotted = ".".join(identifier(part) for part in name.split("."))
    return Sql(f"{dotted} TO {', '.join(literal(item) for item in values)}")


def _listed(value: str) -> list[str]:
    """The names of a list such as `"$user", public`; commas in quotes are the name's own."""
    names, quoted = [""], False
    for character in value:
        quoted ^= character == '"'
        if character == "," and not quoted:
            names.append("")
        else:
            names[-1] += character
    return [_unquoted(name.strip(SPACE)) for name in names]


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name

"""Texts of a model that are more than one expression: queries, scripts, signatures of functions, bounds of partitions.

Every function takes the text as an author wrote it, and returns it as the model holds it or raises NotSql.
"""

from __future__ import annotations

from collections.abc import Iterator

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.sql.text import NotSql, TooDeep, expression_tree, parse, tokens_of

_BRACKETS = {"(": 1, "[": 1, ")": -1, "]": -1}
_WRITING = frozenset({"insert", "update", "delete", "merge", "into"})


def query(text: str) -> str:
    """Exactly one SELECT, VALUES or TABLE that writes nothing; a semicolon at its end is left out."""
    text = text.strip().removesuffix(";").rstrip()
    try:
        statements = parse(text).stmts
    except TooDeep:
        _deep_query(text)
        return text
    if len(statements) != 1:
        raise NotSql(f"expected one query, found {len(statements)} statements")
    select = statements[0].stmt.select_stmt
    if not statements[0].stmt.HasField("select_stmt") or select.HasField("into_clause"):
        raise NotSql("expected a SELECT, VALUES or TABLE")
    if next(postgast.find_nodes(statements[0].stmt, pb.ParamRef), None) is not None:
        raise NotSql("a parameter is not allowed here")
    return text


def _deep_query(text: str) -> None:
    """What can be said of a query without its tree: the grammar reads it, and its outermost words are a query's."""
    words = list(_outermost(text))
    if ";" in words:
        raise NotSql("expected one query, found more statements")
    if words[0] not in ("select", "with", "values", "table", "(") or _WRITING & set(words):
        raise NotSql("expected a SELECT, VALUES or TABLE")


def _outermost(text: str) -> Iterator[str]:
    """The words of `text` outside all brackets, in lower case, opening ones included."""
    raw, tokens = tokens_of(text)
    depth = 0
    for token in tokens:
        word = raw[token.start : token.end].decode()
        if depth == 0 and not word.startswith(("--", "/*")):
            yield word.lower()
        depth += _BRACKETS.get(word, 0)


def script(text: str) -> str:
    """One or more whole statements."""
    text = text.strip()
    try:
        count = len(parse(text).stmts)
    except TooDeep:
        return text
    if not count:
        raise NotSql("expected one statement or more")
    return text


def condition(text: str) -> str:
    """One expression that may hold subqueries, as a policy's may."""
    tree = expression_tree(text)
    if next(postgast.find_nodes(tree, pb.ParamRef), None) is not None:
        raise NotSql("a parameter is not allowed here")
    return text.strip()


def bound(text: str) -> str:
    """`DEFAULT`, or `FOR VALUES …`, of which a short form may leave out the words FOR VALUES."""
    text = text.strip()
    if text.upper() == "DEFAULT":
        return "DEFAULT"
    if not text.upper().startswith(("FOR", "DEFAULT")):
        text = f"FOR VALUES {text}"
    statements = parse(f"CREATE TABLE a PARTITION OF b {text}").stmts
    made = statements[0].stmt.create_stmt
    given = {field.name for field, _ in made.ListFields()}
    if len(statements) != 1 or given - {"relation", "inh_relations", "partbound", "oncommit"}:
        raise NotSql("expected the bound of a partition and nothing else")
    return text


def signature(arguments: str, returns: str | None, procedure: bool) -> None:
    """What stands between the parentheses of CREATE FUNCTION, and behind RETURNS."""
    what = "PROCEDURE" if procedure else "FUNCTION"
    back = "" if returns is None else f" RETURNS {returns}"
    # Line ends, so that a comment in one text cannot swallow what follows it.
    _one_function(f"CREATE {what} f({arguments}\n){back}\nLANGUAGE sql", {"language"})
    if returns is not None:
        _one_function(f"CREATE FUNCTION f() RETURNS {returns}\nLANGUAGE sql", {"language"})
    if arguments:
        _one_function(f"CREATE PROCEDURE f({arguments}\n)\nLANGUAGE sql", {"language"})


def sql_body(text: str) -> str:
    """A body in SQL-standard form: `RETURN …` or `BEGIN ATOMIC … END`."""
    text = text.strip()
    whole = f"CREATE FUNCTION f() RETURNS int LANGUAGE sql\n{text}\n"
    try:
        _one_function(whole, {"language"}, has_body=True)
    except TooDeep:
        if len(postgast.split(whole)) != 1:
            raise NotSql("expected one body") from None
    return text


def _one_function(text: str, options: set[str], *, has_body: bool = False) -> None:
    statements = parse(text).stmts
    if len(statements) != 1 or not statements[0].stmt.HasField("create_function_stmt"):
        raise NotSql("expected one function")
    made = statements[0].stmt.create_function_stmt
    names = [part.string.sval for part in made.funcname]
    given = {option.def_elem.defname for option in made.options}
    if names != ["f"] or given != options or made.HasField("sql_body") != has_body:
        raise NotSql("something other than the parts of a signature stands here")

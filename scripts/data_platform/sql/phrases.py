"""Texts longer than one value, as SQL: queries, scripts, conditions, bounds of partitions, lists of options.

Like `text`: every function returns `Sql`, or raises NotSql for what PostgreSQL's grammar does not read as just that
one thing. A tree too deep for us to look at has still been read by the grammar as whole statements; then the tokens
say what the text is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.sql.text import (
    SPACE,
    NotSql,
    Sql,
    TooDeep,
    default_clause,
    expression,
    expression_tree,
    identifier,
    keyword,
    literal,
    options,
    parse,
    qualified,
    shown,
    tokens_of,
)

_QUERIES = ("select", "values", "table", "with", "(")


def anything_or_deep(text: str) -> Sql:
    """As `text.expression`, but one too deep to look into is taken as it is."""
    try:
        return expression(text)
    except TooDeep:  # raised after the brackets were counted, so it cannot leave those of the caller
        return Sql(shown(text).strip(SPACE))


@lru_cache(maxsize=65536)
def default(text: str) -> Sql:
    """As `text.default_clause`, but one too deep to look into stands in parentheses."""
    try:
        return default_clause(text)
    except TooDeep:
        return Sql(f"({shown(text).strip(SPACE)})")


@lru_cache(maxsize=65536)
def condition(text: str) -> Sql:
    """One expression that may hold subqueries, as those of policies do. The caller puts it in parentheses."""
    text = shown(text)
    try:
        tree = expression_tree(text)
    except TooDeep:
        return Sql(text.strip(SPACE))
    if next(postgast.find_nodes(tree, pb.ParamRef), None) is not None:
        raise NotSql("a parameter is not allowed here")
    # The parentheses that the tree was read in made an expression of it.
    if next(iter(words_of(text))).lower() in _QUERIES[:-1]:
        raise NotSql("a subquery needs parentheses of its own")
    return Sql(text.strip(SPACE))


@lru_cache(maxsize=4096)
def query(text: str) -> Sql:
    """`text` if it is exactly one SELECT, VALUES or TABLE that makes no table. Something may follow it."""
    text = shown(text)
    words = [word.lower() for word in words_of(text)]
    if ";" in words:
        raise NotSql("a semicolon is not allowed here")
    try:
        statements = parse(text).stmts
    except TooDeep:
        if words[0] not in _QUERIES:
            raise NotSql("expected a SELECT, VALUES or TABLE") from None
        return closed(text)
    if len(statements) != 1 or not statements[0].stmt.HasField("select_stmt"):
        raise NotSql("expected one SELECT, VALUES or TABLE")
    if statements[0].stmt.select_stmt.HasField("into_clause"):
        raise NotSql("a query that makes a table is not allowed here")
    return closed(text)


@lru_cache(maxsize=4096)
def script(text: str) -> Sql:
    """One or more whole statements, the last of them ended by a semicolon."""
    text = shown(text)
    words = list(words_of(text))
    try:
        statements = parse(text).stmts
        count = len(statements)
        if any(_reads_on(statement.stmt.copy_stmt) for statement in statements):
            raise NotSql("COPY … FROM stdin would read the statements that follow it")
    except TooDeep:
        count = len(postgast.split(text))
    if not count:
        raise NotSql("expected one statement or more")
    return Sql(text.strip(SPACE)) if words[-1] == ";" else Sql(f"{closed(text)};")


def _reads_on(copy: pb.CopyStmt) -> bool:
    return copy.is_from and not copy.filename


def rule(text: str) -> Sql:
    """Exactly one CREATE RULE."""
    try:
        statements = parse(text).stmts
    except TooDeep:
        return script(text)
    if len(statements) != 1 or not statements[0].stmt.HasField("rule_stmt"):
        raise NotSql("expected one CREATE RULE")
    return script(text)


def closed(text: str) -> Sql:
    """`text` so that what follows it on its line is not in a comment of it."""
    raw, tokens = tokens_of(text)
    in_comment = bool(tokens) and raw[tokens[-1].start :].startswith(b"--")
    return Sql(text.strip(SPACE) + ("\n" if in_comment else ""))


def collation(text: str) -> Sql:
    """A collation as the model names it: one of PostgreSQL's own as it is, another as `schema."name"`."""
    return _qualified_collation(text) if text.endswith('"') else identifier(text)


@lru_cache(maxsize=4096)
def _qualified_collation(text: str) -> Sql:
    try:
        tree = expression_tree(f"'a' COLLATE {text}")
    except NotSql:
        return identifier(text)
    if not tree.HasField("collate_clause") or not tree.collate_clause.arg.HasField("a_const"):
        return identifier(text)
    return qualified(*(part.string.sval for part in tree.collate_clause.collname))


@lru_cache(maxsize=65536)
def bound(text: str) -> Sql:
    """What follows ATTACH PARTITION and a name: `DEFAULT` or `FOR VALUES …`."""
    statements = parse(f"CREATE TABLE a PARTITION OF b {text}").stmts
    given = {field.name for field, _ in statements[0].stmt.create_stmt.ListFields()}
    if len(statements) != 1 or given - {"relation", "inh_relations", "partbound", "oncommit"}:
        raise NotSql("expected the bound of a partition and nothing else")
    return closed(text)


def number(value: float) -> Sql:
    """A number of ours, whole where it is whole."""
    if isinstance(value, bool) or not math.isfinite(value):
        raise NotSql(f"{value!r} is no number")
    return Sql(value) if isinstance(value, int) else Sql(f"{value:.15g}")


def foreign_options(pairs: Iterable[tuple[str, str]]) -> Sql:
    """What stands in the parentheses of OPTIONS of a server or foreign table: `host 'db', port '5432'`."""
    return Sql(", ".join(f"{identifier(key)} {literal(value)}" for key, value in pairs))


def text_options(pairs: Iterable[tuple[str, str]]) -> Sql:
    """Parameters whose values are texts whatever they look like: `locale = 'de', deterministic = 'false'`."""
    return Sql(", ".join(f"{identifier(key)} = {literal(value)}" for key, value in pairs))


def storage_options(pairs: Iterable[tuple[str, str]]) -> Sql:
    """As `text.options`, where those of the TOAST table begin with `toast.`."""
    return Sql(", ".join(_storage_option(key, value) for key, value in pairs))


def _storage_option(key: str, value: str) -> str:
    prefix, dot, rest = key.partition("toast.")
    return f"{dot}{options([(rest, value)])}" if dot and not prefix else str(options([(key, value)]))


def columns_with_period(columns: Sequence[str]) -> Sql:
    """The columns of a temporal foreign key, whose last one is a range."""
    return Sql(", ".join([*map(identifier, columns[:-1]), f"PERIOD {identifier(columns[-1])}"]))


@lru_cache(maxsize=65536)
def granted(kind: str, text: str) -> Sql:
    """The one object of that kind that `text` names, as after GRANT … ON kind."""
    statements = parse(f"GRANT ALL ON {keyword(kind)} {text} TO a").stmts
    grant = statements[0].stmt.grant_stmt
    if (
        len(statements) != 1
        or len(grant.objects) != 1
        or len(list(words_of(text))) != len(tokens_of(text)[1])
    ):
        raise NotSql("expected one object")
    return Sql(text.strip(SPACE))


def role(name: str) -> Sql:
    """A role's name, or PUBLIC, which is everybody and no role, or CURRENT_USER, who runs the statement."""
    return Sql(name.upper()) if name in ("public", "current_user") else identifier(name)


def words_of(text: str) -> Iterator[str]:
    """The text's tokens, comments left out. NotSql if there is none."""
    raw, tokens = tokens_of(text)
    words = [raw[token.start : token.end].decode() for token in tokens]
    words = [word for word in words if not word.startswith(("--", "/*"))]
    if not words:
        raise NotSql("nothing here")
    return iter(words)

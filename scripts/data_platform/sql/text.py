"""The only way to SQL text: every function here returns `Sql`, and templates print nothing else.

A name is quoted, a value becomes a literal, a type or an expression is accepted only if PostgreSQL's grammar reads it
as exactly one type or one expression. What the DDL shows is what it says: control and direction characters in a name or
a value are written as escapes, and refused in what the author wrote as SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import postgast
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

MAX_IDENTIFIER_BYTES = 63
"""NAMEDATALEN - 1; PostgreSQL cuts longer names silently."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
_BARE = (postgast.pg_query_pb2.NO_KEYWORD, postgast.pg_query_pb2.UNRESERVED_KEYWORD)
"""What the server's own quote_ident leaves bare."""

_WORDS = re.compile(r"[A-Za-z]+( [A-Za-z]+)*\Z")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")
_OPENING = {"(": ")", "[": "]"}
SPACE = " \t\n\r\f\v"
"""What the server's lexer skips; to it a no-break space is a letter."""

_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_FORMATS = r"\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
"""Invisible, or changing the direction of what follows; like the controls none is above U+FFFF."""

_HIDDEN = re.compile(f"[{_CONTROLS}{_FORMATS}]")
_HIDDEN_IN_VALUE = re.compile(rf"[{_CONTROLS}{_FORMATS}\r]")
_HIDDEN_IN_NAME = re.compile(rf"[{_CONTROLS}{_FORMATS}\r\n\t]")


class Sql(str):
    """SQL source text that is safe to put into a statement."""

    __slots__ = ()


class _Qualified(Protocol):
    @property
    def schema(self) -> str: ...
    @property
    def name(self) -> str: ...


class NotSql(ValueError):
    """Text that PostgreSQL's grammar does not read as what it should be. `offset` is in characters, from 0."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class TooDeep(NotSql):
    """Text that PostgreSQL's grammar reads, but whose tree is too deep for us to look at."""


def check_identifier(name: str) -> None:
    """Refuse with NotSql what PostgreSQL cannot hold as a name: empty, longer than 63 bytes, NUL, or not encodable."""
    if not name:
        raise NotSql("a name cannot be empty")
    if "\0" in name:
        raise NotSql("a name cannot hold the character NUL")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise NotSql("a name must be valid Unicode") from None
    if size > MAX_IDENTIFIER_BYTES:
        raise NotSql(f"a name has at most {MAX_IDENTIFIER_BYTES} bytes, this one has {size}")


@lru_cache(maxsize=65536)
def identifier(name: str) -> Sql:
    """`name` as an identifier, quoted when it must be, and U&"" where it holds what nobody would see."""
    check_identifier(name)
    if _PLAIN.match(name) and _keyword_kind(name) in _BARE:
        return Sql(name)
    quoted = _quoted(name)
    if not _HIDDEN_IN_NAME.search(name):
        return Sql(quoted)
    escaped = _HIDDEN_IN_NAME.sub(lambda found: f"\\{ord(found[0]):04X}", quoted.replace("\\", "\\\\"))
    return Sql(f"U&{escaped}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _keyword_kind(word: str) -> int:
    return int(postgast.scan(word).tokens[0].keyword_kind)


def qualified(*parts: str) -> Sql:
    """`schema.name`, each part quoted when it must be."""
    return Sql(".".join(identifier(part) for part in parts))


def identifiers(names: Iterable[str]) -> Sql:
    """A comma-separated list of identifiers."""
    return Sql(", ".join(identifier(name) for name in names))


def qualified_name(name: _Qualified) -> Sql:
    """`schema.name`; the schema public, which is on every search path, is left out."""
    return identifier(name.name) if name.schema == "public" else qualified(name.schema, name.name)


def relation_literal(name: _Qualified) -> Sql:
    """`schema.name` as a constant for ::regclass, which reads quotes in it but no U&""."""
    for part in (name.schema, name.name):
        check_identifier(part)
    return literal(f"{_quoted(name.schema)}.{_quoted(name.name)}")


def dotted(text: str) -> Sql:
    """A name that may be qualified by dots, such as an operator class."""
    return qualified(*text.split("."))


def literals(values: Iterable[str]) -> Sql:
    """A comma-separated list of string constants."""
    return Sql(", ".join(literal(value) for value in values))


def joined(separator: str, parts: Iterable[Sql]) -> Sql:
    """Parts that are SQL already, with a separator of ours between them."""
    return Sql(separator.join(parts))


def phrase(template: str, /, **parts: Sql | int) -> Sql:
    """A text of ours with `{name}` for each part, which is SQL already or a number. TypeError for any other part."""
    for name, part in parts.items():
        if not isinstance(part, Sql | int):
            raise TypeError(f"{name} is no SQL")
    return Sql(template.format(**parts))


def columns_of(alias: str, names: Iterable[str]) -> Sql:
    """`alias.column` of each name, with commas; `alias` is a word of ours."""
    return Sql(", ".join(f"{alias}.{identifier(name)}" for name in names))


def keyword(text: str) -> Sql:
    """Words of ours in upper case: letters and spaces only."""
    if not _WORDS.match(text):
        raise NotSql(f"{text!r} is no keyword")
    return Sql(text.upper())


def deferral(text: str) -> Sql:
    """` DEFERRABLE …` for a constraint that is, else nothing."""
    if text == "not deferrable":
        return Sql("")
    return Sql(" DEFERRABLE" + (" INITIALLY DEFERRED" if text == "initially deferred" else ""))


def options(pairs: Iterable[tuple[str, str]]) -> Sql:
    """Storage parameters: `m = 16, fillfactor = 90`."""
    return Sql(", ".join(f"{identifier(key)} = {_option_value(value)}" for key, value in pairs))


def _option_value(value: str) -> str:
    return value if _NUMBER.match(value) else literal(value)


def body(text: str) -> Sql:
    """`text` in dollar quotes that it does not contain."""
    tag, number = "$$", 0
    while tag in text or text.endswith("$"):
        number += 1
        tag = f"$body{number}$"
        if tag not in text:
            break
    return Sql(f"{tag}{text}{tag}")


def literal(value: str) -> Sql:
    """`value` as a string constant, in the form that no server setting can change.

    That is E'' where it has a backslash, or a character that nobody would see, which becomes an escape.
    """
    _check_text(value)
    if not _HIDDEN_IN_VALUE.search(value):
        from psycopg.sql import quote  # noqa: PLC0415  80 ms to import, and a linter of SQL writes few values

        return Sql(quote(value).strip(" "))
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return Sql("E'" + _HIDDEN_IN_VALUE.sub(lambda found: f"\\u{ord(found[0]):04X}", escaped) + "'")


@lru_cache(maxsize=65536)
def type_name(text: str) -> Sql:
    """`text` if it is exactly one type, such as `numeric(10, 2)[]`."""
    # A SQL/JSON or function call cannot follow "::", so a lone cast in the tree means a lone type in the text.
    target = _only_target(_balanced(_visible(text)), "SELECT NULL::", "")
    if not target.HasField("type_cast") or target.type_cast.type_name.setof:
        raise NotSql("not a type")
    cast = target.type_cast
    if not cast.arg.HasField("a_const") or not cast.arg.a_const.isnull:
        raise NotSql("not a type")
    if len(cast.type_name.names) > 2:
        raise NotSql("a type has a name, and a schema before it, no more")
    if not all(
        modifier.HasField("a_const") or modifier.HasField("column_ref") for modifier in cast.type_name.typmods
    ):
        raise NotSql("the modifiers of a type are constants")
    return Sql(text.strip(SPACE))


@lru_cache(maxsize=65536)
def expression(text: str) -> Sql:
    """`text` if it is exactly one scalar expression. The caller puts it in parentheses.

    Subqueries and parameters are refused: PostgreSQL allows them in no constraint, default, generated column or index.
    """
    text = shown(text)
    target = expression_tree(_visible(text))
    for kind, what in _NOT_ALONE.items():
        if next(postgast.find_nodes(target, kind), None) is not None:
            raise NotSql(f"{what} is not allowed here")
    return Sql(text.strip(SPACE))


_NOT_ALONE = {
    postgast.pg_query_pb2.SubLink: "a subquery",
    postgast.pg_query_pb2.ParamRef: "a parameter",
    postgast.pg_query_pb2.SetToDefault: "DEFAULT",
}


def expression_tree(text: str) -> postgast.pg_query_pb2.Node:
    """The parse tree of one expression; NotSql if `text` is something else.

    Also of what a server printed, which holds every character of a name as it is.
    """
    return _only_target(_balanced(text), "SELECT (", ")")


def default_clause(text: str) -> Sql:
    """An expression as it may follow DEFAULT: bare where the grammar allows it, else in parentheses."""
    checked = expression(text)
    return checked if _stands_bare(checked) else Sql(f"({checked})")


def _stands_bare(checked: Sql) -> bool:
    """Whether a column's definition, whose other parts follow without a comma, takes it for one simple default."""
    try:
        (statement,) = parse(f"CREATE TABLE t (a int DEFAULT {checked} NOT NULL)").stmts
    except NotSql:  # now() AT TIME ZONE 'UTC' is a call in the tree, but not in the grammar
        return False
    (element,) = statement.stmt.create_stmt.table_elts
    default, *others = (part.constraint for part in element.column_def.constraints)
    simple = ("a_const", "func_call", "sqlvalue_function", "type_cast")
    alone = [part.contype for part in others] == [postgast.pg_query_pb2.CONSTR_NOTNULL]
    # 'a' COLLATE "C" would be the default 'a' of a column with that collation.
    alone = alone and not element.column_def.HasField("coll_clause")
    return alone and any(default.raw_expr.HasField(kind) for kind in simple)


@lru_cache(maxsize=4096)
def operator(text: str) -> Sql:
    """`text` if it is one operator, such as `&&` or `OPERATOR(public.=)`."""
    tree = _only_target(_balanced(_visible(text)), "SELECT a ", " b")
    whole = tree.HasField("a_expr") and tree.a_expr.kind == postgast.pg_query_pb2.AEXPR_OP
    # Exactly our own a and b: in `= b.` the grammar would take the name for a part of what follows.
    sides = [
        [field.string.sval for field in side.column_ref.fields]
        for side in (tree.a_expr.lexpr, tree.a_expr.rexpr)
    ]
    if not whole or sides != [["a"], ["b"]]:
        raise NotSql("not an operator")
    return Sql(text.strip(SPACE))


def _visible(text: str) -> str:
    """`text` if a reader sees all that is in it; what the callers strip at its ends does not count."""
    found = _HIDDEN.search(text.rstrip(SPACE), len(text) - len(text.lstrip(SPACE)))
    if found is not None and found[0] != "\0":
        name = f"U+{ord(found[0]):04X}"
        raise NotSql(
            f"an invisible character ({name}) is not allowed here; write it as an escape", found.start()
        )
    return text


def shown(text: str) -> str:
    """`text` with escapes for what nobody would see in its constants and quoted names, as a server prints them."""
    if not _HIDDEN.search(text):
        return text
    raw, tokens = tokens_of(text)
    pieces: list[str] = []
    done = 0
    for token in tokens:
        word = raw[token.start : token.end].decode()
        if _HIDDEN.search(word) and word[0] in "'\"":
            written = literal if word[0] == "'" else identifier
            made = written(word[1:-1].replace(word[0] * 2, word[0]))
            pieces += [raw[done : token.start].decode(), made]
            done = token.end
    return "".join([*pieces, raw[done:].decode()])


def _balanced(text: str) -> str:
    """`text` if it closes every bracket it opens, opens every one it closes, and holds no comment and no semicolon.

    This is what makes it safe to put the text between brackets of ours: nothing in it can close them.
    """
    raw, tokens = tokens_of(text)
    if not tokens:
        raise NotSql("nothing here")
    expected: list[str] = []
    for token in tokens:
        word = raw[token.start : token.end].decode()
        if word.startswith(("--", "/*")):
            raise NotSql("a comment is not allowed here", len(raw[: token.start].decode()))
        if word == ";":
            raise NotSql("a semicolon is not allowed here", len(raw[: token.start].decode()))
        if word == "," and not expected:
            raise NotSql("a comma is not allowed here", len(raw[: token.start].decode()))
        if word in _OPENING:
            expected.append(_OPENING[word])
        elif word in _OPENING.values() and (not expected or expected.pop() != word):
            raise NotSql(f"`{word}` closes nothing", len(raw[: token.start].decode()))
    if expected:
        raise NotSql(f"`{expected[-1]}` is missing")
    return text


def tokens_of(text: str) -> tuple[bytes, Sequence[Any]]:
    """The server's own tokens of `text`, and the bytes that their offsets count in."""
    _check_text(text)
    try:
        return text.encode(), postgast.scan(text).tokens
    except postgast.PgQueryError as error:
        raise NotSql(error.message) from None


def parse(text: str) -> postgast.pg_query_pb2.ParseResult:
    """The trees of the statements in `text`; NotSql where PostgreSQL's grammar stops."""
    _check_text(text)
    try:
        return postgast.parse(text)
    except postgast.PgQueryError as error:
        raise NotSql(error.message, (error.cursorpos or 1) - 1) from None
    except DecodeError:
        # protobuf reads 100 levels, and an operator takes two of them.
        raise TooDeep(
            "nested too deeply: about 40 operators or calls inside each other are the most"
        ) from None


def _check_text(text: str) -> None:
    """Refuse what no PostgreSQL text can hold; the parser would silently stop at a NUL."""
    if "\0" in text:
        raise NotSql("a text cannot hold the character NUL", text.index("\0"))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotSql("a text must be valid Unicode", error.start) from None


def _only_target(text: str, before: str, after: str) -> postgast.pg_query_pb2.Node:
    try:
        statements = parse(f"{before}{text}{after}").stmts
    except NotSql as error:
        raise type(error)(
            str(error), None if error.offset is None else max(0, error.offset - len(before))
        ) from None
    if len(statements) != 1:
        raise NotSql("more than one statement")
    select = statements[0].stmt.select_stmt
    plain = [name.name for name, _ in select.ListFields()]
    if set(plain) - {"target_list", "limit_option", "op"} or len(select.target_list) != 1:
        raise NotSql("more than one expression")
    target = select.target_list[0].res_target
    if target.name or target.indirection:
        raise NotSql("a name for the result is not allowed here")
    return target.val

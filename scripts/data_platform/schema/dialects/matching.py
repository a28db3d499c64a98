"""Regular expressions and LIKE: the same text matches or not in every engine, or the expression is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from data_platform.schema.dialects.literals import Untranslatable, string
from data_platform.schema.dialects.patterns import (
    NotPortable,
    OneClass,
    as_glob,
    has_escapes,
    portable_regex,
    regex_as_glob,
    regex_of_one_class,
)
from data_platform.schema.dialects.scope import Typed, nested

if TYPE_CHECKING:
    from data_platform.schema.dialects.reading import Node, Reader

REGEX = {"~": (False, False), "!~": (True, False), "~*": (False, True), "!~*": (True, True)}
"""Operator: (negated, without case)."""


def regex(reader: Reader, node: Node, name: str) -> Typed:
    """`value ~ 'pattern'` and its kin."""
    value, pattern = reader.read(node.lexpr), reader.read(node.rexpr)
    negated, no_case = REGEX[name]
    if reader.dialect == "sqlite" and pattern.node.is_string and not no_case:
        return _simple_regex(reader, value, pattern.node.name, negated=negated)
    if not pattern.node.is_string or reader.dialect not in ("mysql", "duckdb"):
        raise Untranslatable("a regular expression has no counterpart in this target")
    subject = reader.require(value, frozenset({"text", "citext", "enum"}), "a regular expression")
    try:
        regex = portable_regex(pattern.node.name, end="\\z" if reader.dialect == "mysql" else "$")
    except NotPortable as reason:
        raise Untranslatable(str(reason)) from None
    if regex.beyond_ascii:
        reader.note("classes such as \\s and \\w differ beyond ASCII in its regular expression")
    made = _match(reader, subject, regex.pattern, no_case=no_case or value.kind == "citext")
    return Typed(exp.Not(this=made) if negated else made, "boolean")


def _simple_regex(reader: Reader, value: Typed, pattern: str, *, negated: bool) -> Typed:
    """SQLite has no regular expressions, but GLOB can say the commonest."""
    subject = reader.require(value, frozenset({"text", "enum"}), "a regular expression")
    glob, one_class = regex_as_glob(pattern), regex_of_one_class(pattern)
    if glob is not None:
        made: exp.Expr = exp.Glob(this=subject, expression=exp.Literal.string(glob))
    elif one_class is not None:
        made = _of_one_class(subject, one_class)
    else:
        raise Untranslatable("this regular expression has no counterpart in this target")
    return Typed(exp.Not(this=nested(made)) if negated else made, "boolean")


def _match(reader: Reader, subject: exp.Expr, pattern: str, *, no_case: bool) -> exp.Expr:
    if reader.dialect == "duckdb":
        flag = [exp.Literal.string("i")] if no_case else []
        arguments = [subject, exp.Literal.string(pattern), *flag]
        return exp.Anonymous(this="REGEXP_MATCHES", expressions=arguments)
    text = string(f"(?i){pattern}" if no_case else pattern)
    return exp.RegexpLike(this=subject, expression=text)


def like(reader: Reader, node: Node, name: str) -> Typed:
    """LIKE and ILIKE with a constant pattern."""
    value, pattern = reader.read(node.lexpr), reader.read(node.rexpr)
    subject = reader.require(value, frozenset({"text", "citext"}), "LIKE")
    if not pattern.node.is_string:
        raise Untranslatable("LIKE with a computed pattern has no exact counterpart")
    text = pattern.node.name
    no_case = name.endswith("*") or value.kind == "citext"
    try:
        made = _liked(reader, subject, text, no_case=no_case)
    except NotPortable as reason:
        raise Untranslatable(str(reason)) from None
    return Typed(exp.Not(this=made) if name.startswith("!") else made, "boolean")


def _liked(reader: Reader, subject: exp.Expr, pattern: str, *, no_case: bool) -> exp.Expr:
    if reader.dialect == "sqlite" and not no_case:
        return exp.Glob(this=subject, expression=exp.Literal.string(as_glob(pattern)))
    literal: exp.Expr = string(pattern)
    if reader.dialect == "sqlite":
        reader.note("LIKE ignores the case of ASCII letters only")
    elif no_case:
        subject, literal = exp.Lower(this=subject), string(pattern.lower())
    if has_escapes(pattern) and reader.dialect in ("sqlite", "duckdb", "snowflake"):
        return exp.Escape(
            this=exp.Like(this=subject, expression=literal), expression=exp.Literal.string("\\")
        )
    return exp.Like(this=subject, expression=literal)


def _of_one_class(subject: exp.Expr, wanted: OneClass) -> exp.Expr:
    absent = exp.Not(this=exp.Glob(this=subject, expression=exp.Literal.string(wanted.forbidden)))
    length = exp.Length(this=subject.copy())
    low = exp.GTE(this=length, expression=exp.Literal.number(wanted.low))
    made = exp.And(this=absent, expression=low)
    if wanted.high is None:
        return made
    return exp.And(
        this=made, expression=exp.LTE(this=length.copy(), expression=exp.Literal.number(wanted.high))
    )

"""Constants of PostgreSQL in the target: only texts whose meaning is the same there, everything else is refused."""

from __future__ import annotations

import datetime as dt
import re

from sqlglot import exp

from data_platform.schema.dialects.spellings import Kind
from data_platform.schema.dialects.targets import Dialect

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?\Z")
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?")
_ZONE = re.compile(r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)\Z")
_INTERVAL = re.compile(r"([0-9]+) (second|minute|hour|day|week|month|year)s?\Z")
_TRUE = frozenset({"t", "true", "yes", "on", "1"})
_FALSE = frozenset({"f", "false", "no", "off", "0"})
_CAST: dict[Kind, str] = {
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
}


class Untranslatable(ValueError):
    """An expression that means something else, or nothing, in the target; the message says which part."""


def string(value: str) -> exp.Expr:
    """A string constant that shows what it holds."""
    if not value.replace("\n", "").replace("\t", "").isprintable():
        raise Untranslatable("a constant holds an invisible character")
    return exp.Literal.string(value)


def number(value: str) -> exp.Expr:
    """A numeric constant, its sign before it."""
    if value.startswith("-"):
        return exp.Neg(this=exp.Literal.number(value[1:]))
    return exp.Literal.number(value.removeprefix("+"))


def typed(value: str, kind: Kind, dialect: Dialect) -> exp.Expr:
    """The string constant `value` read as a `kind`."""
    match kind:
        case "text" | "citext" | "enum" | "uuid" | "json" | "literal" | "vector" | "other":
            return string(value)
        case "integer" if _INTEGER.match(value):
            return number(value)
        case "decimal" | "float" if _NUMBER.match(value):
            return number(value)
        case "boolean" if value.lower() in _TRUE | _FALSE:
            return exp.Boolean(this=value.lower() in _TRUE)
        case "date" | "time" | "timestamp" | "timestamptz":
            return _moment(value, kind, dialect)
        case "interval":
            return _interval(value, dialect)
        case "array" if value == "{}":
            return exp.Array(expressions=[]) if dialect in ("duckdb", "spark", "bigquery") else string("[]")
    raise Untranslatable(f"`{value[:30]}` has no counterpart as a constant of type {kind}")


def _moment(value: str, kind: Kind, dialect: Dialect) -> exp.Expr:
    stamp = _STAMP.match(value)
    zone = value[stamp.end() :] if stamp else ""
    fine = {
        "date": bool(_DATE.match(value)),
        "time": bool(_TIME.match(value)),
        "timestamp": bool(stamp) and not zone,
        "timestamptz": bool(stamp) and bool(_ZONE.match(zone)),
    }
    if not fine[kind]:
        raise Untranslatable(f"`{value[:40]}` is not a plain {kind} in ISO 8601")
    if kind == "timestamptz":
        value = _utc(value, dialect)
    if dialect in ("sqlite", "mysql"):
        return exp.Literal.string(value)
    return exp.cast(exp.Literal.string(value), _CAST[kind], dialect="postgres")


def _utc(value: str, dialect: Dialect) -> str:
    if dialect == "mysql":
        raise Untranslatable("MySQL reads a constant with a time zone by the session's settings")
    if dialect != "sqlite":
        return value
    try:
        moment = dt.datetime.fromisoformat(value).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Untranslatable(f"`{value[:40]}` is not a time in ISO 8601") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _interval(value: str, dialect: Dialect) -> exp.Expr:
    found = _INTERVAL.match(value)
    if found is None or dialect not in ("duckdb", "mysql", "spark", "bigquery", "snowflake"):
        raise Untranslatable(f"the interval `{value[:30]}` has no plain form in this target")
    return exp.Interval(this=exp.Literal.string(found[1]), unit=exp.Var(this=found[2].upper()))

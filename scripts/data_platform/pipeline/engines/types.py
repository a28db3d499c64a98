"""PostgreSQL's types in the words of DuckDB and Spark."""

from __future__ import annotations

import re
from typing import Literal

Engine = Literal["duckdb", "spark"]

_WORDS: dict[str, tuple[str, str]] = {
    "smallint": ("SMALLINT", "SMALLINT"),
    "integer": ("INTEGER", "INT"),
    "bigint": ("BIGINT", "BIGINT"),
    "real": ("FLOAT", "FLOAT"),
    "double precision": ("DOUBLE", "DOUBLE"),
    "text": ("VARCHAR", "STRING"),
    "uuid": ("UUID", "STRING"),
    "boolean": ("BOOLEAN", "BOOLEAN"),
    "date": ("DATE", "DATE"),
    "timestamp": ("TIMESTAMP", "TIMESTAMP_NTZ"),
    "timestamptz": ("TIMESTAMPTZ", "TIMESTAMP"),
    "jsonb": ("JSON", "STRING"),
}
"""By PostgreSQL's name: DuckDB's, Spark's."""
_SAME = {
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "decimal": "numeric",
    "varchar": "text",
    "character varying": "text",
    "bool": "boolean",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "json": "jsonb",
    "string": "text",
}
_PARTS = re.compile(r"(?P<name>[a-z0-9 ]+?)\s*(\((?P<size>[0-9, ]+)\))?\s*(?P<rest>with(out)? time zone)?\Z")
_MOST_DIGITS = 38
_DAY = r"[0-9]{4,5}-[0-9]{1,2}-[0-9]{1,2}"
_ZONE = r"( ?(Z|UTC|GMT|[+-][0-9]{1,2}(:?[0-9]{2})?))?"
_TIME = rf"{_DAY}([ T][0-9]{{1,2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?{_ZONE})?"
_TIMES = ("timestamp", "timestamptz", "date")
_FORMS = {
    **dict.fromkeys(("smallint", "integer", "bigint"), r"[+-]?[0-9]+"),
    **dict.fromkeys(("timestamp", "timestamptz"), _TIME),
    "date": _DAY,
    "uuid": r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
}
BARE = "numeric"
"""Without digits: PostgreSQL's has no limit, theirs must have one."""


def plain(type_: str) -> str:
    """One name for each type, without size: `timestamptz` of `timestamp(3) with time zone`; `text[]` of `varchar[]`."""
    text = " ".join(type_.lower().split())
    if text.endswith("[]"):
        return plain(text[:-2]) + "[]"
    found = _PARTS.match(text)
    if found is None:
        return text
    name = " ".join(part for part in (found["name"], found["rest"]) if part)
    return _SAME.get(name, name)


def digits(type_: str) -> tuple[int, int] | None:
    """Precision and scale of `numeric(12, 2)`; None without them."""
    found = _PARTS.match(" ".join(type_.lower().split()))
    if found is None or not found["size"]:
        return None
    first, *rest = (int(one) for one in found["size"].split(","))
    return first, rest[0] if rest else 0


def form_of(type_: str, *, typed: bool) -> str | None:
    """A regular expression of the texts that all engines read as the same value of a type; None where all are.

    Others are rounded (1.005 as numeric(12, 2)), cut (digits of a second) or filled up (2026-02) by one of them.
    `typed`: what is read has types of its own, and can be rounded at most.
    """
    name, size = plain(type_), digits(type_)
    if name == BARE and size:
        form: str | None = rf"[+-]?[0-9]*(\.[0-9]{{0,{size[1]}}}0*)?"
    else:
        form = None if typed and name in _TIMES else _FORMS.get(name)
    return rf"^\s*{form}\s*$" if form else None


def word(type_: str, engine: Engine) -> str | None:
    """The engine's type; None where it has none that holds the same values."""
    name = plain(type_)
    if name.endswith("[]"):
        inner = word(name[:-2], engine)
        if inner is None:
            return None
        return f"{inner}[]" if engine == "duckdb" else f"ARRAY<{inner}>"
    if name == BARE:
        size = digits(type_)
        return f"DECIMAL({size[0]}, {size[1]})" if size and size[0] <= _MOST_DIGITS else None
    found = _WORDS.get(name)
    return found[0 if engine == "duckdb" else 1] if found else None

"""Checks of one row as SQL conditions over `r`: false for a bad row, true or NULL for a good one.

They are cheap first, since the same condition is asked of every row of large tables: LIKE decides before a regular
expression or a type is asked, and half a dozen searches for one character cost less than one regular expression.

A `quick` condition is for a scan that only asks whether any row is bad. It is true for no bad row, but it may be false
for a good one, and it may raise a data error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from data_platform.errors import UsageProblem
from data_platform.spec.checks import Check, Other
from data_platform.sql.text import Sql, identifier, joined, literal, literals, phrase, qualified

_ASKS_TYPES = 16
"""The first version that says whether a text is of a type without an error."""
_NO_SPACE = " AND ".join(
    f"strpos({{v}}, {one}) = 0" for one in ("' '", r"E'\t'", r"E'\n'", r"E'\r'", r"E'\f'", r"E'\v'")
)
_UUID_SHAPE = "{v} LIKE '________-____-____-____-____________'"
TEXT_FORMATS: Mapping[str, Sql] = {
    "email": Sql(f"({{v}} LIKE '_%@_%._%' AND {{v}} NOT LIKE '%@%@%' AND {_NO_SPACE})"),
    "url": Sql(
        "(({v} LIKE 'https://_%' AND {v} NOT LIKE 'https:///%'"
        " AND {v} NOT LIKE 'https://?%' AND {v} NOT LIKE 'https://#%' OR {v} ~* '^https?://[^/?#]')"
        f" AND {_NO_SPACE})"
    ),
    # Of 36 characters four are these hyphens, so the others are all of its digits.
    "uuid": Sql(f"(octet_length({{v}}) = 36 AND {_UUID_SHAPE} AND pg_input_is_valid({{v}}, 'uuid'))"),
    "date": Sql(
        "({v} LIKE '____-__-__' AND {v} NOT LIKE '%-%-%-%' AND {v} !~ '[^0-9-]' AND pg_input_is_valid({v}, 'date'))"
    ),
    "timestamp": Sql("({v} LIKE '____-__-__%' AND pg_input_is_valid({v}, 'timestamptz'))"),
}
_BEFORE_16 = {
    **{name: one for name, one in TEXT_FORMATS.items() if "pg_input_is_valid" not in one},
    "uuid": Sql(f"({_UUID_SHAPE} AND {{v}} NOT LIKE '%-%-%-%-%-%' AND {{v}} !~ '[^0-9a-fA-F-]')"),
}
_QUICK = {
    # A host that begins with a letter; in the order of bytes a range says so, and the scheme too.
    "url": Sql(
        f"({{v}} COLLATE \"C\" >= 'https://a' AND {{v}} COLLATE \"C\" < 'https://{{{{' AND {_NO_SPACE})"
    ),
    # Of 36 characters four are hyphens, and what is left of them are 32 digits.
    "uuid": Sql(f"({_UUID_SHAPE} AND octet_length(decode(replace({{v}}, '-', ''), 'hex')) = 16)"),
    "date": Sql("(octet_length({v}) = 10 AND {v}::date::text = {v})"),
}
_ALREADY = {"uuid": {"uuid"}, "date": {"date"}, "timestamp": {"timestamp", "timestamptz"}}
"""Formats that every value of a type has."""
_TEXTS = frozenset({"text", "character varying", "character", "citext", "name"})
_DIGITS = {"smallint": 4, "integer": 9, "bigint": 18}
"""How many digits of a whole number surely fit into a type."""
_NAN = frozenset({"numeric", "double precision", "real"})


def base(type_: str) -> str:
    """`numeric` of `numeric(10,2)`; with time zones as their short names."""
    name = type_.split("(", 1)[0].strip()
    if name.startswith("timestamp"):
        return "timestamptz" if "with time zone" in type_ else "timestamp"
    return name


def good(
    check: Check, columns: Mapping[str, str], server: int, alias: str = "r.", *, quick: bool = False
) -> Sql:
    """The condition of a row-wise check over a row whose columns have these types, before its `where:`.

    UsageProblem for a column that is not there, and for what the server (its major version) cannot ask.
    """
    if check.kind == "condition":
        assert check.condition is not None
        return Sql(f"({check.condition})")
    for name in check.columns:
        if name not in columns:
            raise UsageProblem(f"there is no column `{name}`", expected=f"one of: {', '.join(columns)}")
    parts = [
        _of_column(check, Sql(f"{alias}{identifier(name)}"), columns[name], server, quick)
        for name in check.columns
    ]
    return Sql(f"({joined(' AND ', parts)})")


def rule(check: Check, columns: Mapping[str, str], server: int) -> Sql:
    """The condition with its `where:`, as quarantine asks it: a row that is not looked at is good."""
    asked = exists(check) if check.kind == "reference" else good(check, columns, server)
    if check.where is None:
        return asked
    return phrase("(CASE WHEN ({where}) THEN {good} ELSE true END)", where=check.where, good=asked)


def bad(check: Check, asked: Sql) -> Sql:
    """Whether a row is looked at and bad."""
    return Sql(f"({check.where}) AND NOT {asked}") if check.where else Sql(f"NOT {asked}")


def _of_column(check: Check, value: Sql, type_: str, server: int, quick: bool) -> Sql:
    match check.kind:
        case "not_null":
            return Sql(f"{value} IS NOT NULL")
        case "format":
            return _format(check, value, type_, server, quick)
        case "type":
            assert check.type is not None
            if server < _ASKS_TYPES:
                raise _needs_16(server, "asks whether a text is of a type")
            return phrase("pg_input_is_valid({v}, {type})", v=_text(value, type_), type=literal(check.type))
        case "range":
            return _range(check, value, type_)
        case _:
            return phrase("{v} IN ({values})", v=value, values=literals(check.values))


def _format(check: Check, value: Sql, type_: str, server: int, quick: bool) -> Sql:
    text = _text(value, type_)
    parts = [phrase("{v} ~ {pattern}", v=text, pattern=literal(check.pattern))] if check.pattern else []
    found = check.format
    if found and base(type_) not in _ALREADY.get(found, ()):
        template = text_format(found, server)
        if template is None:
            raise _needs_16(server, f"asks whether a text is a {found}")
        parts.append(phrase(_QUICK.get(found, template) if quick else template, v=text))
    return Sql(f"({joined(' AND ', parts)})") if parts else Sql("true")


def text_format(name: str, server: int) -> Sql | None:
    """The condition over `{v}`, a text; None where a server of this version cannot ask it."""
    return (TEXT_FORMATS if server >= _ASKS_TYPES else _BEFORE_16).get(name)


def _range(check: Check, value: Sql, type_: str) -> Sql:
    bounds = check.bounds
    pairs = ((">=", bounds.min), ("<=", bounds.max), (">", bounds.above), ("<", bounds.below))
    parts = [
        Sql(f"{value} {operator} {_bound(bound, type_)}") for operator, bound in pairs if bound is not None
    ]
    # To the server NaN is greater than any number, to a person it is none: an upper bound excludes it already.
    if base(type_) in _NAN and bounds.max is None and bounds.below is None:
        parts.append(Sql(f"{value} <> 'NaN'"))
    return Sql(f"({joined(' AND ', parts)})")


def _bound(bound: str, type_: str) -> Sql:
    """A literal of the column's type; of a whole number's it may be half, or more than fits into it."""
    digits = _DIGITS.get(base(type_))
    if digits and not re.fullmatch(rf"-?[0-9]{{1,{digits}}}", bound):
        return Sql(f"{literal(bound)}::numeric")
    return literal(bound)


def _text(value: Sql, type_: str) -> Sql:
    return value if base(type_) in _TEXTS else Sql(f"{value}::text")


def _needs_16(server: int, what: str) -> UsageProblem:
    return UsageProblem(f"PostgreSQL 16 or later {what}", expected=f"`pattern:`; this is {server}")


# --- keys that another table must have ---


def exists(check: Check) -> Sql:
    """Whether the other table, on the same server, has the key of `r`. A key with a NULL in it refers to nothing."""
    other = check.to
    assert other is not None
    pairs = zip(check.columns, other.columns, strict=True)
    return phrase(
        "({nulls} OR EXISTS (SELECT FROM {other} o WHERE {same}{where}))",
        nulls=joined(" OR ", [Sql(f"r.{identifier(name)} IS NULL") for name in check.columns]),
        other=qualified(other.table.schema, other.table.name),
        same=joined(" AND ", [Sql(f"o.{identifier(b)} = r.{identifier(a)}") for a, b in pairs]),
        where=_of_other(other),
    )


def _of_other(other: Other) -> Sql:
    """Its `where:`, in which bare names are of the other table and never of `r`."""
    if other.where is None:
        return Sql("")
    table = qualified(other.table.schema, other.table.name)
    keys = joined(", ", [Sql(identifier(name)) for name in other.columns])
    same = joined(", ", [Sql(f"o.{identifier(name)}") for name in other.columns])
    return phrase(
        " AND ({same}) IN (SELECT {keys} FROM {table} WHERE ({where}))",
        same=same,
        keys=keys,
        table=table,
        where=other.where,
    )

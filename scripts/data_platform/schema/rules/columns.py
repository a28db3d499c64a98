"""Rules about the types of columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from data_platform.model.database import Column, Table
from data_platform.schema.rules.remedies import alter_column, retype
from data_platform.schema.rules.rule import Hit, Rule, on_column, rule, words
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import identifier, qualified_name

_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_FLOATS = frozenset({"float4", "float8"})
_MONEY = words(
    """amount balance budget cost discount fee payment price refund revenue salary subtotal total"""
)
_OTHER_THINGS = words("amount subtotal total")
"""Of these, words for a dose or a count too."""
_MEASURES = words(
    """bytes count days distance duration hours intensity kb kg km kwh lat lon mb minutes ms number percent
    percentage pct quantity rank rate ratio score seconds share size weight"""
)
"""Words of columns that only sound like money: total_seconds, price_ratio."""
_SECRETS = words("apikey cvc cvv passphrase passwd password pin pwd secret ssn token")
_SECRET_PAIRS = frozenset(
    {("access", "key"), ("api", "key"), ("card", "number"), ("private", "key"), ("secret", "key")},
)
_PROTECTED = words(
    """argon2 bcrypt cipher ciphertext digest encrypted fingerprint hash hashed scrypt sha256"""
)
_ABOUT = words(
    """algorithm at by count date expires expiry hint id kind label last4 length limit name policy prefix
    question status type uri url version"""
)
"""Last words of columns that say something about a secret without being one."""


def _of_type(
    type_: str, name: str, reason: str, fix: str, new: str, using: str | None = None, note: str = ""
) -> Rule:
    """A rule that speaks against one type; a database is mended by the type `new`."""

    def find(subject: Subject) -> Iterator[Hit]:
        for table, column in subject.columns:
            if subject.type_of(column).name == type_:
                remedy = retype(subject, table, column, new + _digits(subject, column), using)
                remedy += note if remedy.startswith("ALTER") else ""
                yield on_column(table, column.name, f"`{column.name}` is `{column.type}`", fix, remedy)

    return rule(name, "warning", reason)(find)


def _digits(subject: Subject, column: Column) -> str:
    """The precision of a time, which the new type has as well."""
    found = subject.type_of(column)
    return f"({found.modifiers[0]})" if found.name in ("timestamp", "timetz") and found.modifiers else ""


timestamp_without_time_zone = _of_type(
    "timestamp",
    "timestamp-without-time-zone",
    "timestamp drops the offset: the same value is another moment in another session.",
    "type: timestamptz",
    "timestamptz",
    "{} AT TIME ZONE 'UTC'",
    " -- 'UTC' is for the zone that its values are in",
)
time_with_time_zone = _of_type(
    "timetz",
    "time-with-time-zone",
    "An offset without a date knows no daylight saving; timetz exists for the SQL standard only.",
    "type: timestamptz, or time beside a column with the zone's name",
    "time",
    "({} AT TIME ZONE 'UTC')::time",
    " -- 'UTC' is for the zone that the column will be in",
)
json_not_jsonb = _of_type(
    "json",
    "json-not-jsonb",
    "json keeps the text and parses it at each access; it has no equality and no GIN index.",
    "type: jsonb",
    "jsonb",
)
money_type = _of_type(
    "money",
    "money-type",
    "money takes currency and digits from lc_monetary, a setting of the session.",
    "type: numeric(12, 2), or bigint in the smallest unit; and a column for the currency",
    "numeric(12, 2)",
)
char_type = _of_type(
    "bpchar",
    "char-type",
    "char(n) pads with blanks that some comparisons see and others do not, and saves nothing.",
    'type: text, with check: "length(…) = n" where the length is fixed',
    "text",
)


@rule(
    "varchar-limit",
    "info",
    "varchar(n) is stored as text is; a CHECK says the same and has a name of its own.",
)
def varchar_limit(subject: Subject) -> Iterator[Hit]:
    for table, column in subject.columns:
        found = subject.type_of(column)
        # A domain is one place to change it, and has a name.
        named = subject.is_database and subject.is_domain(column)
        if found.name == "varchar" and found.modifiers and not named:
            fix = f'type: text, check: "length({column.name}) <= {found.modifiers[0]}"'
            check = None if found.array else f"length({{}}) <= {found.modifiers[0]}"
            remedy = retype(subject, table, column, "text", check=check)
            yield on_column(table, column.name, f"`{column.name}` is `{column.type}`", fix, remedy)


@rule("float-money", "warning", "Binary floats cannot hold 0.10: sums drift by cents.")
def float_money(subject: Subject) -> Iterator[Hit]:
    for table, column in subject.columns:
        parts = set(column.name.lower().split("_"))
        if subject.type_of(column).name in _FLOATS and parts & _MONEY and not parts & _MEASURES:
            message = f"`{column.name}` sounds like money and is `{column.type}`"
            remedy = retype(subject, table, column, "numeric(12, 2)")
            hit = on_column(table, column.name, message, "type: numeric(12, 2)", remedy)
            unsure = subject.is_database and parts & _MONEY <= _OTHER_THINGS
            yield replace(hit, severity="info") if unsure else hit


@rule(
    "uuid-as-text",
    "info",
    "uuid takes 16 bytes and checks its form; as text it takes 37 and holds anything.",
    "UUIDs for distributed systems",
)
def uuid_as_text(subject: Subject) -> Iterator[Hit]:
    for table, column in subject.columns:
        if subject.type_name(column) in _TEXTS and column.name.lower().rpartition("_")[2] in ("uuid", "guid"):
            remedy = retype(subject, table, column, "uuid")
            yield on_column(table, column.name, f"`{column.name}` is `{column.type}`", "type: uuid", remedy)


@rule("nullable-boolean", "info", "A boolean that may be NULL has three states, and NOT finds one of them.")
def nullable_boolean(subject: Subject) -> Iterator[Hit]:
    for table, column in subject.columns:
        if subject.type_name(column) == "bool" and column.nullable:
            message = f"`{column.name}` is true, false or NULL: `NOT {column.name}` misses the NULLs"
            fix = "nullable: false and a `default:`, or an enum of three states"
            yield on_column(table, column.name, message, fix, _without_null(table, column))


def _without_null(table: Table, column: Column) -> str:
    name, value = identifier(column.name), "true" if column.default == "true" else "false"
    if column.generated:
        return "coalesce(…, false) around the expression"
    filled = f"UPDATE {qualified_name(table.name)} SET {name} = {value} WHERE {name} IS NULL;"  # noqa: S608
    return f"{filled} {alter_column(table, column.name, f'SET DEFAULT {value}', 'SET NOT NULL')}"


@rule("secret-in-plain-text", "warning", "Whoever reads the table, or a backup or log of it, has the secret.")
def secret_in_plain_text(subject: Subject) -> Iterator[Hit]:
    for table, column in subject.columns:
        if subject.type_name(column) in _TEXTS and _is_secret(column):
            message = f"`{column.name}` sounds like a secret in plain text"
            fix = f"`{column.name}_hash` if it is only compared; else encrypted as bytea, or kept elsewhere"
            hit = on_column(table, column.name, message, fix)
            # In a database that is there it may well be a hash: only the name is known.
            yield replace(hit, severity="info") if subject.is_database else hit


def _is_secret(column: Column) -> bool:
    parts = column.name.lower().split("_")
    named = not _SECRETS.isdisjoint(parts) or not _SECRET_PAIRS.isdisjoint(pairwise(parts))
    return named and _PROTECTED.isdisjoint(parts) and parts[-1] not in _ABOUT

"""How each built-in type is spelled in each target, and what is then different: data, one line a type."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from data_platform.schema.dialects.targets import Dialect

Kind: TypeAlias = Literal[
    "integer",
    "decimal",
    "float",
    "boolean",
    "text",
    "citext",
    "enum",
    "uuid",
    "json",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "bytes",
    "array",
    "composite",
    "vector",
    "literal",
    "other",
]
"""What an expression yields, as far as a translation must know it; `literal` is a string without a type."""


class Spelling(NamedTuple):
    """A type's kind, and its name in MySQL, SQLite, DuckDB, BigQuery, Snowflake and Spark, in this order."""

    kind: Kind
    mysql: str
    sqlite: str
    duckdb: str
    bigquery: str
    snowflake: str
    spark: str


SPELLINGS: dict[str, Spelling] = {
    "int2": Spelling("integer", "SMALLINT", "INTEGER", "SMALLINT", "INT64", "SMALLINT", "SMALLINT"),
    "int4": Spelling("integer", "INT", "INTEGER", "INTEGER", "INT64", "INT", "INT"),
    "int8": Spelling("integer", "BIGINT", "INTEGER", "BIGINT", "INT64", "BIGINT", "BIGINT"),
    "oid": Spelling("integer", "BIGINT", "INTEGER", "BIGINT", "INT64", "BIGINT", "BIGINT"),
    "float4": Spelling("float", "FLOAT", "REAL", "REAL", "FLOAT64", "FLOAT", "FLOAT"),
    "float8": Spelling("float", "DOUBLE", "REAL", "DOUBLE", "FLOAT64", "DOUBLE", "DOUBLE"),
    "money": Spelling(
        "decimal", "DECIMAL(19, 2)", "REAL", "DECIMAL(19, 2)", "NUMERIC", "DECIMAL(19, 2)", "DECIMAL(19, 2)"
    ),
    "bool": Spelling("boolean", "BOOLEAN", "INTEGER", "BOOLEAN", "BOOL", "BOOLEAN", "BOOLEAN"),
    "text": Spelling("text", "LONGTEXT", "TEXT", "TEXT", "STRING", "VARCHAR", "STRING"),
    "name": Spelling("text", "VARCHAR(63)", "TEXT", "TEXT", "STRING", "VARCHAR(63)", "STRING"),
    "citext": Spelling(
        "citext",
        "LONGTEXT COLLATE utf8mb4_general_ci",
        "TEXT COLLATE NOCASE",
        "TEXT COLLATE NOCASE",
        "STRING COLLATE 'und:ci'",
        "VARCHAR COLLATE 'en-ci'",
        "STRING",
    ),
    "uuid": Spelling(
        "uuid",
        "VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin",  # MariaDB computes nothing from a CHAR
        "TEXT",
        "UUID",
        "STRING(36)",
        "VARCHAR(36)",
        "STRING",
    ),
    "json": Spelling("json", "JSON", "TEXT", "JSON", "JSON", "VARIANT", "STRING"),
    "jsonb": Spelling("json", "JSON", "TEXT", "JSON", "JSON", "VARIANT", "STRING"),
    "date": Spelling("date", "DATE", "TEXT", "DATE", "DATE", "DATE", "DATE"),
    "time": Spelling("time", "TIME(6)", "TEXT", "TIME", "TIME", "TIME(6)", "STRING"),
    "timetz": Spelling("other", "VARCHAR(32)", "TEXT", "TIMETZ", "STRING", "VARCHAR", "STRING"),
    "timestamp": Spelling(
        "timestamp", "DATETIME(6)", "TEXT", "TIMESTAMP", "DATETIME", "TIMESTAMP_NTZ(6)", "TIMESTAMP_NTZ"
    ),
    "timestamptz": Spelling(
        "timestamptz", "TIMESTAMP(6)", "TEXT", "TIMESTAMPTZ", "TIMESTAMP", "TIMESTAMP_LTZ(6)", "TIMESTAMP"
    ),
    "interval": Spelling("interval", "VARCHAR(64)", "TEXT", "INTERVAL", "INTERVAL", "VARCHAR", "STRING"),
    "bytea": Spelling("bytes", "LONGBLOB", "BLOB", "BLOB", "BYTES", "BINARY", "BINARY"),
    "vector": Spelling("vector", "JSON", "TEXT", "FLOAT", "ARRAY<FLOAT64>", "VECTOR", "ARRAY<FLOAT>"),
    "halfvec": Spelling("vector", "JSON", "TEXT", "FLOAT", "ARRAY<FLOAT64>", "VECTOR", "ARRAY<FLOAT>"),
}
"""`numeric`, `varchar` and `char` depend on their modifiers and are not here."""

AS_TEXT: dict[Dialect, str] = {
    "mysql": "LONGTEXT",
    "sqlite": "TEXT",
    "duckdb": "TEXT",
    "bigquery": "STRING",
    "snowflake": "VARCHAR",
    "spark": "STRING",
}
"""For every type without a counterpart: PostgreSQL's own text form, which loses no data."""

AS_JSON: dict[Dialect, str] = {**AS_TEXT, "mysql": "JSON", "duckdb": "JSON", "bigquery": "JSON"}

_SMALLER = "holds every 64-bit integer: the range of {type} is not checked"
_NO_NAN = "cannot hold NaN or infinity"
_LOWER = "is text: what is no UUID is not refused, and upper case is another value"
_JSON_NUMBERS = "keeps numbers as double precision"
_JSON_TEXT = "is text: what is no JSON is not refused"
_TEXT_FORM = "is text in PostgreSQL's form: its values are not checked and its operators are missing"

NOTES: dict[Dialect, dict[str, str]] = {
    "mysql": {
        "float4": _NO_NAN,
        "float8": _NO_NAN,
        "citext": "is compared without case and also without accents",
        "uuid": _LOWER,
        "json": "is stored as parsed: its white space and the order of its keys may change",
        "jsonb": "has JSON functions, not the operators @>, ? and ->",
        "date": "holds the years 1000 to 9999, without infinity",
        "time": "reaches beyond 24 hours: a time of day is not checked",
        "timestamp": "holds the years 1000 to 9999, without infinity",
        "timestamptz": "holds 1970 to January 2038 only, and is shown in the session's time_zone; MariaDB makes a NULL "
        "that is sent for a NOT NULL one the current time",
        "money": "is a plain number without a currency",
        "vector": "is a JSON array: neither its dimensions nor its numbers are checked, distances are not there",
        "name": "is not cut at 63 bytes",
    },
    "sqlite": {
        "float4": "is double precision",
        "float8": _NO_NAN,
        "citext": "ignores the case of ASCII letters only",
        "uuid": "is text: upper case is another value",
        "json": "is text with a check",
        "jsonb": "is text with a check: equality is of the text, the operators @> and ? are missing",
        "date": "is text, year-month-day, without infinity",
        "time": "is text",
        "timestamp": "is text in ISO 8601, to be written in one form; it sorts as text",
        "timestamptz": "is text in ISO 8601, to be written in UTC and in one form; it sorts as text",
        "money": "is double precision: sums of money drift",
        "vector": "is text, a JSON array: neither dimensions nor numbers are checked, distances are not there",
        "name": "is not cut at 63 bytes",
        "oid": "is a plain integer",
    },
    "duckdb": {
        "json": "has other operators than PostgreSQL",
        "jsonb": "is stored as text: equality is of the text, keys keep their order, @> and ? are missing",
        "citext": "is compared without case, though not by keys and indexes",
        "halfvec": "is 32 bits a number",
        "name": "is not cut at 63 bytes",
        "oid": "is a plain integer",
        "money": "is a plain number without a currency",
        "interval": "has other output, and is not justified alike",
    },
    "bigquery": {
        "int2": _SMALLER,
        "int4": _SMALLER,
        "oid": _SMALLER,
        "float4": "is double precision",
        "uuid": _LOWER,
        "jsonb": _JSON_NUMBERS,
        "json": _JSON_NUMBERS,
        "citext": "is compared without case by the rules of Unicode, in the operations that know collations",
        "date": "holds the years 1 to 9999, without infinity",
        "timestamp": "holds the years 1 to 9999, without infinity",
        "timestamptz": "holds the years 1 to 9999, without infinity",
        "money": "is a plain number without a currency",
        "vector": "is an array: its dimensions are not checked",
        "halfvec": "is an array of doubles: its dimensions are not checked",
        "name": "is not cut at 63 bytes",
    },
    "snowflake": {
        "int2": "is NUMBER(38): the range of {type} is not checked",
        "int4": "is NUMBER(38): the range of {type} is not checked",
        "int8": "is NUMBER(38): the range of {type} is not checked",
        "oid": "is NUMBER(38): the range of {type} is not checked",
        "float4": "is double precision",
        "uuid": _LOWER,
        "json": "is VARIANT: its text is not kept",
        "jsonb": "is VARIANT",
        "citext": "is compared without case by the rules of English",
        "bytea": "holds at most 8 MB",
        "money": "is a plain number without a currency",
        "halfvec": "is 32 bits a number",
        "name": "is not cut at 63 bytes",
        "timestamptz": "is shown in the session's time zone",
    },
    "spark": {
        "citext": "is compared with case",
        "uuid": _LOWER,
        "json": _JSON_TEXT,
        "jsonb": _JSON_TEXT,
        "time": "is text: a time of day is not checked",
        "oid": "is a plain integer",
        "money": "is a plain number without a currency",
        "vector": "is an array: its dimensions are not checked",
        "halfvec": "is an array of 32-bit floats: its dimensions are not checked",
        "name": "is not cut at 63 bytes",
    },
}
"""Said of a column of that type. A type that has a note in one target may be exact in another."""

HELD_AS_TEXT = _TEXT_FORM

_SQLITE_MOMENT = (
    "{c} IS NULL OR (NOT DATETIME({c}) IS NULL AND SUBSTR({c}, 1, 10) IS DATE(SUBSTR({c}, 1, 10), '+0 days'))"
)
"""DATE() alone takes February 30 as it is; with a step it becomes March 1."""

CHECKS: dict[Dialect, dict[str, str]] = {
    "mysql": {"bool": "{c} IN (0, 1)"},
    "sqlite": {
        "int2": "{c} BETWEEN -32768 AND 32767",
        "int4": "{c} BETWEEN -2147483648 AND 2147483647",
        "oid": "{c} BETWEEN 0 AND 4294967295",
        "bool": "{c} IN (0, 1)",
        "uuid": "LENGTH({c}) = 36 AND LENGTH(REPLACE({c}, '-', '')) = 32 AND {c} NOT GLOB '*[^0-9a-f-]*'",
        "json": "{c} IS NULL OR JSON_VALID({c})",
        "jsonb": "{c} IS NULL OR JSON_VALID({c})",
        "vector": "{c} IS NULL OR JSON_VALID({c})",
        "halfvec": "{c} IS NULL OR JSON_VALID({c})",
        "date": "{c} IS DATE({c}, '+0 days')",
        "time": "{c} IS NULL OR NOT TIME({c}) IS NULL",
        "timestamp": _SQLITE_MOMENT,
        "timestamptz": _SQLITE_MOMENT,
    },
    "duckdb": {},
    "bigquery": {},
    "snowflake": {},
    "spark": {},
}
"""What PostgreSQL's type refuses and the target's own does not, as a condition on the column `{c}`."""

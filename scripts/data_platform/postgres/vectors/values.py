"""Values of documents as the columns want them: files give text and numbers, columns have types."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg import sql

from data_platform.errors import UsageProblem

Values = Mapping[uuid.UUID, tuple[Any, ...]]
"""By the document's id."""

_WHOLE = {"smallint": 15, "integer": 31, "bigint": 63}
"""Bits of the largest one. The driver's binary COPY takes a larger number and writes its last bytes."""
_PLAIN: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "character varying": (str,),
    "boolean": (bool,),
    "double precision": (float,),
    "date": (date,),
    "uuid": (uuid.UUID,),
}


@dataclass(frozen=True)
class Columns:
    """Columns of a table, by name, with their types as SQL."""

    connection: psycopg.Connection[Any]
    types: Mapping[str, str]

    def column(self, name: str, values: Sequence[tuple[Any, str]]) -> list[Any]:
        """Values, each with the document it is of, as the column has them: what is no such value yet is read by the
        server. UsageProblem naming the document for what it refuses.
        """
        type_ = self.types[name]
        found = [without_nul(value) for value, _ in values]
        asked = [
            number for number, value in enumerate(found) if value is not None and not _fits(type_, value)
        ]
        scalars = [number for number in asked if not isinstance(found[number], list)]
        try:
            for number, value in zip(scalars, self._read(type_, [found[n] for n in scalars]), strict=True):
                found[number] = value
            for number in asked:
                if isinstance(found[number], list):
                    found[number] = self._one(type_, found[number])
        except psycopg.Error:
            for number in asked:
                try:
                    self._one(type_, found[number])
                except psycopg.Error as error:
                    raise _wrong(name, type_, found[number], values[number][1], error) from None
            raise
        return found

    def _read(self, type_: str, values: Sequence[Any]) -> list[Any]:
        if not values:
            return []
        query = sql.SQL("SELECT v::{} FROM unnest(%s::text[]) WITH ORDINALITY AS u (v, n) ORDER BY n")
        with self.connection.transaction():
            rows = self.connection.execute(query.format(sql.SQL(type_)), [[_text(one) for one in values]])
            return [row[0] for row in rows]

    def _one(self, type_: str, value: Any) -> Any:
        given = value if isinstance(value, list) else _text(value)
        with self.connection.transaction():
            row = self.connection.execute(sql.SQL("SELECT %s::{}").format(sql.SQL(type_)), [given]).fetchone()
        return row[0] if row else None


def columns_of(connection: psycopg.Connection[Any], schema: str, table: str, names: Sequence[str]) -> Columns:
    """Of a table; their order is that of the names."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND NOT attisdropped",
        [sql.Identifier(schema, table).as_string(connection)],
    )
    types = dict(rows.fetchall())
    return Columns(connection, {name: types[name] for name in names})


def without_nul(value: Any) -> Any:
    """PostgreSQL has no NUL in text, and no halves of surrogate pairs: U+FFFD for each, in lists and objects too."""
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, list):
        return [without_nul(one) for one in value]
    if isinstance(value, dict):
        return {without_nul(key): without_nul(one) for key, one in value.items()}
    return value


def _storable(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    with suppress(UnicodeEncodeError):
        text.encode()
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _fits(type_: str, value: Any) -> bool:
    """Whether the driver writes it as it is."""
    if type_ in _WHOLE:
        return type(value) is int and -(2 ** _WHOLE[type_]) <= value < 2 ** _WHOLE[type_]
    if type_ == "timestamp with time zone":
        return isinstance(value, datetime) and value.tzinfo is not None
    if type_ == "text[]":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return type(value) in _PLAIN.get(type_, ())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(name: str, type_: str, value: Any, where: str, error: psycopg.Error) -> UsageProblem:
    return UsageProblem(
        f"`{name}` is {value!r}: {error.diag.message_primary or error}",
        where=where,
        expected=f"a value of type {type_}",
        try_="the type of the filter in the spec, or the value in the document",
    )

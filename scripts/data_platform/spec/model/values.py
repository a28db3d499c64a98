"""Single values of a model from and to the plain data of a spec: names, texts, numbers, options, keys.

A codec reads what a spec says and writes what it reads; `codec` puts them together for whole objects.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from data_platform.model.database import Name
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context
from data_platform.spec.model.elements import read_element, read_options, write_element, write_options
from data_platform.spec.model.scalars import natural
from data_platform.spec.naming import dotted_text, name_text, parse_parts
from data_platform.sql.text import NotSql

Class: TypeAlias = Any
"""A dataclass of model.database; mypy does not take `type[Any]` for the key of a cache."""


@dataclass(frozen=True)
class Reading:
    """What a codec reads with: the model, and the columns that expressions may use (None: any)."""

    context: Context
    columns: Collection[str] | None = None


class Codec(Protocol):
    """One kind of value; `write` gives what `read` reads."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any: ...
    def write(self, value: Any, default_schema: str) -> Any: ...


class Plain:
    """A number, a truth, a choice or a text of any kind."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return value

    def write(self, value: Any, default_schema: str) -> Any:
        return value


class Real(Plain):
    """A number that may be written as a whole one."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return float(value)

    def write(self, value: Any, default_schema: str) -> Any:
        return int(value) if float(value).is_integer() else value


@dataclass(frozen=True)
class Text:
    """SQL of some kind, or a name."""

    kind: str

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return reading.context.text(self.kind, value, path, reading.columns)

    def write(self, value: Any, default_schema: str) -> Any:
        return natural(value) if self.kind in ("expression", "constant", "condition") else value


class NameCodec:
    """A qualified name; one in the default schema goes without it."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return reading.context.name(value, path) or Name(reading.context.default_schema, value)

    def write(self, value: Any, default_schema: str) -> Any:
        return name_text(value, default_schema)


class ColumnOf:
    """A table and a column of it, `table.column`."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        try:
            *place, column = parse_parts(value)
        except NotSql:
            place, column = [], ""
        if len(place) not in (1, 2):
            message = f"`{value}` names no column"
            reading.context.error(path, "spec-name", message, "table.column or schema.table.column")
            return None
        return Name(*place) if len(place) == 2 else Name(reading.context.default_schema, place[0]), column

    def write(self, value: Any, default_schema: str) -> Any:
        table, column = value
        return f"{name_text(table, default_schema)}.{dotted_text(column)}"


class Pair:
    """Two texts that belong together."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return tuple(value)

    def write(self, value: Any, default_schema: str) -> Any:
        return list(value)


class OptionsCodec:
    """Parameters by name."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return read_options(value)

    def write(self, value: Any, default_schema: str) -> Any:
        return write_options(value)


@dataclass(frozen=True)
class TextByName:
    """Texts by a name, such as a column's."""

    inner: Codec

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return tuple(
            sorted((key, self.inner.read(reading, item, (*path, key))) for key, item in value.items())
        )

    def write(self, value: Any, default_schema: str) -> Any:
        return {key: self.inner.write(item, default_schema) for key, item in value}


class NumberByNumber:
    """Whole numbers by whole numbers."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return tuple(sorted((int(key), number) for key, number in value.items()))

    def write(self, value: Any, default_schema: str) -> Any:
        return {str(key): number for key, number in value}


@dataclass(frozen=True)
class Many:
    """A list; one alone may stand without its brackets."""

    inner: Codec

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        if not isinstance(value, list):
            return (self.inner.read(reading, value, path),)
        return tuple(
            self.inner.read(reading, item, (*path, str(number))) for number, item in enumerate(value)
        )

    def write(self, value: Any, default_schema: str) -> Any:
        return [self.inner.write(item, default_schema) for item in value]


class Element:
    """A column or an expression with what goes with it."""

    def read(self, reading: Reading, value: Any, path: Path_) -> Any:
        return read_element(reading.context, value, path, reading.columns)

    def write(self, value: Any, default_schema: str) -> Any:
        return write_element(value)

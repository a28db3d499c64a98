"""Arrow's columns as COPY's binary format, where the table's types keep their values as they are.

The server has nothing to parse then, which is half of its work on separated values. A type is here when its binary
form says the same as its text: a real in a double precision column does not (0.1 is 0.1 as text), and nanoseconds are
rounded by the server only.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from data_platform.postgres.pipelines.staging import NoRoom

_INTEGERS = {"smallint": "int16", "integer": "int32", "bigint": "int64"}
_SAME = {
    "boolean": "is_boolean",
    "real": "is_float32",
    "double precision": "is_float64",
    "date": "is_date32",
    "bytea": "is_binary",
}
_TEXTS = frozenset({"text", "character varying"})
_TIMES = {"timestamp without time zone": False, "timestamp with time zone": True}
_DIGITS = 4
"""Of a fraction, that the encoder writes as they are: it loses zeros before later groups of four."""


def blocks(
    schema: Any, batches: Callable[[], Iterable[Any]], types: Mapping[str, str]
) -> Iterator[bytes] | None:
    """The batches, of this schema, for a table's columns of these types; None where one of them needs a text.

    Raises NoRoom, while it is read, for a value that its column cannot take.
    """
    arrow, encoding = importlib.import_module("pyarrow"), importlib.import_module("pgpq")
    wanted = [_kept_as(arrow, field.type, types.get(field.name, "")) for field in schema]
    if None in wanted:
        return None
    typed = arrow.schema([(name, type_) for name, type_ in zip(schema.names, wanted, strict=True)])
    return _encoded(arrow, encoding.ArrowToPostgresBinaryEncoder(typed), batches(), typed)


def _encoded(arrow: Any, encoder: Any, batches: Iterable[Any], typed: Any) -> Iterator[bytes]:
    yield encoder.write_header()
    for batch in batches:
        try:
            yield encoder.write_batch(batch.cast(typed))
        except (arrow.ArrowInvalid, ValueError) as error:
            raise NoRoom(str(error)) from None
    yield encoder.finish()


def _kept_as(arrow: Any, type_: Any, column: str) -> Any:
    """The Arrow type whose binary form is the value of that column; None where there is none."""
    kinds, name = arrow.types, re.sub(r"\(.*?\)", "", column)
    if kinds.is_dictionary(type_):
        return _kept_as(arrow, type_.value_type, column)
    if kinds.is_integer(type_) and name in _INTEGERS:
        return getattr(arrow, _INTEGERS[name])()
    if name in _SAME and getattr(kinds, _SAME[name])(type_):
        return type_
    if name in _TEXTS and (kinds.is_string(type_) or kinds.is_large_string(type_)):
        return type_
    if name == "numeric" and kinds.is_decimal128(type_) and 0 <= type_.scale <= _DIGITS:
        return type_
    if name in _TIMES and kinds.is_timestamp(type_) and type_.unit != "ns":
        return arrow.timestamp("us", type_.tz) if _TIMES[name] == bool(type_.tz) else None
    return None

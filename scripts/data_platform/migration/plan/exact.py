"""Which casts lose nothing: each value, cast to the other type and back, is the one that it was."""

from __future__ import annotations

from data_platform.model.database import Database, Enum
from data_platform.sql.text import identifier

_WIDER = (
    ("smallint", ("integer", "bigint", "numeric")),
    ("integer", ("bigint", "numeric")),
    ("bigint", ("numeric",)),
    ("real", ("double precision",)),
    ("date", ("timestamp without time zone",)),
)
_AS_TEXT = (
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "boolean",
    "uuid",
    "date",
    "inet",
    "json",
    "character varying",
)
"""Types whose values are their texts, whatever the settings of the session are."""


def come_back(before: Database, after: Database, old: str, new: str) -> bool:
    """Whether that is known of the cast from `old` to `new`; of most it is not."""
    if old == new and not _enum(before, old):
        return True
    if (labels := _enum(before, old)) is not None:
        there = _enum(after, new)
        return new == "text" or (there is not None and set(labels) <= set(there))
    if new == "text":
        return old.split("(", maxsplit=1)[0] in _AS_TEXT
    return any(old == narrow and new in wide for narrow, wide in _WIDER)


def _enum(database: Database, type_: str) -> tuple[str, ...] | None:
    """The labels, where it is an enum."""
    names = {
        f"{identifier(one.name.schema)}.{identifier(one.name.name)}": one.labels
        for one in database.types
        if isinstance(one, Enum)
    }
    return names.get(type_)

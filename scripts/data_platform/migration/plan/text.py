"""Short texts that steps of every kind need: names of steps, ALTER TABLE, statements without their semicolon."""

from __future__ import annotations

import hashlib
import re

from data_platform.model.database import Name
from data_platform.sql.text import MAX_IDENTIFIER_BYTES, Sql, identifier, joined, qualified_name

_LONGEST = 60


def slug(*words: object) -> str:
    """A step's name from what it does and to what: `add_column_orders_note`."""
    said = "_".join(_spoken(word) for word in words)
    return re.sub(r"[^a-z0-9]+", "_", said.lower()).strip("_")[:_LONGEST].strip("_") or "step"


def _spoken(word: object) -> str:
    if isinstance(word, Name):
        return word.name if word.schema == "public" else f"{word.schema}_{word.name}"
    return str(word)


def spoken(name: Name, *parts: str) -> str:
    """A name for people: `orders.note`, with the schema where it is not public."""
    first = name.name if name.schema == "public" else str(name)
    return ".".join((first, *parts))


def renamed_or_lost(name: str) -> str:
    """What to try where something is gone, and may have become something else."""
    return f"--allow-data-loss {name}, or what it became: --rename {name}=NEW_NAME (renamed_from: in a model)"


def bare(sql: str) -> Sql:
    """A statement without its semicolon."""
    return Sql(sql.rstrip().removesuffix(";").rstrip())


def alter_table(table: Name, *actions: Sql) -> Sql:
    """ALTER TABLE with these actions."""
    separator = ",\n    " if len(actions) > 1 else ""
    if not separator:
        return Sql(f"ALTER TABLE {qualified_name(table)} {actions[0]}")
    return Sql(f"ALTER TABLE {qualified_name(table)}\n    {joined(separator, actions)}")


def alter_column(column: str, action: str) -> Sql:
    """`ALTER COLUMN name …`, where `action` is SQL already."""
    return Sql(f"ALTER COLUMN {identifier(column)} {action}")


def beside(name: str, label: str) -> str:
    """The name of something that stands in for `name` for a while: `orders_pkey__new`.

    One that would be too long is cut, with a digest so that names that begin alike stay apart.
    """
    whole = f"{name}__{label}"
    if len(whole.encode()) <= MAX_IDENTIFIER_BYTES:
        return whole
    ending = f"_{hashlib.sha256(name.encode()).hexdigest()[:6]}__{label}"
    kept = name.encode()[: MAX_IDENTIFIER_BYTES - len(ending.encode())]
    return kept.decode(errors="ignore") + ending


def in_schema(table: Name, name: str) -> Sql:
    """The name of an index or another thing that lives in the table's schema."""
    return qualified_name(Name(table.schema, name))

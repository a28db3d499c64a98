"""How texts name a table: as a relation, as the type of its rows, as the object of a grant."""

from __future__ import annotations

from typing import Literal

from data_platform.model.database import Name
from data_platform.sql.references import Reference, References
from data_platform.sql.text import qualified


def is_named(table: Name, references: References) -> bool:
    """Whether the table is among them."""
    return _among(table, references, "relation")


def is_type(table: Name, references: References) -> bool:
    """Whether the type of the table's rows is among them."""
    return _among(table, references, "type")


def _among(table: Name, references: References, kind: Literal["relation", "type"]) -> bool:
    return any(Reference(kind, schema, table.name) in references for schema in (table.schema, None))


def granted(name: Name) -> str:
    """The table as grants name it."""
    return str(qualified(name.schema, name.name))

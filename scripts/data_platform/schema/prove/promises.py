"""What tenant isolation promises, in words, and claims about it."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.model.database import Database, Name, Table
from data_platform.report.document import State
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.subjects import Subject
from data_platform.sql.text import identifier, qualified_name

UNSET = "without the setting nothing is visible"
EMPTY = "with an empty setting nothing is visible"
OWN = "a tenant sees its own rows only"
INSERTED = "no row is inserted for another tenant"
MOVED = "no row is moved to another tenant"
TOUCHED = "another tenant's rows are not changed or deleted"
REFERRED = "no row refers to another tenant's"
COPIED = "no trigger copies its rows to where other tenants see them"
GUARDED = "row-level security holds for whoever uses it"


def of_table(table: Table, claim: str, subject: Subject, state: State, detail: str) -> Claim:
    """A claim about a table, tried as that subject."""
    return Claim(
        kind="table",
        object=str(table.name),
        claim=claim,
        state=state,
        detail=detail,
        table=table.name,
        role=subject.shown,
    )


def without_references(database: Database, name: Name) -> Iterator[str]:
    """Statements after which no foreign key keeps a table's rows."""
    for table in database.tables:
        for key in table.foreign_keys:
            if key.target == name and table.holds_rows:
                yield f"ALTER TABLE {qualified_name(table.name)} DROP CONSTRAINT {identifier(key.name)}"

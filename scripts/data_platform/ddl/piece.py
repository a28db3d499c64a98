"""A statement of the DDL, and what is known about it while its place is sought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from data_platform.model.database import Name
from data_platform.sql.references import References
from data_platform.sql.text import Sql

Section = Literal[
    "setup",
    "settings",
    "types",
    "sequences",
    "functions",
    "raw",
    "servers",
    "tables",
    "foreign_keys",
    "views",
    "late",
    "afterwards",
    "ownership",
    "publications",
    "grants",
    "event_triggers",
]
PartKey: TypeAlias = tuple[str, ...]
"""("constraint", table, name), ("default", table, column), ("body", function): a part that may come in a later one."""


@dataclass(frozen=True)
class Statement:
    """One statement of the DDL. `object` is what it makes, for messages; `section` and `table` place it in a file."""

    sql: Sql
    object: str
    section: Section
    table: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a statement that could be put off to a later one, and what that part needs."""

    key: PartKey
    needs: References


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A statement, the objects that it makes, and the names that must exist before it.

    `parts` are what it needs for parts that could be put off. `runs`: PostgreSQL looks into the functions that it
    needs, so what their bodies name must exist as well; `body` is such a function's body, in SQL.
    """

    statement: Statement
    makes: References = ()
    needs: References = ()
    parts: tuple[Part, ...] = ()
    runs: bool = False
    body: str | None = None

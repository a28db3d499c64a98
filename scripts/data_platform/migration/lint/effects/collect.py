"""What a statement does to tables that clients use: the locks it takes and the work that grows with the rows.

These are PostgreSQL's facts and no judgement; `rules` judges. A table that this migration made, and a temporary one,
has no clients and no rows, so nothing that happens to it counts. Where the schema is not known, work is `certain`
only as far as it does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from data_platform.migration.lint.locks import Mode
from data_platform.migration.lint.session import Session
from data_platform.migration.lint.state import Relation, State, Table

WorkKind = Literal["rewrite", "verify", "validate", "index", "index online", "rows", "read"]
"""A new copy of the table; a look at every row for a constraint of its own, or for a foreign key; the building of an
index with writes kept out, or beside them; rows changed; rows read."""

BOOKKEEPING = frozenset(
    {
        "__efmigrationshistory",
        "_prisma_migrations",
        "_sqlx_migrations",
        "_yoyo_log",
        "_yoyo_migration",
        "_yoyo_version",
        "alembic_version",
        "ar_internal_metadata",
        "atlas_schema_revisions",
        "databasechangelog",
        "databasechangeloglock",
        "django_migrations",
        "doctrine_migration_versions",
        "flyway_schema_history",
        "goose_db_version",
        "gorp_migrations",
        "knex_migrations",
        "knex_migrations_lock",
        "migrations",
        "pgmigrations",
        "phinxlog",
        "refinery_schema_history",
        "schema_migrations",
        "schema_version",
        "sequelizemeta",
        "yoyo_lock",
    }
)
"""Tables in which migration tools keep their own state: nobody else waits for them."""


@dataclass(frozen=True)
class Lock:
    """A lock on a table that clients use."""

    table: Relation
    mode: Mode


@dataclass(frozen=True)
class Work:
    """Something that takes as long as the table is big, and the lock that is held on that table meanwhile."""

    kind: WorkKind
    cause: str
    table: Relation
    mode: Mode
    part: Any = None
    """The part of the tree that asks for it."""
    reason: str = ""
    certain: bool = True
    known: bool = True
    """Whether a schema says anything of the table."""


@dataclass
class Effects:
    """Collects what one statement does, seen from the state before it."""

    state: State
    session: Session
    version: int
    file: str | None
    locks: list[Lock] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)

    def quiet(self, table: Table) -> bool:
        """Whether no client knows the table, or it is a migration tool's own."""
        if table.new is not None:
            return not table.filled or table.new == self.file
        return table.temporary or table.name.name.lower() in BOOKKEEPING

    def lock(self, table: Table, mode: Mode) -> None:
        """The statement takes a lock on the table."""
        if not self.quiet(table):
            self.locks.append(Lock(table.name, mode))

    def add(
        self,
        kind: WorkKind,
        cause: str,
        table: Table,
        mode: Mode,
        part: Any = None,
        *,
        reason: str = "",
        certain: bool = True,
    ) -> None:
        """The statement does such work on the table."""
        if not self.quiet(table) and table.kind not in ("view", "sequence"):
            self.work.append(
                Work(kind, cause, table.name, mode, part, reason, certain and table.known, table.known)
            )

    def under_one_lock(self, table: Relation) -> None:
        """What the commands of one statement do lasts under the strongest lock that one of them takes."""
        strongest = self.strongest(table)
        if strongest is not None:
            self.work = [
                replace(one, mode=strongest) if one.table == table and one.mode < strongest else one
                for one in self.work
            ]

    def strongest(self, table: Relation) -> Mode | None:
        """The strongest lock that the statement takes on the table."""
        return max((lock.mode for lock in self.locks if lock.table == table), default=None)


Reader = Callable[[Effects, Any], None]

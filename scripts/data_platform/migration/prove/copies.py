"""More of a scratch database: copies with their schema and rows, so that each trial begins at the same place."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from data_platform.postgres.connect import connect
from data_platform.postgres.scratch import Database

_MOST_LEFT = 30


@dataclass(frozen=True)
class Copies:
    """Makes copies on one server; `conninfo` is its maintenance database, as a role that may.

    On a `disposable` server, which goes as a whole, the first of them stay when they are done with: to drop one takes
    longer than to make it.
    """

    conninfo: str = field(repr=False)
    version_num: int
    disposable: bool
    _made: list[str] = field(default_factory=list, repr=False)

    @contextmanager
    def copy(self, source: Database) -> Iterator[Database]:
        """A copy, for the block. Nobody may be connected to the source meanwhile."""
        name = f"dpe_{secrets.token_hex(8)}"
        owner = str(conninfo_to_dict(source.conninfo)["user"])
        how = " STRATEGY FILE_COPY" if self.version_num >= 150000 else ""  # before, there is no other
        self._execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}" + how).format(
                sql.Identifier(name), sql.Identifier(owner), sql.Identifier(source.name)
            )
        )
        self._made.append(name)
        try:
            yield Database(
                name,
                make_conninfo(source.conninfo, dbname=name),
                make_conninfo(source.admin_conninfo, dbname=name),
            )
        finally:
            if not self.disposable or len(self._made) > _MOST_LEFT:
                self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with connect(self.conninfo, read_only=False, statement_timeout_ms=0) as admin:
            admin.execute(statement)

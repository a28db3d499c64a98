"""Which clients are at work: those of the tables at hand, of the application that is deployed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from data_platform.migration.prove import clients as asking
from data_platform.migration.prove.rows import Wish
from data_platform.model.database import Database as Model
from data_platform.model.database import Name
from data_platform.postgres.catalog import read
from data_platform.postgres.connect import connect
from data_platform.postgres.filling import fillable
from data_platform.postgres.scratch import Database
from data_platform.postgres.synthetic import Generator
from data_platform.postgres.traffic import INTERVAL, Client, Script, traffic
from data_platform.sql.text import qualified

MOST_TABLES = 12
"""With clients at a time; of more, those that the statements at hand touch."""
_BUSY = 8
"""More clients than this ask less often, so that they do not keep the machine from the migration."""
_SETTLE_SECONDS = 0.05


@dataclass
class Crowd:
    """The clients that are at work, and those that have been."""

    conninfo: str = field(repr=False)
    scripts: tuple[Script, ...]
    by_statement: Mapping[int, frozenset[Name]]
    deploy_after: int | None = None
    """The last statement that the old application lives through."""
    deploy: Callable[[], tuple[Script, ...]] = tuple
    """What clients of the new application ask."""
    all: list[Client] = field(default_factory=list)
    _now: frozenset[Name] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def attend(self, first: int, last: int) -> None:
        """Let clients work on the tables that these statements touch; on all tables where they are few.

        Where they are many, those that the next statements touch are attended to along with them.
        """
        if self.deploy_after is not None and first > self.deploy_after:
            self.leave()
            self.scripts, self.deploy_after = self.deploy(), None
        tables = {script.table for script in self.scripts}
        if len(tables) > MOST_TABLES:
            wanted = self._touched(first, last) & tables
            if self._now is not None and self._now >= wanted:
                return
            for number in range(last + 1, max(self.by_statement, default=last) + 1):
                if len(more := wanted | (self._touched(number, number) & tables)) > MOST_TABLES:
                    break
                wanted = more
            tables = set(sorted(wanted)[:MOST_TABLES])
        if frozenset(tables) == self._now:
            return
        self.leave()
        chosen = [script for script in self.scripts if script.table in tables]
        interval = INTERVAL * max(1.0, len(chosen) / _BUSY)
        self.all += self._stack.enter_context(traffic(self.conninfo, chosen, interval))
        self._now = frozenset(tables)
        time.sleep(_SETTLE_SECONDS)

    def _touched(self, first: int, last: int) -> frozenset[Name]:
        return frozenset(n for number in range(first, last + 1) for n in self.by_statement.get(number, ()))

    def leave(self) -> None:
        """Let them go; what they still ask is waited for."""
        self._stack.close()
        self._now = None


def deployed(database: Database, wish: Wish, after: Model, tables: Sequence[Name]) -> tuple[Script, ...]:
    """What the new application asks now: it names what is there already and will be there at the end.

    Of `tables`, and of those that the migration has made so far.
    """
    with connect(database.conninfo, read_only=False) as connection:
        now = read(connection)
        final = {table.name: {column.name for column in table.columns} for table in after.tables}
        old = {table.name for table in wish.database.tables}
        asked = [
            table
            for table in now.tables
            if table.holds_rows and table.name in final and (table.name in tables or table.name not in old)
        ]
        rows = {}
        for table in asked:
            query = f"SELECT count(*) FROM {qualified(table.name.schema, table.name.name)}"  # noqa: S608
            found = connection.execute(query.encode()).fetchone()
            rows[table.name] = int(found[0]) if found else 0
        generator = Generator(fillable(connection, now, wish.hints), rows, wish.hints, wish.seed)
        gone = {t.name: [c.name for c in t.columns if c.name not in final[t.name]] for t in asked}
        return asking.scripts(connection, now, generator, [table.name for table in asked], gone)

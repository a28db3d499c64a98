"""What is to be filled, and within which limits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from data_platform.model.database import Name
from data_platform.sql.text import Sql

EVERY_ROW = Sql("true")


@dataclass(frozen=True, kw_only=True)
class Job:
    """Rows of one table that get values. `statement(rows)` fills those of `rows`, a condition, that need it."""

    table: Name
    what: str
    """For people: `orders: amount_new`."""
    statement: Callable[[Sql], Sql]
    needed: Sql = EVERY_ROW
    """What a row meets that is not done yet; of every row where only the kept place can tell."""
    key: tuple[str, ...] = ()
    """Columns without NULLs that batches follow; of a table's own choice where empty."""

    @property
    def tells_done(self) -> bool:
        """Whether a row shows that it is done, so that looking at it twice does no harm.

        Else the place alone says it, and a client that moves a row to another key may move it out of the way.
        """
        return self.needed != EVERY_ROW

    def mark(self, key: tuple[str, ...]) -> str:
        """By which its place is found again: another statement or another key is another job."""
        parts = (str(self.table), *key, str(self.statement(EVERY_ROW)))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the clients are owed. None is no limit."""

    batch_s: float = 0.05
    max_rate: float | None = None
    """Rows a second."""
    max_lag_s: float | None = 10.0
    max_lag_bytes: int | None = 256 * 1024 * 1024
    max_active: int | None = None
    """Sessions of others at work."""
    lock_timeout_s: float = 0.1
    patience_s: float = 600.0
    """How long the same rows are tried again while somebody holds them."""

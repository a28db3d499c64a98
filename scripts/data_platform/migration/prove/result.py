"""What a proof of a migration found: plain data, from which verdict, findings and reports are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from data_platform.model.database import Database
from data_platform.model.differences import Differences

MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
"""Table locks as the manual names them, the weakest first."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock on a relation that was there before the transaction.

    `kind` is the relation's: table, index … `since` is the statement of the transaction that took it.
    """

    relation: str
    mode: str
    kind: str
    since: int

    @property
    def strength(self) -> int:
        return MODES.index(self.mode)


@dataclass(frozen=True, kw_only=True)
class LockSpan:
    """When a lock was held: seconds from the start of the migration."""

    relation: str
    mode: str
    start: float
    end: float
    statement: int


@dataclass(frozen=True, kw_only=True)
class ServerError:
    """What the server refused a statement with. `data` is set where it is about the rows, not about the statement."""

    sqlstate: str
    message: str
    line: int | None = None
    column: int | None = None

    @property
    def data(self) -> bool:
        """Whether other rows might have passed: an integrity constraint, or a value out of range."""
        return self.sqlstate[:2] in ("22", "23")


Effect = Literal["broken", "refused", "planned again"]
"""Of an error on a client: it cannot go on; its values are refused; its prepared statement had to be made again."""


@dataclass(frozen=True, kw_only=True)
class ClientError:
    """Errors of one kind that a client met while a statement ran, or after it."""

    table: str
    client: Literal["reader", "writer"]
    action: str
    sqlstate: str
    message: str
    count: int
    statement: int | None
    effect: Effect
    passed: bool
    """Whether the same question was answered again later."""


@dataclass(frozen=True, kw_only=True)
class StatementResult:
    """One statement of the migration, and what the server and the clients had to say. `index` counts from 1."""

    index: int
    file: str
    line: int
    column: int
    sql: str
    transaction: int | None = None
    seconds: float = 0.0
    error: ServerError | None = None
    locks: tuple[Lock, ...] = ()
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    index_builds: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    """Columns for which a valid CHECK spared the scan of SET NOT NULL."""
    truncated: tuple[str, ...] = ()
    rows_changed: int = 0
    rows_read: Mapping[str, int] = field(default_factory=dict)
    """By table, of statements that share a transaction with others."""
    messages: tuple[str, ...] = ()
    """The server's own, word for word."""
    max_read_stall_s: float | None = None
    max_write_stall_s: float | None = None
    blocked_s: float = 0.0
    """The longest that a client was seen waiting for a lock while the statement's transaction was open."""
    blocked_on: str | None = None
    """The table that it asked."""
    waited_s: float = 0.0
    """How long the statement itself waited for its lock, with everybody who came later behind it."""
    wal_bytes: int = 0
    disk_bytes: int = 0
    """How much larger the database and its temporary files were at most while the statement ran."""
    attempts: int = 1
    lock_timeout_s: float = 0.0
    skipped: str | None = None
    """Why it was not run, or not as it is written."""
    depends_on_rows: ServerError | None = None
    """It ran on rows that keep to the new schema; with rows that keep to the old one alone it fails so."""

    @property
    def strongest(self) -> Lock | None:
        """The strongest lock on a table."""
        tables = [lock for lock in self.locks if lock.kind != "index"]
        return max(tables or self.locks, key=lambda lock: lock.strength, default=None)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A table with its synthetic rows. `note` says why there are fewer than wanted."""

    table: str
    rows: int
    wanted: int
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Rows or values that are nowhere any more."""

    object: str
    what: str
    some: bool = False
    """Rows that the migration itself chooses and deletes, while others stay."""


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """Up, down and up again. `differences` are the catalog's between the start and the end of up and down."""

    tried: bool = False
    reversible: bool | None = None
    differences: Differences | None = None
    lost: tuple[Lost, ...] = ()
    """By up and down together."""
    error: str | None = None
    again: str | None = None
    """What went wrong with the second up."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One statement killed in the middle and run again."""

    statement: int
    recovers: bool | None
    left_behind: tuple[str, ...] = ()
    detail: str = ""
    silent: bool = False
    """The second run reported success, and the result is not that of a run without a kill."""


@dataclass(frozen=True, kw_only=True)
class PatternFate:
    """An access pattern of the old or the new model: before which statement it works, and after which."""

    name: str
    model: Literal["old", "new"]
    works: tuple[bool, ...]
    """Before the first statement, then after each."""
    errors: Mapping[int, str] = field(default_factory=dict)

    @property
    def breaks_after(self) -> int | None:
        """The first statement after which it fails, although it worked before."""
        pairs = zip(self.works, self.works[1:], strict=False)
        return next((number for number, (before, after) in enumerate(pairs, 1) if before and not after), None)

    @property
    def works_from(self) -> int | None:
        """The statement after which it works up to the end; 0 is from the start, None never."""
        if not self.works or not self.works[-1]:
            return None
        failing = [number for number, works in enumerate(self.works) if not works]
        return failing[-1] + 1 if failing else 0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a stall would be at the rows of production: extrapolated, not measured."""

    statement: int
    relation: str
    rows: int
    seconds: float
    low: float
    high: float
    sizes: tuple[int, ...]
    """Rows that were measured."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Everything that one proof found."""

    server: str
    server_version: str
    verdict: str = "proven"
    reasons: tuple[str, ...] = ()
    statements: tuple[StatementResult, ...] = ()
    filled: tuple[Filled, ...] = ()
    schema: Database = field(default_factory=Database)
    """Before the migration."""
    seed: int = 1
    clients: int = 0
    idle_latency_s: float = 0.0
    """The longest answer to a client before the migration began."""
    client_errors: tuple[ClientError, ...] = ()
    untried: tuple[str, ...] = ()
    """What clients could not do before the migration began."""
    spans: tuple[LockSpan, ...] = ()
    latency: tuple[tuple[float, float, bool], ...] = ()
    """(start, seconds, is a writer's) of the clients' slower questions, seconds from the migration's start."""
    seconds: float = 0.0
    round_trip: RoundTrip = RoundTrip()
    lost: tuple[Lost, ...] = ()
    kills: tuple[Kill, ...] = ()
    again: str | None = None
    """What a second run of the whole migration fails with; None where it goes through."""
    patterns: tuple[PatternFate, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out or made otherwise."""
    stubs: tuple[str, ...] = ()
    declared: Mapping[str, int] = field(default_factory=dict)
    """How many rows production has, of the tables of which somebody has said so."""

    @property
    def recovers(self) -> bool | None:
        """Whether every statement that was killed could be run again; None where none was tried."""
        tried = [kill.recovers for kill in self.kills if kill.recovers is not None]
        return all(tried) if tried else None

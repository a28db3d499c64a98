"""What a proof found, as data. Nothing here touches a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from data_platform.model.database import Name
from data_platform.model.design import AccessPattern
from data_platform.model.differences import Differences
from data_platform.postgres.filling.aside import Switch
from data_platform.postgres.synthetic import Filled
from data_platform.report.document import Check, State

DEFAULT = "default"
"""The kind of probe that leaves a column out, so that its default is needed."""

Verdict = Literal["proven", "failed", "not_provable"]


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A statement of the DDL that the server did not accept."""

    object: str
    table: Name | None
    sql: str
    sqlstate: str
    message: str
    for_want_of: str | None = None
    """What had been left out before and may be what is missing."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A statement of the DDL that was not run here as it stands, and why."""

    object: str
    table: Name | None
    sql: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Aside:
    """What was switched off while rows were made and constraints and patterns tried: how many of each."""

    triggers: int = 0
    rules: int = 0
    forced: int = 0
    """Tables whose owner is subject to row-level security."""

    @property
    def row_security(self) -> bool:
        """Whether patterns ran without the row-level security that they will meet."""
        return self.forced > 0


def counted(switches: Sequence[Switch]) -> Aside:
    """How many of each kind were switched off."""
    return Aside(**Counter(switch.kind for switch in switches))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that the design promises about one object, tried.

    `warning` is what was seen beside it: no broken promise, but nothing to be left unsaid.
    """

    kind: str
    """What the object is: table, view, function, partition, trigger …"""
    object: str
    claim: str
    state: State
    detail: str
    table: Name | None = None
    """Where it stands in the spec."""
    role: str | None = None
    """As whom it was tried; None is the owner."""
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """One materialized view, refreshed while somebody read it. Times in milliseconds."""

    view: Name
    state: State
    detail: str
    concurrently: bool = False
    rows: int = 0
    query_ms: float = 0.0
    refresh_ms: float = 0.0
    stall_ms: float = 0.0
    """The longest that a read of it took meanwhile."""
    reads: int = 0
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class Scan:
    """How a plan reads one relation: rows it passed on, and rows that its filter threw away."""

    node: str
    relation: str
    index: str | None
    rows: float
    removed: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One access pattern, planned and run with several sets of real values. Times are client-side, in milliseconds."""

    pattern: AccessPattern
    error: str | None = None
    executions: int = 0
    median_ms: float = 0.0
    p95_ms: float = 0.0
    rows: float = 0.0
    """Median number of rows returned or changed."""
    scans: tuple[Scan, ...] = ()
    plan: str = ""
    """EXPLAIN (ANALYZE, BUFFERS) of the first execution."""
    reads: tuple[str, ...] = ()
    """Relations that the first execution read."""
    usable_indexes: tuple[tuple[str, str], ...] = ()
    """(table, index) for the indexes that the planner searches when sequential scans are off."""

    empty: tuple[str, ...] = ()
    """Relations that it reads and that hold no rows, so that its time says nothing."""

    @property
    def indexes(self) -> tuple[str, ...]:
        """Names of the indexes that the plans used."""
        return tuple(dict.fromkeys(scan.index for scan in self.scans if scan.index))

    @property
    def load(self) -> float | None:
        """Milliseconds of database time a second at the declared frequency; None where none is declared."""
        return (
            None
            if self.pattern.per_second is None or self.error
            else self.pattern.per_second * self.median_ms
        )

    @property
    def meets_target(self) -> bool | None:
        """None where the pattern has no target, or was quick because it had nothing to read."""
        if self.pattern.latency_ms is None or self.error:
            return None
        quick = self.median_ms <= self.pattern.latency_ms
        return None if quick and self.empty else quick


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A constraint tried with a row that breaks it, or an ON DELETE tried with rows of its own."""

    kind: str
    table: Name
    constraint: str
    state: State
    detail: str
    """What was tried and what the server said."""


@dataclass(frozen=True, kw_only=True)
class IndexUse:
    """What an index is there for. `reasons` is empty for one that nothing needed."""

    table: Name
    index: str
    bytes: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Everything that one run found."""

    server: str
    server_version: str
    seed: int
    baseline_ms: float
    """Median of an empty round trip (`SELECT 1`), measured beside the access patterns."""
    seconds: float
    verdict: Verdict
    reasons: tuple[str, ...]
    """Why the verdict is not `proven`."""
    statements: int = 0
    refused: Refused | None = None
    catalog: Differences | None = None
    filled: tuple[Filled, ...] = ()
    patterns: tuple[Measured, ...] = ()
    constraints: tuple[Probe, ...] = ()
    deletes: tuple[Probe, ...] = ()
    indexes: tuple[IndexUse, ...] = ()
    broken: str | None = None
    """What ended the run early: the stage, and what the server said."""
    checks: tuple[Check, ...] = ()
    """The Quality Checklist."""
    left_out: tuple[LeftOut, ...] = ()
    aside: Aside = Aside()
    partitions: tuple[Claim, ...] = ()
    isolation: tuple[Claim, ...] = ()
    refreshes: tuple[Refresh, ...] = ()
    triggers: tuple[Claim, ...] = ()
    grants: tuple[Claim, ...] = ()

    @property
    def claims(self) -> Mapping[str, tuple[Claim, ...]]:
        """By stage."""
        return {
            "partitions": self.partitions,
            "isolation": self.isolation,
            "triggers": self.triggers,
            "grants": self.grants,
        }

"""What files need to know besides the plan: where they go, which version is next, and what made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from data_platform.migration.formats.tree import Tree
from data_platform.migration.plan.step import Plan

Files = dict[PurePosixPath, str]
"""Texts by their paths in the project."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What each file says about its origin and its step; `sources` are pairs of a path and its SHA-256."""

    sources: tuple[tuple[str, str], ...] = ()
    command: str = ""
    """What makes the file again."""
    server_version: int | None = None
    locks: tuple[tuple[str, ...], ...] = ()
    """For each step the locks that it takes: `ACCESS EXCLUSIVE on orders`."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What the caller says about the first file where the project's tree does not, or instead of it."""

    version: str | None = None
    """Digits, instead of what follows the project's last."""
    app: str | None = None
    """Which application of a Django project."""
    now: datetime | None = None
    """For the first version of a tool that counts by time, in a project that has none."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a statement waits for a lock and runs while it holds a strong one, and how often it is tried.

    Two waits for a lock (a table, and one that its foreign key leads to) take less than deadlock_timeout, which is 1 s:
    where clients take the same locks in another order it is the migration that gives way, not they.
    """

    lock_timeout: str = "400ms"
    statement_timeout: str = "30s"
    attempts: int = 10
    pause: int = 5
    """Seconds."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a project keeps its migrations and what comes after them; without a project, the tool's own ways."""

    directory: PurePosixPath
    version: str = ""
    """Of the next migration."""
    previous: str | None = None
    """What the next migration follows: an Alembic revision, a Django migration, a change of Sqitch."""
    label: str = ""
    """Django's app, Sqitch's project, Rails' version of its migrations."""
    existing: str = ""
    """The text that new lines are put after: Sqitch's plan."""


@dataclass(frozen=True, kw_only=True)
class Detected:
    """A tool that a project uses, and what in its tree says so."""

    tool: str
    place: Place
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that `write` knows."""

    name: str
    place: Place
    header: Header = field(default_factory=Header)
    patience: Patience = field(default_factory=Patience)


Write = Callable[[Plan, Context], Files]


@dataclass(frozen=True, kw_only=True)
class Format:
    """One tool: how it writes a plan, how it is found, and what it does where there is no project yet."""

    name: str
    write: Write
    find: Callable[[Tree], Detected | None] = lambda tree: None
    default: Place
    clock: Callable[[datetime], str] | None = None
    """How a version is made of the time, where versions are times."""
    notes: tuple[str, ...] = ()
    """What the user must know or set for it to work."""


Formats = Mapping[str, Format]

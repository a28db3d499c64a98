"""A step of a migration: what is run together, what takes it back, and what is known about it.

A plan is a sequence of steps in three phases. While **expand** and **backfill** run, the old application works; after
them the new one does as well, and is deployed. **contract** takes away what only the old one needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data_platform.model.database import Name
from data_platform.sql.references import References
from data_platform.sql.text import Sql

Phase = Literal["expand", "backfill", "contract"]
PHASES: tuple[Phase, ...] = ("expand", "backfill", "contract")


@dataclass(frozen=True, kw_only=True)
class Fill:
    """Rows that get values in batches: UPDATE `table` SET `column` = `value`, … WHERE `needed`.

    With `into` the rows go to another table instead: INSERT INTO `into` (columns) SELECT values FROM `table` WHERE
    `needed` ON CONFLICT DO NOTHING.

    `needed` is a condition that a row no longer meets once it is done (of a copy: that none has), so that it can be run
    again; `key` are the columns of a unique key without NULLs that batches follow, empty where the table has none (then
    it goes by pages).
    """

    table: Name
    values: tuple[tuple[str, Sql], ...]
    needed: Sql
    key: tuple[str, ...] = ()
    into: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """Statements that belong together; each without its semicolon."""

    name: str
    """Short, for file names: letters, digits and underscores."""
    phase: Phase
    reason: str
    """Why it has this form, in a sentence or two."""
    up: tuple[Sql, ...]
    down: tuple[Sql, ...] = ()
    transaction: bool = True
    """Whether all statements are one transaction; else each commits by itself, outside any (CONCURRENTLY, batches)."""
    fill: Fill | None = None
    """What `up` fills in batches, for those who run it with `dpe migration backfill` instead."""
    lost: tuple[str, ...] = ()
    """What is gone after it and `down` cannot bring back: `public.orders.note`, a table."""
    keep: str | None = None
    """How to keep a copy of what is lost."""
    one_way: str | None = None
    """Why `down` does not take it back, where it does not."""
    again: str | None = None
    """Why running it a second time fails or does harm; None where that changes nothing."""
    blocks: str | None = None
    """Why it keeps clients waiting for as long as the table is big, where there is no other form."""
    waits: bool = False
    """It would come earlier if a name that it takes were free."""
    ends_old: bool = False
    """The old application does not work any more after it."""
    makes: References = ()
    needs: References = ()
    drops: References = ()
    frees: References = ()
    """What it makes, what must be there before it, what it drops, and what the dropped things needed."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A difference that the plan leaves: what, why, and what to try."""

    what: str
    why: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps in the order in which they run, and the differences that they leave."""

    steps: tuple[Step, ...]
    refused: tuple[Refusal, ...] = ()

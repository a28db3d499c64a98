"""What a proof is asked for: how many rows, which clients, what may be lost, and how long a stall may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from data_platform.model.database import Name
from data_platform.model.design import DataHint, Design
from data_platform.postgres.load import Script

DEFAULT_ROWS = 100_000
MOST_RUN = 1_000_000
"""More rows of one table than this are not made unless --rows says so for all: the time at more is an estimate."""
ALL_ROWS = 1_000_000
"""Of all tables together when no number was asked for."""
STALL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to prove. `rows` are those of tables that were named; more than `MOST_RUN` of them are for the estimate."""

    default_rows: int | None = None
    rows: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By the name as it was given."""
    seed: int = 1
    clients: bool = True
    long_reader_s: float = 0.0
    retries: int = 10
    stall_s: float = STALL_SECONDS
    allow_data_loss: frozenset[str] = frozenset()
    """`table` or `table.column`, qualified by its schema or not."""
    kills: bool = True
    deploy_after: int | None = None
    """The statement after which the new application is deployed everywhere: from then on its clients are at work."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """The schema before the migration, as SQL to load, and what is known of production's rows."""

    scripts: tuple[Script, ...] = ()
    what: str = "no schema"
    production: Mapping[Name, int] = field(default_factory=lambda: MappingProxyType({}))
    """Rows as the live server's statistics have them."""
    hints: Mapping[tuple[Name, str], DataHint] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    """What was left out of the migration's own files."""
    old: Design | None = None
    new: Design | None = None


def run_rows(options: Options, tables: frozenset[Name]) -> dict[Name, int]:
    """How many rows to make in each of the tables."""
    default = options.default_rows
    if default is None:
        default = min(DEFAULT_ROWS, max(1_000, ALL_ROWS // max(1, len(tables))))
    wanted = named(options, tables)
    return {name: min(MOST_RUN, wanted[name]) if name in wanted else default for name in tables}


def named(options: Options, tables: frozenset[Name]) -> dict[Name, int]:
    """The rows that the user gave, by table."""
    found = {}
    for text, count in options.rows.items():
        for name in tables:
            if text in (name.name, str(name)):
                found[name] = count
    return found


def allowed(options: Options, object_: str) -> bool:
    """Whether the user has said that these values may go: `public.orders.note`, `orders.note` or all of `orders`."""
    short = object_.removeprefix("public.")
    table = short.rpartition(".")[0]
    return any(said in (object_, short, table) for said in options.allow_data_loss)

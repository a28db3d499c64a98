"""Large designs for tests of the diagram: domains of tables with trees of foreign keys, hubs and loners."""

from __future__ import annotations

import random

from data_platform.model.database import (
    Column,
    Database,
    ForeignKey,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Table,
)
from data_platform.model.design import Design

_DOMAINS = ("billing", "catalog", "crm", "hr", "identity", "inventory", "orders", "search", "support", "tax")
_NOUNS = (
    "account",
    "batch",
    "contract",
    "document",
    "event",
    "grant",
    "item",
    "label",
    "member",
    "note",
    "profile",
)
_TYPES = ("text", "integer", "uuid", "timestamp with time zone", "numeric(12, 2)", "jsonb")


def large(count: int, seed: int = 1) -> Design:
    """A design of `count` tables, a third of them in another schema than public; the same seed gives the same."""
    dice = random.Random(seed)
    names = [_name(number) for number in range(count)]
    tables = [_table(name, names[:number], dice) for number, name in enumerate(names)]
    ordered = tuple(sorted(tables, key=lambda table: table.name))
    database = Database(schemas=("analytics",), tables=ordered)
    return Design(store="Big DB", server_version=18, database=database, rows=dict.fromkeys(names[:5], 1000))


def _name(number: int) -> Name:
    domain, rest = _DOMAINS[number % len(_DOMAINS)], number // len(_DOMAINS)
    noun, series = _NOUNS[rest % len(_NOUNS)], rest // len(_NOUNS)
    schema = "analytics" if number % len(_DOMAINS) >= 7 else "public"
    return Name(schema, f"{domain}_{noun}s" + (f"_{series}" if series else ""))


def _table(name: Name, earlier: list[Name], dice: random.Random) -> Table:
    own = [other for other in earlier if other.name.split("_")[0] == name.name.split("_")[0]]
    wanted = [dice.choice(own)] if own and dice.random() < 0.9 else []
    wanted += [dice.choice(own)] if len(own) > 2 and dice.random() < 0.4 else []
    wanted += earlier[:1] if dice.random() < 0.2 else []
    wanted += [dice.choice(earlier)] if earlier and dice.random() < 0.2 else []
    targets = list(dict.fromkeys(wanted))
    columns = [Column(name="id", type="bigint", identity="always")]
    columns += [
        Column(name=f"{target.name}_id", type="bigint", nullable=dice.random() < 0.3) for target in targets
    ]
    columns += [Column(name=f"value_{n}", type=dice.choice(_TYPES)) for n in range(dice.randrange(1, 20))]
    keys = tuple(
        ForeignKey(
            name=f"{name.name}_{target.name}_fkey",
            columns=(f"{target.name}_id",),
            target=target,
            target_columns=("id",),
            on_delete="cascade",
        )
        for target in targets
    )
    return Table(
        name=name,
        columns=tuple(columns),
        primary_key=PrimaryKey(name=f"{name.name}_pkey", columns=("id",)),
        foreign_keys=keys,
        indexes=tuple(
            Index(name=f"{key.columns[0]}_idx", elements=(IndexElement(column=key.columns[0]),))
            for key in keys
        ),
    )

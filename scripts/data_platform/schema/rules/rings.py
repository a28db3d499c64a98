"""Rules about what foreign keys make together: rings, trees and chains of deletes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from data_platform.model.database import ForeignKey, Name, Table
from data_platform.schema.rules.remedies import alter, alter_column
from data_platform.schema.rules.rule import Hit, on_key, on_table, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import identifier

_ON_DELETE = "Foreign keys with appropriate ON DELETE"
_LONGEST_CASCADE = 3


@rule(
    "foreign-key-cycle",
    "error",
    "Required keys in a ring leave no table that can be filled first.",
    _ON_DELETE,
)
def foreign_key_cycle(subject: Subject) -> Iterator[Hit]:
    names = {table.name for table in subject.tables}
    edges = {
        table.name: sorted(
            {key.target for key in table.foreign_keys if _is_required(table, key)} & names - {table.name}
        )
        for table in subject.tables
    }
    for table in subject.tables:
        ring = _ring(table.name, edges)
        if ring and table.name == min(ring):
            shown = " → ".join(str(name) for name in (*ring, table.name))
            message = (
                f"required foreign keys form a ring, so no INSERT into one table can be the first: `{shown}`"
            )
            fix = "nullable: true or deferral: initially deferred on one of these keys"
            (key, *_) = (k for k in table.foreign_keys if k.target == ring[1] and _is_required(table, k))
            deferred = f"ALTER CONSTRAINT {identifier(key.name)} DEFERRABLE INITIALLY DEFERRED"
            hit = on_table(table, message, fix, remedy=alter(table, deferred))
            # In a database that is there, somebody found a way: one statement that fills two tables.
            yield replace(hit, severity="warning") if subject.is_database else hit


def _is_required(table: Table, key: ForeignKey) -> bool:
    checked = key.enforced and key.deferral == "not deferrable"
    return checked and not any(table.column(name).nullable for name in key.columns)


def _ring(start: Name, edges: Mapping[Name, list[Name]]) -> tuple[Name, ...]:
    """The shortest way from `start` back to it; empty if there is none."""
    ways: dict[Name, tuple[Name, ...]] = dict.fromkeys(edges[start], (start,))
    waiting = list(ways)
    for name in waiting:
        if name == start:
            return ways[name]
        for following in edges[name]:
            if following not in ways:
                ways[following] = (*ways[name], name)
                waiting.append(following)
    return ()


@rule(
    "required-self-reference",
    "warning",
    "With a required reference to the same table the first row can refer to itself only.",
)
def required_self_reference(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            if key.target == table.name and key.columns != key.target_columns and _is_required(table, key):
                message = (
                    f"`({', '.join(key.columns)})` must refer to a row of the same table: no tree has a root"
                )
                loose = next(n for n in key.columns if len(key.columns) == 1 or n not in key.target_columns)
                remedy = alter_column(table, loose, "DROP NOT NULL")
                hit = on_key(table, key, message, "nullable: true", remedy)
                # Where rows are there, the roots refer to themselves.
                yield replace(hit, severity="info") if subject.is_database else hit


@rule(
    "long-cascade",
    "info",
    "One DELETE that cascades through many tables locks and removes more than its author sees.",
    _ON_DELETE,
)
def long_cascade(subject: Subject) -> Iterator[Hit]:
    children: dict[Name, list[Name]] = {table.name: [] for table in subject.tables}
    for table in subject.tables:
        for key in table.foreign_keys:
            if key.on_delete == "cascade" and key.target != table.name and key.target in children:
                children[key.target].append(table.name)
    below = {name for names in children.values() for name in names}
    chains = _chains(children)
    for table in subject.tables:
        chain = chains[table.name] if table.name not in below else ()
        if len(chain) - 1 > _LONGEST_CASCADE:
            shown = " → ".join(str(name) for name in chain)
            message = f"one DELETE here cascades through {len(chain) - 1} tables: `{shown}`"
            remedy = "ON DELETE RESTRICT on one of the foreign keys in the chain"
            yield on_table(table, message, "on_delete: restrict somewhere in the chain", remedy=remedy)


def _chains(children: Mapping[Name, list[Name]]) -> Mapping[Name, tuple[Name, ...]]:
    """The longest chain down from each table, as far as it is worth telling."""
    chains: dict[Name, tuple[Name, ...]] = {name: (name,) for name in children}
    for _ in range(2 * _LONGEST_CASCADE):
        chains = {
            name: (name, *max((chains[c] for c in below if name not in chains[c]), key=len, default=()))
            for name, below in children.items()
        }
    return chains

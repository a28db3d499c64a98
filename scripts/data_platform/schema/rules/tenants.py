"""Rules about tables that several tenants share: the tenant leads indexes, and is part of keys and references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data_platform.model.database import ForeignKey, Name, Table
from data_platform.schema.rules.cover import all_indexes
from data_platform.schema.rules.policies import functions_of, keys_of_session
from data_platform.schema.rules.remedies import create_index, partition_keys
from data_platform.schema.rules.rule import Hit, on_column, on_key, rule, words
from data_platform.schema.rules.subject import Subject

_PEOPLE = words("account author by creator created member owner person profile sender uid user")
"""Words of columns that say whose a row is among the people of one tenant."""
_MADE_UP = frozenset({"uuid"})


@rule(
    "tenant-key-not-leading",
    "warning",
    "The policy adds its comparison to every query; without an index that begins with it all rows are read.",
)
def tenant_key_not_leading(subject: Subject) -> Iterator[Hit]:
    functions = functions_of(subject)
    for table in subject.tables:
        for name in keys_of_session(subject, table, functions) if not subject.is_small(table) else ():
            if not _leads(table, name):
                message = f"the policies of `{table.name}` compare `{name}`, and no index begins with it"
                remedy = create_index(table, [name])
                yield on_column(table, name, message, f"indexes: [[{name}, …]]", remedy)


def _leads(table: Table, name: str) -> bool:
    first = (index.elements[0].column for index in all_indexes(table) if index.elements)
    return name in first or name in partition_keys(table)


def _tenants(subject: Subject) -> Mapping[Name, str]:
    """The column of each table that says whose its rows are, where policies hold tenants apart by it."""
    functions = functions_of(subject)
    found = {}
    for table in subject.tables:
        keys = [
            n for n in keys_of_session(subject, table, functions) if _PEOPLE.isdisjoint(n.lower().split("_"))
        ]
        if len(keys) == 1:
            found[table.name] = keys[0]
    return found


@rule(
    "cross-tenant-reference",
    "warning",
    "A foreign key is checked past all policies: without the tenant in it a row can refer to another tenant's.",
)
def cross_tenant_reference(subject: Subject) -> Iterator[Hit]:
    tenants = _tenants(subject)
    for table in subject.tables:
        for key in table.foreign_keys:
            own, its = tenants.get(table.name), tenants.get(key.target)
            if own is not None and its is not None and not _holds(key, own, its):
                listed = ", ".join([own, *key.columns])
                message = (
                    f"`({', '.join(key.columns)})` can refer to a row of `{key.target}` with another `{its}`"
                )
                target = f"({its}, {', '.join(key.target_columns)})"
                fix = f"foreign_keys: `({listed})` to `{target}`, which is unique there"
                remedy = f"`UNIQUE {target}` on `{key.target}`, and `FOREIGN KEY ({listed})` to it"
                yield on_key(table, key, message, fix, remedy)


def _holds(key: ForeignKey, own: str, its: str) -> bool:
    """Whether the tenant is in the key, or is what it refers to."""
    return its in key.target_columns and own in key.columns

"""Rules about tables that inherit from others."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.model.database import Table
from data_platform.schema.rules.cover import columns_in
from data_platform.schema.rules.remedies import alter
from data_platform.schema.rules.rule import Hit, on_table, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import identifiers


@rule(
    "inheritance-instead-of-partitions",
    "info",
    "No key and no foreign key reaches over tables that inherit, and queries plan for each child.",
)
def inheritance_instead_of_partitions(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        children = subject.children.get(table.name, ())
        divided = _divided_by(table, children)
        if divided:
            listed = ", ".join(f"`{name}`" for name in sorted(divided))
            message = f"{len(children)} children divide `{table.name}` by checks on {listed}"
            keys = identifiers(sorted(divided))
            fix = f"a new table, PARTITION BY LIST or RANGE `({keys})`, and the children attached to it"
            yield on_table(table, message, fix)


def _divided_by(parent: Table, children: tuple[Table, ...]) -> frozenset[str]:
    """The columns that a check of each of several children speaks of, if they have no columns of their own."""
    if len(children) < 2 or any(len(child.columns) != len(parent.columns) for child in children):
        return frozenset()
    checked = [
        frozenset(name for check in child.checks for name in columns_in(check.expression))
        for child in children
    ]
    return frozenset.intersection(*checked)


@rule(
    "inherited-without-key",
    "warning",
    "Keys are not inherited: a child can repeat its parent's rows, and no foreign key finds rows of a child.",
)
def inherited_without_key(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        parents = (subject.by_name.get(name) for name in table.inherits)
        parent = next((p for p in parents if p is not None and p.primary_key is not None), None)
        if parent is not None and parent.primary_key is not None and table.primary_key is None:
            listed = identifiers(parent.primary_key.columns)
            message = (
                f"`{table.name}` has its columns from `{parent.name}`, but not its primary key `({listed})`"
            )
            remedy = alter(table, f"ADD PRIMARY KEY ({listed})")
            yield on_table(table, message, f"primary_key: [{listed}]", remedy=remedy)

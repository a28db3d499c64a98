"""The short transaction in which the new table takes the old one's name, and the way back."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan.rebuilding import dress, partition, references
from data_platform.migration.plan.rebuilding.carry import carried, not_carried
from data_platform.migration.plan.rebuilding.numbers import numbered
from data_platform.migration.plan.rebuilding.trees import Tree, Trees
from data_platform.migration.plan.rebuilding.values import Key
from data_platform.model.database import Name
from data_platform.sql.text import Sql, identifier, qualified_name

FORTH, BACK = "carry", "carry_back"
_KINDS = {"table": "TABLE", "index": "INDEX", "statistics": "STATISTICS", "sequence": "SEQUENCE"}


def swapped(trees: Trees, key: Key | None, *, label: str = FORTH, other: str = BACK) -> tuple[Sql, ...]:
    """The new table in the old one's place. With a key, what is written from then on is carried back to the old one."""
    views = dress.views_aside(trees)
    tables = f"{qualified_name(trees.name)}, {qualified_name(trees.new.name)}"
    return (
        *views[0],
        *partition.detached(trees),
        Sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"),
        *not_carried(trees, trees.name, label),
        *dress.unpublished(trees),
        *dress.undressed(trees.old),
        *_renamed(trees.old, aside=True),
        *_renamed(trees.new, aside=False),
        *references.at_commit(trees.old.name, trees.old.table, until_commit=True),
        *references.at_commit(trees.name, trees.new.table, until_commit=False),
        *(numbered(trees) if trees.new.table.partition_of is None else partition.attached(trees)),
        *dress.dressed(trees.new),
        *(carried(trees.reversed, key, trees.name, trees.old.name, other) if key else ()),
        *dress.published_again(trees),
        *views[1],
        *dress.named_again(trees),
    )


def _renamed(tree: Tree, *, aside: bool) -> Iterator[Sql]:
    """Aside, or back to the last names. Only the side that bears the name has a sequence behind an identity."""
    for (part, last), short in tree.names.items():
        old, new = (last, short) if aside else (Name(last.schema, short), last.name)
        if aside or part != "sequence":
            yield Sql(f"ALTER {_KINDS[part]} {qualified_name(old)} RENAME TO {identifier(new)}")

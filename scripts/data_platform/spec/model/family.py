"""Tables that have their columns from others: partitions from their parent, children by INHERITS, typed tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from data_platform.model.database import Column, Name, PartitionOf, Table
from data_platform.spec.document import Path_
from data_platform.spec.model.codec import Object
from data_platform.spec.model.context import Context, near
from data_platform.spec.model.values import Reading


@dataclass(frozen=True)
class Place:
    """A table of the spec: where it stands, what it says, and which tables it has columns from."""

    path: Path_
    spec: Mapping[str, Any]
    partition_of: PartitionOf | None = None
    inherits: tuple[Name, ...] = ()

    @property
    def parents(self) -> tuple[Name, ...]:
        """The tables that must be read before this one."""
        return (self.partition_of.table,) if self.partition_of else self.inherits


def places(context: Context, specs: Mapping[str, Any]) -> dict[Name, Place]:
    """Every table by its name, partitions that stand under their parent included, parents first."""
    found: dict[Name, Place] = {}
    for key, spec in specs.items():
        path = ("tables", key)
        name = context.name(key, path)
        if name is not None:
            for each, place in _with_partitions(context, name, path, spec or {}, None):
                _declare(context, found, each, place)
    for place in found.values():
        _check_parents(context, found, place)
    return _parents_first(context, found)


def _with_partitions(
    context: Context, name: Name, path: Path_, spec: Mapping[str, Any], of: PartitionOf | None
) -> Iterator[tuple[Name, Place]]:
    reading = Reading(context)
    if "partition_of" in spec:
        of = Object(PartitionOf).read(reading, spec["partition_of"], (*path, "partition_of"))
    listed = spec.get("inherits", ())
    inherits = [
        context.name(parent, (*path, "inherits"))
        for parent in (listed if isinstance(listed, list | tuple) else [listed])
    ]
    yield name, Place(path, spec, of, tuple(parent for parent in inherits if parent))
    for key, value in spec.get("partitions", {}).items():
        at = (*path, "partitions", key)
        inner: Mapping[str, Any] = {"bound": value} if isinstance(value, str) else value
        part = context.name(key, at, name.schema)
        if part is not None:
            bound = context.text("bound", inner["bound"], (*at, "bound") if inner is value else at, None)
            yield from _with_partitions(context, part, at, inner, PartitionOf(table=name, bound=bound))


def _declare(context: Context, found: dict[Name, Place], name: Name, place: Place) -> None:
    free = context.namer(name.schema).claim(name.name)
    if not (context.type_namer(name.schema).claim(name.name) and free):
        context.error(place.path, "spec-duplicate", f"`{name}` is here twice", "rename one")
        return
    found[name] = place
    context.tables[name] = place.path


def _check_parents(context: Context, found: Mapping[Name, Place], place: Place) -> None:
    for parent in place.parents:
        if parent not in found:
            key = "partition_of" if place.partition_of else "inherits"
            fix = near(parent.name, [name.name for name in found]) or "add it under `tables:`"
            context.error((*place.path, key), "spec-unknown-table", f"no table `{parent}` in this model", fix)
        elif place.partition_of and "partition_by" not in found[parent].spec:
            message = f"`{parent}` has no `partition_by:`, so it has no partitions"
            context.error(place.path, "spec-conflict", message, f"partition_by: at `{parent}`")


def _parents_first(context: Context, found: dict[Name, Place]) -> dict[Name, Place]:
    graph = {name: [p for p in place.parents if p in found] for name, place in found.items()}
    try:
        return {name: found[name] for name in TopologicalSorter(graph).static_order()}
    except CycleError as error:
        ring = " → ".join(str(name) for name in error.args[1])
        message = f"these tables descend from each other: {ring}"
        context.error(found[error.args[1][0]].path, "spec-conflict", message, "break the ring")
        context.raise_findings()
        raise


def of_partition(parent: Table) -> tuple[Column, ...]:
    """The columns that CREATE TABLE … PARTITION OF gives: all but what PostgreSQL leaves to each table."""
    return tuple(
        replace(column, comment=None, statistics=None, options=(), inherited=False)
        for column in parent.columns
    )


def of_parents(parents: list[Table]) -> tuple[Column, ...]:
    """The columns that INHERITS gives, those of the same name merged."""
    merged: dict[str, Column] = {}
    for parent in parents:
        for column in parent.columns:
            merged.setdefault(column.name, inherited(column))
    return tuple(merged.values())


def inherited(column: Column) -> Column:
    """A parent's column as a child has it; identity, comments and statistics targets stay with the parent."""
    own_not_null = column.not_null is not None and column.not_null.no_inherit
    return replace(
        column,
        nullable=column.nullable or own_not_null,
        not_null=None if own_not_null else column.not_null,
        identity=None,
        sequence=None,
        sequence_name=None,
        comment=None,
        statistics=None,
        options=(),
        inherited=True,
    )


def merged_columns(parents: tuple[Column, ...], own: tuple[Column, ...]) -> tuple[Column, ...]:
    """A child's columns: the parents' first, each as the child has it; own ones behind.

    Where the child lists every one of its parents' columns, its own order stands.
    """
    declared = {column.name: column for column in own}
    names = [column.name for column in parents]
    if set(names) <= declared.keys():
        return own
    first = tuple(declared.get(column.name, column) for column in parents)
    return first + tuple(column for column in own if column.name not in names)

"""A partition, whose rows lie in its parent here: what it repeats of the parent is there, what it adds is lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from data_platform.model.database import Column, Constraint, Index, Table
from data_platform.schema.dialects.ledger import Place, at_column, at_constraint, at_index, at_table
from data_platform.schema.dialects.serials import counted
from data_platform.schema.dialects.tables import Named, attached
from data_platform.schema.dialects.work import Work


def omit_partition(work: Work, one: Table, parent: Table | None) -> None:
    """The partition, and with a finding each what its parent does not have: a rule that is lost is an error."""
    assert one.partition_of is not None
    message = f"the table is left out: it is a partition, and its rows lie in {one.partition_of.table}"
    work.ledger.omit(at_table(one.name), message)
    for column in one.columns:
        _column(work, one, column, _of_parent(parent, column.name))
    rules = {_as_rule(rule) for rule in parent.constraints} if parent else set()
    for constraint in one.constraints:
        if _as_rule(constraint) in rules:
            work.ledger.wrote()
        else:
            _lost(work, at_constraint(one.name, constraint.name), "constraint", integrity=True)
    indexes = {_as_index(index) for index in parent.indexes} if parent else set()
    for index in one.indexes:
        if _as_index(index) in indexes:
            work.ledger.wrote()
        else:
            _lost(work, at_index(one.name, index.name), "index", integrity=index.unique)
    for policy in one.policies:
        _lost(work, Place(f"{one.name}.{policy.name}", one.name, ("policies", policy.name)), "policy")
    parts: dict[str, Iterable[Named]] = {"triggers": one.triggers, "rules": one.rules}
    parts["statistics"] = one.statistics
    attached(work, one.name, at_table(one.name), parts, "its partition is not there")


def _lost(work: Work, place: Place, kind: str, *, integrity: bool = False) -> None:
    message = f"the {kind} is left out with its partition, and the table above does not have it"
    work.ledger.omit(place, message, integrity=integrity)


def _of_parent(parent: Table | None, name: str) -> Column | None:
    return next((column for column in parent.columns if column.name == name), None) if parent else None


def _column(work: Work, one: Table, column: Column, above: Column | None) -> None:
    """It is the parent's; what is its own of it is said."""
    place = at_column(one.name, column.name)
    if above is None:
        _lost(work, place, "column")
        return
    work.ledger.wrote()
    if above.nullable and not column.nullable:
        work.ledger.lacks(place, "NOT NULL of this partition alone is left out", integrity=True)
    if (above.default, above.generated) != (column.default, column.generated) and not _counts(column, above):
        work.ledger.lacks(place, "the default of this partition alone is left out")


def _counts(column: Column, above: Column) -> bool:
    """Whether its default is the sequence that is the identity of the parent's column."""
    name = counted(column.default) if column.default is not None else None
    return name is not None and above.sequence_name is not None and above.sequence_name.name == name


def _as_rule(constraint: Constraint) -> Any:
    """A constraint without what does not change what it refuses."""
    plain: dict[str, Any] = {"name": "", "comment": None}
    if hasattr(constraint, "options"):
        plain["options"] = ()
    return replace(constraint, **plain)


def _as_index(index: Index) -> Index:
    return replace(index, name="", comment=None, options=(), only=False)

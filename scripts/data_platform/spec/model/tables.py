"""One table without its foreign keys: columns from wherever they come, keys, indexes, and what else hangs on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from data_platform.model.database import (
    Check,
    Column,
    Composite,
    Exclusion,
    Index,
    IndexElement,
    Name,
    Partitioning,
    Policy,
    PrimaryKey,
    Table,
    Trigger,
    Type,
    Unique,
)
from data_platform.spec.model import constraints
from data_platform.spec.model.codec import Object, codec
from data_platform.spec.model.columns import read_columns, updated_at_trigger
from data_platform.spec.model.context import parse_tree
from data_platform.spec.model.family import of_parents, of_partition
from data_platform.spec.model.indexes import read_indexes
from data_platform.spec.model.objects import check_trigger
from data_platform.spec.model.scope import TableScope
from data_platform.spec.model.values import Many, Reading
from data_platform.sql.statements import column_references

_Named = TypeVar("_Named", Unique, Check, Exclusion, Index, Trigger)

PLAIN_FIELDS = (
    "comment",
    "triggers",
    "row_security",
    "policies",
    "rules",
    "statistics",
    "unlogged",
    "options",
    "replica_identity",
    "cluster_on",
    "access_method",
    "of_type",
    "foreign",
    "owner",
)
"""Fields of Table that are read by their annotation alone."""


def read_table(scope: TableScope, tables: Mapping[Name, Table], types: Mapping[Name, Type]) -> Table:
    """The table without its foreign keys; `tables` are those read before, its parents among them."""
    context = scope.context
    scope.columns = _columns(scope, tables, types)
    if (
        not scope.columns
        and scope.spec.get("columns") != {}
        and not (scope.place.parents or "of_type" in scope.spec)
    ):
        message, fix = (
            f"the table `{scope.name}` has no columns",
            "add `columns:`, or `columns: {}` if it is meant",
        )
        context.error(scope.path, "spec-empty", message, fix)
    _check_generated(scope)
    key = constraints.primary_key(scope)
    uniques, unique_indexes = constraints.uniques(scope)
    constraints.refuse_repeated_keys(scope, key, uniques)
    _refuse_nullable_keys(scope, key)
    indexes = read_indexes(context, scope.name, scope.spec.get("indexes", ()), scope.path, scope.column_names)
    table = Table(
        name=scope.name,
        columns=scope.columns,
        primary_key=key,
        uniques=_sorted(uniques),
        checks=_sorted(constraints.checks(scope)),
        exclusions=_sorted(constraints.exclusions(scope)),
        indexes=_sorted([*unique_indexes, *indexes]),
        partition_of=scope.place.partition_of,
        inherits=scope.place.inherits,
        partition_by=_partition_by(scope),
        **_plain_fields(scope),
    )
    constraints.refuse_virtual_keys(scope, table)
    return table


def _columns(
    scope: TableScope, tables: Mapping[Name, Table], types: Mapping[Name, Type]
) -> tuple[Column, ...]:
    if scope.place.partition_of and "columns" not in scope.spec:
        parent = tables.get(scope.place.partition_of.table)
        return of_partition(parent) if parent else ()
    if "of_type" in scope.spec and "columns" not in scope.spec:
        return _typed_columns(scope, types)
    above = of_parents([tables[name] for name in scope.place.inherits if name in tables])
    return read_columns(scope.context, scope.spec, scope.path, scope.rules, above)


def _typed_columns(scope: TableScope, types: Mapping[Name, Type]) -> tuple[Column, ...]:
    path = (*scope.path, "of_type")
    name = scope.context.name(scope.spec["of_type"], path)
    made = types.get(name) if name else None
    if not isinstance(made, Composite):
        message = f"`{scope.spec['of_type']}` is no composite type of this model"
        scope.context.error(path, "spec-type", message, "declare it under `types:`")
        return ()
    return tuple(
        Column(name=part.name, type=part.type, nullable=True, collation=part.collation)
        for part in made.attributes
    )


def _plain_fields(scope: TableScope) -> dict[str, Any]:
    spec = {key: value for key, value in scope.spec.items() if key in PLAIN_FIELDS}
    if isinstance(spec.get("row_security"), bool):
        spec["row_security"] = "on" if spec["row_security"] else "off"
    fields = Object(Table).fields(Reading(scope.context, scope.column_names), spec, scope.path)
    triggers: tuple[Trigger, ...] = fields.get("triggers", ())
    for trigger in triggers:
        _check_trigger(scope, trigger)
    if scope.rules.timestamps and "updated_at" in scope.column_names:
        own = updated_at_trigger(scope.context.default_schema)
        if own.name not in {trigger.name for trigger in triggers}:
            fields["triggers"] = _sorted([*triggers, own])
    for policy in fields.get("policies", ()):
        _check_policy(scope, policy)
    return fields


def _check_trigger(scope: TableScope, trigger: Trigger) -> None:
    path = (*scope.path, "triggers", trigger.name)
    check_trigger(scope.context, trigger, path)
    scope.context.known_columns(trigger.update_of, scope.column_names, (*path, "update_of"))


def _check_policy(scope: TableScope, policy: Policy) -> None:
    path = (*scope.path, "policies", policy.name)
    if policy.command == "insert" and policy.using is not None:
        message = "a policy for INSERT looks at new rows only, which is `with_check`"
        scope.context.error((*path, "using"), "spec-conflict", message, "with_check:")
    if policy.command in ("select", "delete") and policy.with_check is not None:
        message = f"a policy for {policy.command.upper()} sees no new rows"
        scope.context.error((*path, "with_check"), "spec-conflict", message, "using:")


def _partition_by(scope: TableScope) -> Partitioning | None:
    spec = scope.spec.get("partition_by")
    if spec is None:
        return None
    path = (*scope.path, "partition_by")
    if len(spec) != 1:
        scope.context.error(path, "spec-conflict", "expected one of `range`, `list` and `hash`", "keep one")
    (strategy, items), *_ = spec.items()
    reading = Reading(scope.context, scope.column_names)
    return Partitioning(
        strategy=strategy, key=Many(codec(IndexElement)).read(reading, items, (*path, strategy))
    )


def _check_generated(scope: TableScope) -> None:
    """A generated column is computed from plain columns of its own table."""
    generated = {column.name: column.generated.expression for column in scope.columns if column.generated}
    for name, expression in generated.items():
        path = (*scope.path, "columns", name, "generated")
        tree = parse_tree(expression)
        for *_, used in column_references(tree) if tree else ():
            if used in generated:
                message = f"`{used}` is generated itself; expected columns that are not"
                scope.context.error(path, "spec-conflict", message, "write out what it is generated from")
            else:
                scope.context.known_column(used, scope.column_names, path)


def _refuse_nullable_keys(scope: TableScope, key: PrimaryKey | None) -> None:
    for column in scope.columns:
        if key and column.name in key.columns and column.nullable:
            at = (*scope.path, "columns", column.name, "nullable")
            message = f"`{column.name}` is in the primary key, which is never NULL"
            scope.context.error(at, "spec-conflict", message, "remove `nullable:`")


def _sorted(items: Iterable[_Named]) -> tuple[_Named, ...]:
    return tuple(sorted(items, key=lambda item: item.name))

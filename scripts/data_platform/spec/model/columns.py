"""Columns, and the house rules that add some: keys, timestamps, soft delete, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from data_platform.model.database import Column, Function, Name, Trigger
from data_platform.model.design import DataHint
from data_platform.spec.document import Path_
from data_platform.spec.model.codec import Object
from data_platform.spec.model.context import Context
from data_platform.spec.model.family import merged_columns
from data_platform.spec.model.values import Reading

SET_UPDATED_AT = """
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
"""


@dataclass(frozen=True)
class Conventions:
    """House rules of the model, or of one table."""

    primary_key: Literal["uuid", "uuidv7", "identity", "none"] = "none"
    timestamps: bool = False
    soft_delete: bool = False
    metadata: bool = False

    def override(self, spec: Mapping[str, Any]) -> Conventions:
        """These rules with what `spec` says instead."""
        own = {key: value for key, value in spec.items() if key in self.__dict__}
        return replace(self, **own)


def read_columns(
    context: Context,
    spec: Mapping[str, Any],
    path: Path_,
    rules: Conventions,
    above: tuple[Column, ...] = (),
) -> tuple[Column, ...]:
    """The author's columns in their order, between the key and the bookkeeping columns of the house rules.

    `above` are those that a child has from the tables it inherits from; they stand first.
    """
    specs: Mapping[str, Any] = spec.get("columns", {})
    parents = {column.name: column for column in above}
    own = [_column(context, name, value, (*path, "columns", name), parents) for name, value in specs.items()]
    declared = {column.name for column in own} | parents.keys()
    has_key = "primary_key" in spec or any(
        isinstance(v, dict) and v.get("primary_key") for v in specs.values()
    )
    before = [] if has_key or "id" in declared else _key_column(context, rules, path)
    after = [column for column in _bookkeeping(rules) if column.name not in declared]
    return merged_columns(above, tuple(before + own + after))


def updated_at_function(schema: str) -> Function:
    """The trigger function behind `timestamps`."""
    return Function(
        name=Name(schema, "set_updated_at"), returns="trigger", language="plpgsql", body=SET_UPDATED_AT
    )


def updated_at_trigger(schema: str) -> Trigger:
    """Calls it before each update."""
    function = Name(schema, "set_updated_at")
    return Trigger(name="set_updated_at", timing="before", events=("update",), function=function)


def read_hint(context: Context, spec: Any, path: Path_) -> DataHint | None:
    """The column's `data:`."""
    if not isinstance(spec, dict) or "data" not in spec:
        return None
    data = spec["data"]
    values = data.get("values", ())
    weighted = values.items() if isinstance(values, dict) else [(value, 1.0) for value in values]
    for key in ("minimum", "maximum"):
        if key in data and "values" in data:
            context.error(
                (*path, "data", key), "spec-data", f"`{key}` has no meaning beside `values`", "keep one"
            )
    return DataHint(
        values=tuple((_as_text(value), float(weight)) for value, weight in weighted),
        distinct=data.get("distinct"),
        skew=float(data.get("skew", 0.0)),
        null_fraction=data.get("null_fraction"),
        minimum=_as_text(data["minimum"]) if "minimum" in data else None,
        maximum=_as_text(data["maximum"]) if "maximum" in data else None,
    )


def _column(context: Context, name: str, value: Any, path: Path_, above: Mapping[str, Column]) -> Column:
    if context.identifier(name, path) and name in _SYSTEM_COLUMNS:
        context.error(path, "spec-name", f"every table has a system column `{name}` already", "another name")
    if isinstance(value, str):
        return Column(name=name, type=context.type(value, path))
    spec: Mapping[str, Any] = value
    _refuse_contradictions(context, spec, path)
    fields = Object(Column).fields(Reading(context), spec, path)
    if "generated" in fields and not fields["generated"].stored:
        context.needs_version(18, "a virtual generated column", (*path, "generated"))
    if fields.get("inherited") and "type" not in fields:
        if name in above:
            return replace(above[name], **fields)
        message = f"no table under `inherits:` has a column `{name}`"
        context.error(path, "spec-conflict", message, "give it a `type:`, without `inherited:`")
        fields["type"] = "text"
    # Without a type it is filled in from the referenced column, or reported, once all tables are known.
    return Column(name=name, **{"type": "", **fields})


def _refuse_contradictions(context: Context, spec: Mapping[str, Any], path: Path_) -> None:
    set_by = [key for key in ("default", "identity", "generated") if key in spec]
    if len(set_by) > 1:
        message = f"`{set_by[0]}` and `{set_by[1]}` exclude each other: both say where the value comes from"
        context.error((*path, set_by[1]), "spec-conflict", message, f"keep `{set_by[0]}:` or `{set_by[1]}:`")
    if "identity" in spec and spec.get("nullable"):
        context.error(
            (*path, "nullable"), "spec-conflict", "an identity column is never NULL", "remove `nullable:`"
        )


_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def _key_column(context: Context, rules: Conventions, path: Path_) -> list[Column]:
    match rules.primary_key:
        case "uuid":
            return [Column(name="id", type="uuid", default="gen_random_uuid()")]
        case "uuidv7":
            context.needs_version(18, "uuidv7()", path)
            return [Column(name="id", type="uuid", default="uuidv7()")]
        case "identity":
            return [Column(name="id", type="bigint", identity="always")]
        case _:
            return []


def _bookkeeping(rules: Conventions) -> list[Column]:
    columns = []
    if rules.metadata:
        columns.append(Column(name="metadata", type="jsonb", default="'{}'"))
    if rules.timestamps:
        columns.append(Column(name="created_at", type="timestamptz", default="now()"))
        columns.append(Column(name="updated_at", type="timestamptz", default="now()"))
    if rules.soft_delete:
        columns.append(Column(name="deleted_at", type="timestamptz", nullable=True))
    return columns


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

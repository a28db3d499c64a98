"""Columns, and the house rules that add some: keys, timestamps, soft delete, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data_platform.model.database import Column, Function, Generated, Name, Trigger
from data_platform.model.design import DataHint
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context

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
        return Conventions(**{**self.__dict__, **spec})


def read_columns(
    context: Context, spec: Mapping[str, Any], path: Path_, rules: Conventions
) -> tuple[Column, ...]:
    """The author's columns in their order, between the key and the bookkeeping columns of the house rules."""
    specs: Mapping[str, Any] = spec.get("columns", {})
    own = [_column(context, name, value, (*path, "columns", name)) for name, value in specs.items()]
    declared = {column.name for column in own}
    has_key = "primary_key" in spec or any(
        isinstance(v, dict) and v.get("primary_key") for v in specs.values()
    )
    before = [] if has_key or "id" in declared else _key_column(context, rules, path)
    after = [column for column in _bookkeeping(rules) if column.name not in declared]
    return tuple(before + own + after)


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


def _column(context: Context, name: str, value: Any, path: Path_) -> Column:
    spec: Mapping[str, Any] = {"type": value} if isinstance(value, str) else value
    if context.identifier(name, path) and name in _SYSTEM_COLUMNS:
        context.error(path, "spec-name", f"every table has a system column `{name}` already", "another name")
    # Without one it is filled in from the referenced column, or reported, once all tables are known.
    type_ = (
        context.type(spec["type"], path if isinstance(value, str) else (*path, "type"))
        if "type" in spec
        else ""
    )
    set_by = [key for key in ("default", "identity", "generated") if key in spec]
    if len(set_by) > 1:
        message = f"`{set_by[0]}` and `{set_by[1]}` exclude each other: both say where the value comes from"
        context.error((*path, set_by[1]), "spec-conflict", message, f"keep `{set_by[0]}:` or `{set_by[1]}:`")
    if "identity" in spec and spec.get("nullable"):
        context.error(
            (*path, "nullable"), "spec-conflict", "an identity column is never NULL", "remove `nullable:`"
        )
    if "collation" in spec:
        context.identifier(spec["collation"], (*path, "collation"))
    return Column(
        name=name,
        type=type_,
        nullable=spec.get("nullable", False),
        default=context.constant(spec["default"], (*path, "default")) if "default" in spec else None,
        identity=spec.get("identity"),
        generated=_generated(context, spec, path),
        collation=spec.get("collation"),
        comment=spec.get("comment"),
    )


def _generated(context: Context, spec: Mapping[str, Any], path: Path_) -> Generated | None:
    if "generated" not in spec:
        return None
    value = spec["generated"]
    at = (*path, "generated")
    inner: Mapping[str, Any] = {"expression": value} if isinstance(value, str) else value
    stored = inner.get("stored", True)
    if not stored:
        context.needs_version(18, "a virtual generated column", at)
    # Its columns are checked by the table's reader, which knows those of the house rules too.
    return Generated(expression=context.expression(inner["expression"], at, None), stored=stored)


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

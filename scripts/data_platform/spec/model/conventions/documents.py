"""`documents` and `versions`: JSONB whose shape a CHECK holds, and documents of which every version stays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, singular
from data_platform.spec.model.conventions.hierarchy import SAFE
from data_platform.sql.text import Sql, identifier, literal, literals, type_name

_SHOWN = {"string": "text", "number": 1, "boolean": True, "array": [], "object": {}}


def documents(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """`{attributes: {required: {title: string}, optional: {weight: number}, closed: true}}`."""
    for column, shape in value.items():
        required = bool(shape.get("required"))
        draft.add_column(key, column, {"type": "jsonb", **({} if required else {"default": "'{}'"})}, path)
        _show(draft.table(key)["columns"], column, shape)
        name = f"{draft.name(key).name}_{column}_shape"
        draft.add_named(key, "checks", name, _condition(str(identifier(column)), shape), path)


def _show(columns: dict[str, Any], column: str, shape: Mapping[str, Any]) -> None:
    """Documents of the shape for synthetic rows, which no generator could guess from the condition."""
    given = columns[column]
    required, optional = shape.get("required", {}), shape.get("optional", {})
    shown = [
        json.dumps({k: _SHOWN[kind] for k, kind in keys.items()}) for keys in (required, required | optional)
    ]
    columns[column] = {"data": {"values": shown}, **({"type": given} if isinstance(given, str) else given)}


def _condition(column: str, shape: Mapping[str, Any]) -> str:
    """True or false, never NULL: a missing key would make it pass."""
    required, optional = shape.get("required", {}), shape.get("optional", {})
    parts = [f"jsonb_typeof({column}) = 'object'"]
    parts += [f"jsonb_typeof({column} -> {literal(k)}) = {literal(kind)}" for k, kind in required.items()]
    parts += [
        f"(NOT {column} ? {literal(k)} OR jsonb_typeof({column} -> {literal(k)}) = {literal(kind)})"
        for k, kind in optional.items()
    ]
    if shape.get("closed"):
        known = literals([*required, *optional])
        parts.append(f"{column} - ARRAY[{known}]::text[] = '{{}}'::jsonb")
    return f"coalesce({' AND '.join(parts)}, false)"


def versions(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """A table of versions beside the table; saving names the version that was read, so nobody overwrites anybody.

    A document comes before its first version, which is saved as the one after version 0.
    """
    own = draft.one_key(key, path)
    if own is None:
        return
    name = draft.name(key).name
    thing, type_ = singular(name), draft.type_of(key, own)
    if type_ is None:
        draft.error(path, f"the type of `{own}` is not said", f"{own}: {{type: uuid}}")
        return
    history, column = draft.beside(key, f"{thing}_versions"), f"{thing}_id"
    current = {"type": "integer", "nullable": True, "comment": "NULL until the first version is saved."}
    draft.add_column(key, "current_version", current, path)
    draft.add_table(history, _history(key, column), path)
    draft.add_listed(
        key,
        "foreign_keys",
        {
            "columns": [own, "current_version"],
            "references": {"table": history, "columns": [column, "version"]},
            "on_delete": "no action",
            "index": False,  # the primary key finds the row
        },
        path,
    )
    stay = draft.beside(key, "versions_stay")
    draft.add_function(stay, "versions_stay.sql.j2", path, values={}, settings=SAFE)
    draft.add_trigger(history, "versions_stay", stay, path, events=["update"])
    _save(draft, key, own, column, Sql(type_name(type_)), path)


def _history(key: str, column: str) -> dict[str, Any]:
    return {
        "comment": "Every version that was saved; none changes afterwards.",
        "columns": {
            column: {"references": {"table": key, "on_delete": "cascade"}},
            "version": {"type": "integer", "check": "version > 0"},
            "body": {"type": "jsonb", "check": "jsonb_typeof(body) = 'object'"},
            "saved_by": "text",
            "saved_at": {"type": "timestamptz", "default": "now()"},
        },
        "primary_key": [column, "version"],
    }


def _save(draft: Draft, key: str, own: str, column: str, type_: Sql, path: Path_) -> None:
    thing = singular(draft.name(key).name)
    values = {
        "table": draft.sql(key),
        "history": draft.sql(draft.beside(key, f"{thing}_versions")),
        "key": identifier(own),
        "column": identifier(column),
        "thing": literal(thing),
    }
    draft.add_function(
        draft.beside(key, f"save_{thing}"),
        "save_version.sql.j2",
        path,
        values=values,
        arguments=f"document {type_}, read_version integer, new_body jsonb, person text",
        returns="integer",
    )

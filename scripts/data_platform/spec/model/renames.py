"""What tables, columns, types and labels were called before, for the way from an older schema to this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from data_platform.model.database import Name
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context
from data_platform.spec.model.family import Place
from data_platform.spec.naming import parse_name
from data_platform.sql.text import NotSql

Key = TypeVar("Key")
KEY = "renamed_from"


def read_tables(context: Context, found: Mapping[Name, Place]) -> dict[Name, Name]:
    """New name → old name. An old name that is still there, or was given twice, is an error."""
    renamed: dict[Name, Name] = {}
    for name, place in found.items():
        if KEY not in place.spec:
            continue
        path = (*place.path, KEY)
        try:
            old = parse_name(str(place.spec[KEY]), name.schema)
        except NotSql as problem:
            context.error(path, "spec-name", f"`{place.spec[KEY]}`: {problem}", "name or schema.name")
            continue
        if _is_free(context, old, found.keys(), renamed.values(), path):
            renamed[name] = old
    return renamed


def read_columns(context: Context, found: Mapping[Name, Place]) -> dict[tuple[Name, str], str]:
    """(table, new name) → old name, with the same errors."""
    renamed: dict[tuple[Name, str], str] = {}
    for name, place in found.items():
        columns: Mapping[str, Any] = place.spec.get("columns") or {}
        taken: list[str] = []
        for column, spec in columns.items():
            if not isinstance(spec, dict) or KEY not in spec:
                continue
            old = str(spec[KEY])
            if _is_free(context, old, columns, taken, (*place.path, "columns", column, KEY)):
                renamed[(name, column)] = old
                taken.append(old)
    return renamed


def read_types(context: Context, specs: Mapping[str, Any], keys: Mapping[Name, str]) -> dict[Name, Name]:
    """The same of types."""
    renamed: dict[Name, Name] = {}
    for name, key in keys.items():
        if KEY not in specs[key]:
            continue
        path = ("types", key, KEY)
        try:
            old = parse_name(str(specs[key][KEY]), name.schema)
        except NotSql as problem:
            context.error(path, "spec-name", f"`{specs[key][KEY]}`: {problem}", "name or schema.name")
            continue
        if _is_free(context, old, keys, renamed.values(), path):
            renamed[name] = old
    return renamed


def read_labels(
    context: Context, specs: Mapping[str, Any], keys: Mapping[Name, str]
) -> dict[tuple[Name, str], str]:
    """(enum, new label) → old label, of `renamed_labels:`; the new one must be one of the enum's."""
    renamed: dict[tuple[Name, str], str] = {}
    for name, key in keys.items():
        labels: list[str] = specs[key].get("enum") or []
        taken: list[str] = []
        for new, old in (specs[key].get("renamed_labels") or {}).items():
            path = ("types", key, "renamed_labels", new)
            if new not in labels:
                context.error(path, "spec-renamed", f"`{new}` is no label of `{name}`", ", ".join(labels))
            elif _is_free(context, old, labels, taken, path):
                renamed[(name, new)] = old
                taken.append(old)
    return renamed


def _is_free(context: Context, old: Key, there: Any, taken: Any, path: Path_) -> bool:
    if old in there:
        context.error(
            path, "spec-renamed", f"`{old}` is still there, so nothing was renamed from it", "remove it"
        )
        return False
    if old in taken:
        context.error(path, "spec-renamed", f"something else was renamed from `{old}`, too", "keep one")
        return False
    return True

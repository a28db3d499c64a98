"""`restore`: deleting marks a row and its living children with one instant; restoring brings back those and no others.

A second reference, between the living only, refuses a living child of a deleted row. It is checked at the end of the
transaction: asked before the first one has deleted the children, it would refuse that a parent is deleted for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, singular
from data_platform.sql.text import Sql, identifier, type_name

_LIVING = "The key while the row lives, NULL once it is deleted: what living rows refer to."
_PURGE = "For the purge of what was deleted long ago."


def expand(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """The functions delete_… and restore_… of one table with soft delete."""
    if path[0] == "conventions" and len(draft.primary_key(key)) != 1:
        return  # what is said for all tables holds for those that it can hold for
    own = draft.one_key(key, path)
    if own is None:
        return
    if not _is_soft_deleted(draft, key):
        draft.error(path, "rows that are not marked as deleted cannot be restored", "soft_delete: true")
        return
    type_ = draft.type_of(key, own)
    if type_ is None:
        draft.error(path, f"the type of `{own}` is not said", f"{own}: {{type: uuid}}")
        return
    children = list(_children(draft, key))
    if children:
        _living(draft, key, own, type_, path)
    for child, column in children:
        _living_child(draft, child, column, key, type_, path)
    _functions(draft, key, own, Sql(type_name(type_)), children, path)
    deleted = {"columns": ["deleted_at"], "where": "deleted_at IS NOT NULL", "comment": _PURGE}
    draft.add_listed(key, "indexes", deleted, path)


def _is_soft_deleted(draft: Draft, key: str) -> bool:
    return bool({**draft.rules, **draft.seen(key).get("conventions", {})}.get("soft_delete"))


def _children(draft: Draft, key: str) -> Iterator[tuple[str, str]]:
    """Tables with soft delete that go with a row of `key`, and their column that refers to it."""
    for other in draft.data["tables"]:
        if other == key or not _is_soft_deleted(draft, other):
            continue
        for column, value in draft.seen(other).get("columns", {}).items():
            reference = value.get("references", {}) if isinstance(value, dict) else {}
            goes_with = reference.get("on_delete") == "cascade" and "column" not in reference
            if goes_with and draft.name(reference["table"]) == draft.name(key):
                yield other, column


def _living(draft: Draft, key: str, own: str, type_: str, path: Path_) -> None:
    generated = f"CASE WHEN deleted_at IS NULL THEN {identifier(own)} END"
    spec = {"type": type_, "nullable": True, "generated": generated, "comment": _LIVING}
    if draft.add_column(key, f"living_{own}", spec, path):
        draft.write_key(key)
        unique = {"columns": [f"living_{own}"], "include_deleted": True}
        draft.add_listed(key, "unique", unique, path)


def _living_child(draft: Draft, child: str, column: str, key: str, type_: str, path: Path_) -> None:
    own = draft.primary_key(key)[0]
    generated = f"CASE WHEN deleted_at IS NULL THEN {identifier(column)} END"
    reference = {
        "table": key,
        "column": f"living_{own}",
        "on_delete": "no action",
        "deferral": "initially deferred",
    }
    spec = {"type": type_, "nullable": True, "generated": generated, "references": reference}
    draft.add_column(child, f"living_{column}", spec, path)


def _functions(
    draft: Draft, key: str, own: str, type_: Sql, children: list[tuple[str, str]], path: Path_
) -> None:
    thing = singular(draft.name(key).name)
    values = {
        "table": draft.sql(key),
        "key": identifier(own),
        "children": [(draft.sql(child), identifier(column)) for child, column in children],
    }
    for verb in ("delete", "restore"):
        draft.add_function(
            draft.beside(key, f"{verb}_{thing}"),
            f"{verb}_row.sql.j2",
            path,
            values=values,
            arguments=f"which {type_}",
            returns="boolean",
        )

"""`many_to_many`, `tags`, `polymorphic`: pairs whose key is the pair, and references of which exactly one is filled."""

from __future__ import annotations

from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, listed, singular
from data_platform.sql.text import identifier, identifiers

_TAG_NAME = "name = lower(btrim(name)) AND name <> ''"


def many_to_many(draft: Draft, value: Any, path: Path_) -> None:
    """`{orders: [tags, products]}`: the tables order_tags and order_products."""
    for left, targets in value.items():
        for right in listed(targets):
            one, other = draft.key_of(left, (*path, left)), draft.key_of(right, (*path, left))
            if one and other:
                _pairs(draft, one, other, (*path, left))


def tags(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """Tags as rows with a name, or as words in a list."""
    if value == "list":
        draft.add_column(key, "tags", {"type": "text[]", "default": "'{}'"}, path)
        tagged = {"columns": ["tags"], "using": "gin", "comment": "For rows with a tag: tags @> …"}
        draft.add_listed(key, "indexes", tagged, path)
        return
    tag = draft.beside(key, "tags")
    columns = {
        "id": {"type": "bigint", "identity": "always", "primary_key": True},
        "name": {"type": "text", "unique": True, "check": _TAG_NAME},
        "created_at": {"type": "timestamptz", "default": "now()"},
    }
    draft.add_table(tag, {"comment": "Words that rows are tagged with.", "columns": columns}, path)
    _pairs(draft, key, tag, path)


def polymorphic(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """`{owner: [customers, vendors]}`: a reference to each, exactly one of them filled."""
    for role, targets in value.items():
        columns = []
        for target in targets:
            found = draft.key_of(target, (*path, role))
            if found is None:
                continue
            column = f"{singular(draft.name(found).name)}_id"
            reference = {"table": found, "on_delete": "cascade"}
            draft.add_column(key, column, {"nullable": True, "references": reference}, path)
            where = f"{identifier(column)} IS NOT NULL"
            draft.add_listed(key, "indexes", {"columns": [column], "where": where}, path)
            columns.append(column)
        name = f"{draft.name(key).name}_one_{role}"
        if columns:
            draft.add_named(key, "checks", name, f"num_nonnulls({identifiers(columns)}) = 1", path)


def _pairs(draft: Draft, left: str, right: str, path: Path_) -> None:
    one, other = singular(draft.name(left).name), singular(draft.name(right).name)
    columns = [f"{one}_id", f"{other}_id"] if one != other else [f"{one}_id", f"other_{one}_id"]
    draft.add_table(
        draft.beside(left, f"{one}_{draft.name(right).name}"),
        {
            "comment": f"Which {draft.name(right).name} belong to which {draft.name(left).name}.",
            "columns": {
                column: {"references": {"table": table, "on_delete": "cascade"}}
                for column, table in zip(columns, (left, right), strict=True)
            },
            "primary_key": columns,
            "indexes": [list(reversed(columns))],
        },
        path,
    )

"""`hierarchy`: rows that contain rows of the same kind, as adjacency, path (ltree) or closure table."""

from __future__ import annotations

from typing import Any

from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, singular
from data_platform.sql.text import Sql, identifier, literal

_MOVED = "NEW.{parent} IS DISTINCT FROM OLD.{parent}"


def expand(draft: Draft, key: str, value: Any, path: Path_) -> None:
    """One table's hierarchy."""
    spec = value if isinstance(value, dict) else {"form": value}
    if spec["form"] in ("path", "ltree"):
        _path(draft, key, spec.get("column", "path"), path)
        return
    own = draft.one_key(key, path)
    if own is None:
        return
    parent = spec.get("parent", "parent_id")
    reference = {"table": key, "on_delete": "restrict"}
    draft.add_column(key, parent, {"nullable": True, "references": reference}, path)
    values = _values(draft, key, own, parent)
    if spec["form"] == "adjacency":
        _adjacency(draft, key, parent, values, path)
    else:
        _closure(draft, key, parent, values, path)


def _values(draft: Draft, key: str, own: str, parent: str) -> dict[str, Any]:
    table = draft.sql(key)
    return {
        "table": table,
        "lock": literal(f"hierarchy of {table}"),
        "key": identifier(own),
        "parent": identifier(parent),
    }


def _adjacency(draft: Draft, key: str, parent: str, values: dict[str, Any], path: Path_) -> None:
    name = draft.name(key).name
    function = draft.beside(key, f"{name}_no_circle")
    distinct = f"{identifier(parent)} <> {values['key']}"
    draft.add_named(key, "checks", f"{name}_{parent}_other", distinct, path)
    draft.add_function(function, "no_circle.sql.j2", path, values=values, settings=SAFE)
    draft.add_trigger(
        key,
        f"{name}_no_circle",
        function,
        path,
        update_of=[parent],
        when=f"NEW.{identifier(parent)} IS NOT NULL",
    )


def _path(draft: Draft, key: str, column: str, path: Path_) -> None:
    draft.require_extension("ltree")
    shown = identifier(column)
    parent = f"CASE WHEN nlevel({shown}) > 1 THEN subpath({shown}, 0, -1) END"
    draft.add_column(key, column, {"type": "ltree", "check": f"nlevel({shown}) > 0"}, path)
    draft.add_listed(key, "unique", {"columns": [column], "include_deleted": True}, path)
    above = {"type": "ltree", "nullable": True, "generated": parent}
    above["references"] = {"table": key, "column": column, "on_delete": "no action"}
    draft.add_column(key, f"parent_{column}", above, path)
    below = {"columns": [column], "using": "gist", "comment": "For what is below a row: path <@ …"}
    draft.add_listed(key, "indexes", below, path)


def _closure(draft: Draft, key: str, parent: str, values: dict[str, Any], path: Path_) -> None:
    name = draft.name(key).name
    tree = draft.beside(key, f"{singular(name)}_tree")
    ends = {
        end: {"references": {"table": key, "on_delete": "cascade"}}
        for end in ("ancestor_id", "descendant_id")
    }
    draft.add_table(
        tree,
        {
            "comment": f"Each row of {name} with every row above it, itself included; kept by a trigger.",
            "columns": {**ends, "depth": {"type": "integer", "check": "depth >= 0"}},
            "primary_key": ["ancestor_id", "descendant_id"],
            "indexes": [["descendant_id", "depth"]],
        },
        path,
    )
    tenant = draft.tenant_column(key)
    more = {"tree": draft.sql(tree), "tenant": identifier(tenant) if tenant else Sql("")}
    function = draft.beside(key, f"{name}_keep_tree")
    draft.add_function(
        function, "keep_tree.sql.j2", path, values={**values, **more}, settings=SAFE, security_definer=True
    )
    moved = _MOVED.format(parent=identifier(parent))
    draft.add_trigger(key, f"{name}_keep_tree_insert", function, path, timing="after", events=["insert"])
    draft.add_trigger(
        key,
        f"{name}_keep_tree_move",
        function,
        path,
        timing="after",
        events=["update"],
        update_of=[parent],
        when=moved,
    )


SAFE = {"search_path": "pg_catalog, pg_temp"}
"""Functions find nothing by the caller's search_path."""

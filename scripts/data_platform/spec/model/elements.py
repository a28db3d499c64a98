"""Keys of indexes, partitionings, exclusions and statistics: a column, or an expression with what goes with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from data_platform.model.database import IndexElement, Options
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context
from data_platform.spec.model.scalars import natural


def read_element(
    context: Context, item: Any, path: Path_, columns: Collection[str] | None, method: str = "btree"
) -> IndexElement:
    """One key from a column's name or a mapping; `columns` None where they are not known."""
    spec: Mapping[str, Any] = {"column": item} if isinstance(item, str) else item
    given = [key for key in ("column", "expression") if key in spec]
    if len(given) != 1:
        message = "expected exactly one of `column` and `expression`"
        context.error(path, "spec-index-key", message, "keep one")
        return IndexElement(column=next(iter(columns or ()), ""))
    column = spec.get("column")
    if column is not None and columns is not None and not _known(context, column, path, columns):
        return IndexElement(column=column)
    if method in _UNORDERED and ("order" in spec or "nulls" in spec):
        message = f"an index of method {method} has no order"
        context.error(path, "spec-conflict", message, "remove `order:` and `nulls:`")
    descending = spec.get("order") == "desc"
    return IndexElement(
        column=column,
        expression=_text(context, "expression", spec, path, columns),
        collation=_text(context, "collation", spec, path, columns),
        opclass=_text(context, "dotted", spec, path, columns, key="opclass"),
        opclass_options=read_options(spec.get("opclass_options", {})),
        descending=descending,
        nulls_first=spec.get("nulls", "first" if descending else "last") == "first",
    )


def write_element(element: IndexElement) -> Any:
    """What `read_element` reads: a column's name where that says it all."""
    spec: dict[str, Any] = {}
    for key in ("column", "collation", "opclass"):
        if (value := getattr(element, key)) is not None:
            spec[key] = value
    if element.expression is not None:
        spec = {"expression": natural(element.expression), **spec}
    if element.opclass_options:
        spec["opclass_options"] = write_options(element.opclass_options)
    if element.descending:
        spec["order"] = "desc"
    if element.nulls_first != element.descending:
        spec["nulls"] = "first" if element.nulls_first else "last"
    return element.column if list(spec) == ["column"] else spec


def read_options(spec: Mapping[str, Any]) -> Options:
    """Parameters as the model holds them: text, sorted by name; a truth is `on` or `off`."""
    return tuple(sorted((key, option_text(value)) for key, value in spec.items()))


def write_options(options: Options) -> dict[str, Any]:
    """What `read_options` reads."""
    return {key: natural(value, option_text) for key, value in options}


def option_text(value: Any) -> str:
    """One parameter's value as text."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


_UNORDERED = frozenset({"hash", "gin", "gist", "spgist", "brin", "hnsw", "ivfflat", "bloom"})


def _text(
    context: Context,
    kind: str,
    spec: Mapping[str, Any],
    path: Path_,
    columns: Collection[str] | None,
    key: str | None = None,
) -> str | None:
    key = key or kind
    return context.text(kind, spec[key], (*path, key), columns) if key in spec else None


def _known(context: Context, column: str, path: Path_, columns: Collection[str]) -> bool:
    words = column.split()
    if column not in columns and len(words) == 2 and words[1].lower() in ("asc", "desc"):
        message = f"no column `{column}`; an order is written as its own key"
        fix = f"{{column: {words[0]}, order: {words[1].lower()}}}"
        context.error(path, "spec-unknown-column", message, fix)
        return False
    return context.known_column(column, columns, path)

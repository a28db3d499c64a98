"""Indexes of tables and materialized views."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from data_platform.model.database import Index, Name
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context, near
from data_platform.spec.model.elements import read_element, read_options, write_element, write_options
from data_platform.spec.model.scalars import natural
from data_platform.spec.naming import shorten

METHODS = ("btree", "hash", "gin", "gist", "spgist", "brin", "hnsw", "ivfflat", "bloom")
"""PostgreSQL's own index methods, and those of the common extensions."""


def claim_index_names(context: Context, table: Name, items: Iterable[Any], path: Path_) -> None:
    """Take the names that the author gave, before any are invented."""
    for number, item in enumerate(items):
        if isinstance(item, dict) and "name" in item:
            at = (*path, "indexes", str(number), "name")
            if context.identifier(item["name"], at) and not context.namer(table.schema).claim(item["name"]):
                context.error(at, "spec-duplicate", f"the name `{item['name']}` is taken", "rename one")


def read_indexes(
    context: Context, table: Name, items: Iterable[Any], path: Path_, columns: Collection[str] | None
) -> tuple[Index, ...]:
    """The entries of `indexes:` at `path`, sorted by name; `columns` None where they are not known."""
    made = [
        read_index(context, table, item, (*path, "indexes", str(number)), columns)
        for number, item in enumerate(items)
    ]
    for number, index in enumerate(made):
        # Findings know the index by its name; the spec lists it by its number.
        mark = context.document.mark((*path, "indexes", str(number)))
        context.marks[(*path, "indexes", index.name)] = mark
    return tuple(sorted(made, key=lambda index: index.name))


def read_index(
    context: Context, table: Name, item: Any, path: Path_, columns: Collection[str] | None
) -> Index:
    """One index, from a list of its keys or a mapping."""
    spec: Mapping[str, Any] = item if isinstance(item, dict) else {"columns": item}
    method = spec.get("using", "btree")
    _check_method(context, method, path)
    at = (*path, "columns") if isinstance(item, dict) else path
    elements = tuple(
        read_element(context, key, (*at, str(number)), columns, method)
        for number, key in enumerate(spec["columns"])
    )
    include = tuple(spec.get("include", ()))
    if columns is not None:
        context.known_columns(include, columns, (*path, "include"))
    if spec.get("nulls_not_distinct"):
        context.needs_version(15, "NULLS NOT DISTINCT", path)
    name = spec.get("name") or context.namer(table.schema).invent(
        table.name, *(element.column or "expr" for element in elements), "idx"
    )
    where = context.expression(spec["where"], (*path, "where"), columns) if "where" in spec else None
    return Index(
        name=name,
        elements=elements,
        method=method,
        unique=spec.get("unique", False),
        nulls_not_distinct=spec.get("nulls_not_distinct", False),
        include=include,
        where=where,
        options=read_options(spec.get("with", {})),
        only=spec.get("only", False),
        statistics=tuple(sorted((int(key), target) for key, target in spec.get("statistics", {}).items())),
        comment=spec.get("comment"),
    )


def write_index(table: Name, index: Index) -> Any:
    """What `read_index` reads: a list of columns where that says it all."""
    invented = shorten(
        "_".join([table.name, *(element.column or "expr" for element in index.elements), "idx"])
    )
    spec: dict[str, Any] = {} if index.name == invented else {"name": index.name}
    spec["columns"] = [write_element(element) for element in index.elements]
    if index.method != "btree":
        spec["using"] = index.method
    spec |= {key: True for key in ("unique", "nulls_not_distinct", "only") if getattr(index, key)}
    if index.include:
        spec["include"] = list(index.include)
    if index.where is not None:
        spec["where"] = natural(index.where)
    if index.options:
        spec["with"] = write_options(index.options)
    if index.statistics:
        spec["statistics"] = {str(number): target for number, target in index.statistics}
    if index.comment is not None:
        spec["comment"] = index.comment
    return spec["columns"] if list(spec) == ["columns"] else spec


def _check_method(context: Context, method: str, path: Path_) -> None:
    if method in ("hnsw", "ivfflat") and "vector" not in context.extensions:
        message = f"the index method {method} comes with the extension vector, which the spec does not list"
        context.error((*path, "using"), "spec-extension", message, "extensions: [vector]")
    elif method not in METHODS and not (context.has_unknown_extensions or context.has_raw):
        message = f"`using` is {method}; expected one of {', '.join(METHODS)}"
        context.error((*path, "using"), "spec-not-a-choice", message, near(method, METHODS) or "btree")

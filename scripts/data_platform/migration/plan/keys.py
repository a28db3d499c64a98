"""The key by which a table is gone through in batches."""

from __future__ import annotations

from data_platform.model.database import Table


def batch_key(table: Table) -> tuple[str, ...]:
    """The columns of its primary key, else of a unique key without NULLs; empty where there is none."""
    keys = [table.primary_key.columns] if table.primary_key else []
    keys += [unique.columns for unique in table.uniques if not unique.without_overlaps]
    keys += [
        tuple(element.column or "" for element in index.elements)
        for index in table.indexes
        if index.unique and index.where is None and index.method == "btree"
    ]
    optional = {column.name for column in table.columns if column.nullable}
    return next((key for key in keys if all(key) and optional.isdisjoint(key)), ())

"""Tables as a model spec has them: keys, checks and references at their column where that says it all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from data_platform.model.database import (
    Check,
    Column,
    Exclusion,
    ForeignKey,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.model.design import DataHint, Design
from data_platform.spec.emit import Block
from data_platform.spec.model.codec import Object, Part, parts
from data_platform.spec.model.elements import write_element
from data_platform.spec.model.family import merged_columns, of_parents, of_partition
from data_platform.spec.model.indexes import write_index
from data_platform.spec.model.references import served
from data_platform.spec.model.scalars import natural
from data_platform.spec.model.tables import PLAIN_FIELDS
from data_platform.spec.model.values import Text
from data_platform.spec.naming import name_text, shorten

_PARTS: Mapping[str, Part] = {part.name: part for part in parts(Table)}
_COLUMN_PARTS = tuple(part for part in parts(Column) if part.name != "name")
_BEHIND = ("triggers", "policies", "rules", "statistics")
"""What stands at the end of a table."""


def write_tables(design: Design) -> dict[str, Any]:
    """The section `tables:`; partitions stand under their parents."""
    tables = {table.name: table for table in design.database.tables}
    partitions: dict[Name, list[Table]] = {}
    for table in sorted(design.database.tables, key=lambda table: table.name):
        if table.partition_of is not None:
            partitions.setdefault(table.partition_of.table, []).append(table)
    writer = _Writer(design, tables, partitions)
    return {
        name_text(table.name, design.default_schema): Block(writer.table(table))
        for table in design.database.tables
        if not writer.stands_under_parent(table)
    }


@dataclass(frozen=True)
class _Writer:
    design: Design
    tables: Mapping[Name, Table]
    partitions: Mapping[Name, list[Table]]

    @property
    def schema(self) -> str:
        return self.design.default_schema

    def stands_under_parent(self, table: Table) -> bool:
        return table.partition_of is not None and table.partition_of.table in self.tables

    def table(self, table: Table) -> Iterator[tuple[str, Any]]:
        """The keys of one table, in a fixed order."""
        at_column = _AtColumn(table, self)
        yield from self._plain(table, ("comment", "owner"))
        if table.name in self.design.rows:
            yield "rows", self.design.rows[table.name]
        if self._is_soft_deleted(table):
            yield "conventions", {"soft_delete": True}
        if table.inherits:
            yield "inherits", [name_text(name, self.schema) for name in table.inherits]
        yield from self._plain(table, ("of_type", "foreign", "unlogged", "access_method"))
        if table.partition_of is not None and not self.stands_under_parent(table):
            yield "partition_of", Object(type(table.partition_of)).spec(table.partition_of, self.schema)
        yield from self._columns(table, at_column)
        yield from self._constraints(table, at_column)
        if table.indexes:
            yield "indexes", [write_index(table.name, index) for index in table.indexes]
        if table.partition_by is not None:
            key = [write_element(element) for element in table.partition_by.key]
            yield "partition_by", {table.partition_by.strategy: key}
        rest = [name for name in PLAIN_FIELDS if name not in _WRITTEN_BEFORE and name not in _BEHIND]
        yield from self._plain(table, (*rest, *_BEHIND))
        yield from self._partitions(table)

    def _plain(self, table: Table, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name in names:
            value = getattr(table, name)
            if value != _PARTS[name].default:
                yield name, _PARTS[name].codec.write(value, self.schema)

    def _is_soft_deleted(self, table: Table) -> bool:
        return table.name in self.design.soft_deleted and any(c.name == "deleted_at" for c in table.columns)

    def _columns(self, table: Table, at_column: _AtColumn) -> Iterator[tuple[str, Any]]:
        own = dict(self._own_columns(table, at_column))
        if table.partition_of is not None and table.partition_of.table in self.tables:
            parent = self.tables[table.partition_of.table]
            if table.columns == of_partition(parent) and not at_column.used and not self._has_hints(table):
                return
        if own or not (table.inherits and table.columns):
            yield "columns", Block(own) if own else {}

    def _has_hints(self, table: Table) -> bool:
        return any(name == table.name for name, _ in self.design.hints)

    def _own_columns(self, table: Table, at_column: _AtColumn) -> Iterator[tuple[str, Any]]:
        above = {
            column.name: column
            for column in of_parents([self.tables[name] for name in table.inherits if name in self.tables])
        }
        declared = tuple(
            column
            for column in table.columns
            if column != above.get(column.name) or column.name in at_column.used
        )
        everything = merged_columns(tuple(above.values()), declared) != table.columns
        for column in table.columns if everything else declared:
            parent = None if everything else above.get(column.name)
            yield column.name, self._column(table, column, at_column, parent)

    def _column(self, table: Table, column: Column, at_column: _AtColumn, parent: Column | None) -> Any:
        spec = self._column_fields(column, parent)
        spec |= at_column.keys.get(column.name, {})
        if (hint := self.design.hints.get((table.name, column.name))) is not None:
            spec["data"] = _hint(hint)
        return spec["type"] if list(spec) == ["type"] else spec

    def _column_fields(self, column: Column, parent: Column | None) -> dict[str, Any]:
        if parent is not None and column.inherited:
            if column == parent:
                return {"inherited": True}
            if column.default is not None and replace(column, default=parent.default) == parent:
                return {"inherited": True, "default": Text("constant").write(column.default, self.schema)}
        return {
            part.name: part.codec.write(value, self.schema)
            for part in _COLUMN_PARTS
            if (value := getattr(column, part.name)) != part.default or part.required
        }

    def _constraints(self, table: Table, at_column: _AtColumn) -> Iterator[tuple[str, Any]]:
        key = table.primary_key
        if key is not None and key not in at_column.done:
            spec = self._key(key, "columns", _invented(table, "pkey"))
            yield "primary_key", spec["columns"] if list(spec) == ["columns"] else spec
        if uniques := [self._unique(table, key) for key in table.uniques if key not in at_column.done]:
            yield "unique", uniques
        if checks := [check for check in table.checks if check not in at_column.done]:
            yield "checks", {check.name: Object(Check).write(check, self.schema) for check in checks}
        if table.exclusions:
            yield "exclude", [self._exclusion(table, part) for part in table.exclusions]
        if keys := [self._foreign_key(table, k) for k in table.foreign_keys if k not in at_column.done]:
            yield "foreign_keys", keys

    def _key(self, key: PrimaryKey | Unique, first: str, invented: str) -> dict[str, Any]:
        spec = Object(type(key)).spec(key, self.schema)
        name = spec.pop("name")
        columns = {first: spec.pop(first)}
        return columns | ({"name": name} if name != invented else {}) | spec

    def _unique(self, table: Table, key: Unique) -> Any:
        spec = self._key(key, "columns", _invented(table, *key.columns, "key"))
        if self._is_soft_deleted(table) and key.deferral == "not deferrable":
            spec["include_deleted"] = True
        return spec["columns"] if list(spec) == ["columns"] else spec

    def _exclusion(self, table: Table, exclusion: Exclusion) -> dict[str, Any]:
        columns = [part.element.column or "expr" for part in exclusion.elements]
        spec = Object(Exclusion).spec(replace(exclusion, elements=()), self.schema)
        spec |= {"elements": [_exclusion_element(part) for part in exclusion.elements]}
        spec["using"] = spec.pop("method")
        if spec["using"] == "gist":
            del spec["using"]
        if spec["name"] == _invented(table, *columns, "excl"):
            del spec["name"]
        return spec

    def _foreign_key(self, table: Table, key: ForeignKey) -> dict[str, Any]:
        spec = self.reference(table, key)
        target = spec.pop("table")
        columns = list(key.target_columns)
        primary = self.tables[key.target].primary_key if key.target in self.tables else None
        if primary is None or primary.columns != key.target_columns:
            target = {"table": target, "columns": columns}
        return {"columns": list(key.columns), "references": target, **spec}

    def reference(self, table: Table, key: ForeignKey) -> dict[str, Any]:
        """What a foreign key says beside its columns, at a column or in the list."""
        spec = Object(ForeignKey).spec(key, self.schema)
        found: dict[str, Any] = {"table": spec.pop("target"), "on_delete": key.on_delete}
        if spec.pop("name") != _invented(table, *key.columns, "fkey"):
            found["name"] = key.name
        if spec.pop("match_full", False):
            found["match"] = "full"
        found |= {k: v for k, v in spec.items() if k not in ("columns", "target_columns", "on_delete")}
        return found if served(table, table.indexes, key.columns) else found | {"index": False}

    def _partitions(self, table: Table) -> Iterator[tuple[str, Any]]:
        found = {}
        for part in self.partitions.get(table.name, ()):
            assert part.partition_of is not None
            bound = part.partition_of.bound.removeprefix("FOR VALUES ")
            spec = {"bound": "default" if bound == "DEFAULT" else bound, **dict(self.table(part))}
            key = name_text(part.name, table.name.schema)
            found[key] = spec["bound"] if list(spec) == ["bound"] else spec
        if found:
            yield "partitions", Block(found)


class _AtColumn:
    """The constraints that stand at their column: of it alone, under the name that the reader invents."""

    def __init__(self, table: Table, writer: _Writer) -> None:
        self.keys: dict[str, dict[str, Any]] = {}
        self.done: set[PrimaryKey | Unique | Check | ForeignKey] = set()
        self.table, self.writer = table, writer
        if table.partition_of is not None:
            return  # so that its columns may be left out
        key = table.primary_key
        if key is not None and self._is_plain(
            PrimaryKey(name=_invented(table, "pkey"), columns=key.columns), key
        ):
            self._take(key.columns[0], "primary_key", True, key)
        for unique in () if writer._is_soft_deleted(table) else table.uniques:
            plain = Unique(name=_invented(table, *unique.columns, "key"), columns=unique.columns)
            if self._is_plain(plain, unique):
                self._take(unique.columns[0], "unique", True, unique)
        self._take_checks()
        for reference in table.foreign_keys:
            if len(reference.columns) == 1 and not (
                reference.set_columns or reference.match_full or reference.period
            ):
                self._take(reference.columns[0], "references", self._reference(reference), reference)

    @property
    def used(self) -> set[str]:
        """The columns at which something stands."""
        return set(self.keys)

    def _is_plain(self, plain: PrimaryKey | Unique, key: PrimaryKey | Unique) -> bool:
        return len(key.columns) == 1 and plain == key

    def _take(
        self, column: str, name: str, value: Any, part: PrimaryKey | Unique | Check | ForeignKey
    ) -> None:
        at = self.keys.setdefault(column, {})
        if name not in at:
            at[name] = value
            self.done.add(part)

    def _take_checks(self) -> None:
        by_name = {_invented(self.table, column.name, "check"): column.name for column in self.table.columns}
        for check in self.table.checks:
            plain = Check(name=check.name, expression=check.expression)
            if check.name in by_name and check == plain:
                expression = Text("expression").write(check.expression, self.writer.schema)
                self._take(by_name[check.name], "check", expression, check)

    def _reference(self, key: ForeignKey) -> dict[str, Any]:
        spec = self.writer.reference(self.table, key)
        target = self.writer.tables.get(key.target)
        if target is None or target.primary_key is None or target.primary_key.columns != key.target_columns:
            return {"table": spec.pop("table"), "column": key.target_columns[0], **spec}
        return spec


_WRITTEN_BEFORE = ("comment", "owner", "of_type", "foreign", "unlogged", "access_method")


def _exclusion_element(part: Any) -> dict[str, Any]:
    spec = write_element(part.element)
    return {**({"column": spec} if isinstance(spec, str) else spec), "with": part.operator}


def _invented(table: Table, *pieces: str) -> str:
    """The name that the reader gives if none is written."""
    return shorten("_".join(piece for piece in (table.name.name, *pieces) if piece))


def _hint(hint: DataHint) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    if hint.values:
        same = all(weight == 1.0 for _, weight in hint.values)
        weights = {value: int(weight) if weight.is_integer() else weight for value, weight in hint.values}
        spec["values"] = [natural(value) for value in weights] if same else weights
    for key in ("distinct", "skew", "null_fraction", "minimum", "maximum"):
        value = getattr(hint, key)
        if value is not None and (key != "skew" or value):
            spec[key] = natural(value) if isinstance(value, str) else value
    return spec

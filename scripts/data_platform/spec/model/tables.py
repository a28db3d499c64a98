"""One table: its keys, checks, exclusions and indexes. Foreign keys need all tables and are read after them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from data_platform.model.database import (
    Check,
    Column,
    Exclusion,
    ExclusionElement,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.spec.document import Path_
from data_platform.spec.model.columns import Conventions, read_columns, updated_at_trigger
from data_platform.spec.model.context import Context, parse_tree
from data_platform.spec.naming import Namer
from data_platform.sql.statements import column_references
from data_platform.sql.text import NotSql, operator

NOT_DELETED = "deleted_at IS NULL"

_Named = TypeVar("_Named", Unique, Check, Exclusion, Index)


class TableReader:
    """Reads one table of the spec."""

    def __init__(
        self, context: Context, name: Name, spec: Mapping[str, Any], path: Path_, rules: Conventions
    ) -> None:
        self.context = context
        self.name = name
        self.spec = spec
        self.path = path
        self.rules = rules
        self.constraint_names = Namer()
        self.columns: tuple[Column, ...] = ()

    def read(self) -> Table:
        """The table without its foreign keys."""
        self.columns = read_columns(self.context, self.spec, self.path, self.rules)
        if not self.columns:
            self.context.error(
                self.path, "spec-empty", f"the table `{self.name}` has no columns", "add `columns:`"
            )
        self._check_generated()
        primary_key = self._primary_key()
        uniques, unique_indexes = self._uniques()
        self._refuse_repeated_keys(primary_key, uniques)
        table = Table(
            name=self.name,
            columns=self._not_null(primary_key),
            primary_key=primary_key,
            uniques=_sorted(uniques),
            checks=_sorted(self._checks()),
            exclusions=_sorted(self._exclusions()),
            indexes=_sorted([*unique_indexes, *self._indexes()]),
            triggers=(updated_at_trigger(self.context.default_schema),) if self._has_updated_at() else (),
            comment=self.spec.get("comment"),
        )
        self._refuse_virtual_keys(table)
        return table

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def relation_name(self, given: str | None, path: Path_, *parts: str) -> str:
        """The name of an index, or of a constraint with one: the author's, or an invented one that is free."""
        if given is not None:
            return given
        return self.context.namer(self.name.schema).invent(self.name.name, *parts)

    def constraint_name(self, given: str | None, *parts: str) -> str:
        """The name of a constraint without an index."""
        return given if given is not None else self.constraint_names.invent(self.name.name, *parts)

    def _has_updated_at(self) -> bool:
        return self.rules.timestamps and "updated_at" in self.column_names

    def _check_generated(self) -> None:
        """A generated column is computed from plain columns of its own table."""
        generated = {column.name: column.generated.expression for column in self.columns if column.generated}
        for name, expression in generated.items():
            path = (*self.path, "columns", name, "generated")
            tree = parse_tree(expression)
            for *_, used in column_references(tree) if tree else ():
                if used in generated:
                    message = f"`{used}` is generated itself; expected columns that are not"
                    self.context.error(path, "spec-conflict", message, "write out what it is generated from")
                else:
                    self.context.known_column(used, self.column_names, path)

    def _not_null(self, key: PrimaryKey | None) -> tuple[Column, ...]:
        if key is None:
            return self.columns
        for column in self.columns:
            if column.name in key.columns and column.nullable:
                at = (*self.path, "columns", column.name, "nullable")
                message = f"`{column.name}` is in the primary key, which is never NULL"
                self.context.error(at, "spec-conflict", message, "remove `nullable:`")
        return self.columns

    def claim_given_names(self) -> None:
        """Take the names that the author gave, before any table's names are invented."""
        for path, name, has_index in self._given_names():
            if not self.context.identifier(name, path):
                continue
            namers = [self.context.namer(self.name.schema)] if has_index else []
            if path[len(self.path)] != "indexes":
                namers.append(self.constraint_names)
            if not all([namer.claim(name) for namer in namers]):
                self.context.error(path, "spec-duplicate", f"the name `{name}` is taken", "rename one")

    def _given_names(self) -> Iterator[tuple[Path_, str, bool]]:
        key = self.spec.get("primary_key")
        if isinstance(key, dict) and "name" in key:
            yield (*self.path, "primary_key", "name"), key["name"], True
        for section, has_index in (
            ("unique", True),
            ("exclude", True),
            ("indexes", True),
            ("foreign_keys", False),
        ):
            for number, item in enumerate(self.spec.get(section, ())):
                if isinstance(item, dict) and "name" in item:
                    yield (*self.path, section, str(number), "name"), item["name"], has_index
        for check in self.spec.get("checks", {}):
            yield (*self.path, "checks", check), check, False
        for column, value in self.spec.get("columns", {}).items():
            if isinstance(value, dict) and "name" in value.get("references", {}):
                yield (
                    (*self.path, "columns", column, "references", "name"),
                    value["references"]["name"],
                    False,
                )

    def _primary_key(self) -> PrimaryKey | None:
        spec = self.spec.get("primary_key")
        path: Path_ = (*self.path, "primary_key")
        marked = [
            name
            for name, value in self.spec.get("columns", {}).items()
            if isinstance(value, dict) and value.get("primary_key")
        ]
        if spec is not None and marked:
            message = f"the key is here and at the column `{marked[0]}`"
            self.context.error(path, "spec-conflict", message, "keep one of the two")
        if spec is None:
            columns = tuple(marked) or (("id",) if "id" in self._rule_key() else ())
            return PrimaryKey(name=self._key_name(None), columns=columns) if columns else None
        given = spec if isinstance(spec, dict) else {"columns": spec}
        at = (*path, "columns") if isinstance(spec, dict) else path
        self.context.known_columns(given["columns"], self.column_names, at)
        return PrimaryKey(
            name=self._key_name(given.get("name")),
            columns=tuple(given["columns"]),
            deferral=given.get("deferral", "not deferrable"),
        )

    def _rule_key(self) -> tuple[str, ...]:
        return self.column_names if self.rules.primary_key != "none" else ()

    def _key_name(self, given: str | None) -> str:
        return self.relation_name(given, self.path, "pkey")

    def _uniques(self) -> tuple[list[Unique], list[Index]]:
        """Unique keys; with soft delete a unique index over the rows that are not deleted stands for the constraint."""
        constraints: list[Unique] = []
        indexes: list[Index] = []
        for path, spec in self._unique_specs():
            columns = tuple(spec["columns"])
            self.context.known_columns(
                columns, self.column_names, (*path, "columns") if "columns" in spec else path
            )
            include = tuple(spec.get("include", ()))
            self.context.known_columns(include, self.column_names, (*path, "include"))
            nulls_not_distinct = spec.get("nulls_not_distinct", False)
            if nulls_not_distinct:
                self.context.needs_version(15, "NULLS NOT DISTINCT", path)
            among_living = self.rules.soft_delete and "deleted_at" in self.column_names
            if among_living and not spec.get("include_deleted") and "deferral" not in spec:
                indexes.append(
                    Index(
                        name=self.relation_name(spec.get("name"), path, *columns, "key"),
                        elements=tuple(IndexElement(column=column) for column in columns),
                        unique=True,
                        nulls_not_distinct=nulls_not_distinct,
                        include=include,
                        where=NOT_DELETED,
                    )
                )
                continue
            constraints.append(
                Unique(
                    name=self.relation_name(spec.get("name"), path, *columns, "key"),
                    columns=columns,
                    nulls_not_distinct=nulls_not_distinct,
                    include=include,
                    deferral=spec.get("deferral", "not deferrable"),
                )
            )
        return constraints, indexes

    def _unique_specs(self) -> Iterator[tuple[Path_, Mapping[str, Any]]]:
        for name, value in self.spec.get("columns", {}).items():
            if isinstance(value, dict) and value.get("unique"):
                yield (*self.path, "columns", name, "unique"), {"columns": [name]}
        for number, item in enumerate(self.spec.get("unique", ())):
            path = (*self.path, "unique", str(number))
            yield path, item if isinstance(item, dict) else {"columns": item}

    def _refuse_repeated_keys(self, primary_key: PrimaryKey | None, uniques: list[Unique]) -> None:
        """PostgreSQL merges a UNIQUE that repeats another key without a word, and its name is gone."""
        seen = {primary_key.columns: "the primary key"} if primary_key else {}
        for key in uniques:
            if key.columns in seen:
                message = f"the unique key ({', '.join(key.columns)}) repeats {seen[key.columns]}"
                self.context.error((*self.path, "unique"), "spec-duplicate", message, "remove it")
            seen[key.columns] = f"`{key.name}`"

    def _refuse_virtual_keys(self, table: Table) -> None:
        """No key or index may hold a virtual generated column (PostgreSQL 18, CREATE TABLE)."""
        virtual = {column.name for column in self.columns if column.generated and not column.generated.stored}
        held = [(key.name, key.columns) for key in (table.primary_key, *table.uniques) if key]
        held += [
            (index.name, tuple(element.column or "" for element in index.elements) + index.include)
            for index in table.indexes
        ]
        for name, columns in held:
            for column in sorted(virtual & set(columns)):
                message = f"`{name}` holds `{column}`, a virtual generated column, which cannot be indexed"
                fix = "stored: true, or an index on the expression itself"
                self.context.error((*self.path, "columns", column), "spec-conflict", message, fix)

    def _checks(self) -> list[Check]:
        checks = [
            Check(name=name, expression=self._expression(value, (*self.path, "checks", name)))
            for name, value in self.spec.get("checks", {}).items()
        ]
        for name, value in self.spec.get("columns", {}).items():
            if isinstance(value, dict) and "check" in value:
                expression_ = self._expression(value["check"], (*self.path, "columns", name, "check"))
                checks.append(Check(name=self.constraint_name(None, name, "check"), expression=expression_))
        return checks

    def _exclusions(self) -> list[Exclusion]:
        exclusions = []
        for number, spec in enumerate(self.spec.get("exclude", ())):
            path = (*self.path, "exclude", str(number))
            elements = []
            for position, item in enumerate(spec["elements"]):
                at = (*path, "elements", str(position))
                try:
                    operator(item["with"])
                except NotSql as problem:
                    message = f"`{item['with']}`: {problem}"
                    self.context.error(
                        (*at, "with"), "spec-expression", message, "an operator such as = or &&"
                    )
                element = self.element({k: v for k, v in item.items() if k != "with"}, at)
                elements.append(ExclusionElement(element=element, operator=item["with"].strip()))
            columns = [part.element.column or "expr" for part in elements]
            exclusions.append(
                Exclusion(
                    name=self.relation_name(spec.get("name"), path, *columns, "excl"),
                    method=spec.get("using", "gist"),
                    elements=tuple(elements),
                    where=self._where(spec, path),
                    deferral=spec.get("deferral", "not deferrable"),
                )
            )
        return exclusions

    def _indexes(self) -> list[Index]:
        return [
            self._index(
                item if isinstance(item, dict) else {"columns": item}, (*self.path, "indexes", str(number))
            )
            for number, item in enumerate(self.spec.get("indexes", ()))
        ]

    def _index(self, spec: Mapping[str, Any], path: Path_) -> Index:
        method = spec.get("using", "btree")
        at = (*path, "columns") if (*path, "columns") in self.context.document.marks else path
        elements = tuple(self.element(item, (*at, str(i)), method) for i, item in enumerate(spec["columns"]))
        include = tuple(spec.get("include", ()))
        self.context.known_columns(include, self.column_names, (*path, "include"))
        if spec.get("nulls_not_distinct"):
            self.context.needs_version(15, "NULLS NOT DISTINCT", path)
        if method in ("hnsw", "ivfflat") and "vector" not in self.context.extensions:
            message = (
                f"the index method {method} comes with the extension vector, which the spec does not list"
            )
            self.context.error((*path, "using"), "spec-extension", message, "extensions: [vector]")
        name = self.relation_name(spec.get("name"), path, *(e.column or "expr" for e in elements), "idx")
        # Findings know the index by its name; the spec lists it by its number.
        self.context.marks[(*self.path, "indexes", name)] = self.context.document.mark(path)
        return Index(
            name=name,
            elements=elements,
            method=method,
            unique=spec.get("unique", False),
            nulls_not_distinct=spec.get("nulls_not_distinct", False),
            include=include,
            where=self._where(spec, path),
            options=tuple(sorted((key, _option(value)) for key, value in spec.get("with", {}).items())),
            comment=spec.get("comment"),
        )

    def element(self, item: Any, path: Path_, method: str = "gist") -> IndexElement:
        """One key of an index: a column's name, or a mapping."""
        spec: Mapping[str, Any] = {"column": item} if isinstance(item, str) else item
        given = [key for key in ("column", "expression") if key in spec]
        if len(given) != 1:
            self.context.error(
                path, "spec-index-key", "expected exactly one of `column` and `expression`", "keep one"
            )
            return IndexElement(column=self.column_names[0] if self.columns else "")
        column = spec.get("column")
        if column is not None and not self._index_column(column, path):
            return IndexElement(column=column)
        expression_ = None
        if "expression" in spec:
            expression_ = self._expression(spec["expression"], (*path, "expression"))
        if method != "btree" and ("order" in spec or "nulls" in spec):
            message = f"an index of method {method} has no order"
            self.context.error(path, "spec-conflict", message, "remove `order:` and `nulls:`")
        opclass = spec.get("opclass")
        if opclass is not None:
            self._opclass(opclass, (*path, "opclass"))
        descending = spec.get("order") == "desc"
        return IndexElement(
            column=column,
            expression=expression_,
            collation=spec.get("collation"),
            opclass=opclass,
            descending=descending,
            nulls_first=spec.get("nulls", "first" if descending else "last") == "first",
        )

    def _index_column(self, column: str, path: Path_) -> bool:
        words = column.split()
        if column not in self.column_names and len(words) == 2 and words[1].lower() in ("asc", "desc"):
            message = f"no column `{column}`; an order is written as its own key"
            self.context.error(
                path, "spec-unknown-column", message, f"{{column: {words[0]}, order: {words[1].lower()}}}"
            )
            return False
        return self.context.known_column(column, self.column_names, path)

    def _opclass(self, text: str, path: Path_) -> None:
        for part in text.split("."):
            self.context.identifier(part, path)

    def _where(self, spec: Mapping[str, Any], path: Path_) -> str | None:
        return self._expression(spec["where"], (*path, "where")) if "where" in spec else None

    def _expression(self, value: Any, path: Path_) -> str:
        return self.context.expression(value, path, self.column_names)


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _sorted(items: list[_Named]) -> tuple[_Named, ...]:
    return tuple(sorted(items, key=lambda item: item.name))

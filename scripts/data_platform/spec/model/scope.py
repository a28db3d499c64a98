"""One table while it is read: where it stands, what it says, the columns so far, and the names it has taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_platform.model.database import Column, Name
from data_platform.spec.document import Path_
from data_platform.spec.model.codec import Object, parts
from data_platform.spec.model.columns import Conventions
from data_platform.spec.model.context import Context
from data_platform.spec.model.family import Place
from data_platform.spec.model.values import Class, Reading
from data_platform.spec.naming import Namer


@dataclass
class TableScope:
    """What every reader of a part of one table needs."""

    context: Context
    name: Name
    place: Place
    rules: Conventions
    columns: tuple[Column, ...] = ()
    """Empty until they are read."""
    constraint_names: Namer = field(default_factory=Namer)

    @property
    def spec(self) -> Mapping[str, Any]:
        """What the spec says about the table."""
        return self.place.spec

    @property
    def path(self) -> Path_:
        """Where it stands."""
        return self.place.path

    @property
    def column_specs(self) -> Mapping[str, Any]:
        """The author's columns."""
        specs: Mapping[str, Any] = self.spec.get("columns", {})
        return specs

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of all columns, whoever brought them."""
        return tuple(column.name for column in self.columns)

    def marked(self, key: str) -> Iterator[tuple[str, Any]]:
        """The columns that say `key`, and what they say."""
        for name, value in self.column_specs.items():
            if isinstance(value, dict) and key in value:
                yield name, value[key]

    def relation_name(self, given: str | None, *parts_: str) -> str:
        """The name of an index, or of a constraint with one: the author's, or an invented one that is free."""
        if given is not None:
            return given
        return self.context.namer(self.name.schema).invent(self.name.name, *parts_)

    def constraint_name(self, given: str | None, *parts_: str) -> str:
        """The name of a constraint without an index."""
        return given if given is not None else self.constraint_names.invent(self.name.name, *parts_)

    def expression(self, value: Any, path: Path_) -> str:
        """One expression over the table's columns."""
        return self.context.expression(value, path, self.column_names)

    def fields(self, cls: Class, spec: Any, path: Path_) -> dict[str, Any]:
        """The fields of `cls` that `spec` gives, but for those that need more than their annotation."""
        if not isinstance(spec, dict):
            return {}
        plain = {part.name for part in parts(cls)} - {
            "name",
            "columns",
            "target",
            "target_columns",
            "elements",
        }
        given = {key: value for key, value in spec.items() if key in plain}
        return Object(cls).fields(Reading(self.context, self.column_names), given, path)

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
        for section in ("unique", "exclude", "indexes", "foreign_keys"):
            for number, item in enumerate(self.spec.get(section, ())):
                if isinstance(item, dict) and "name" in item:
                    path = (*self.path, section, str(number), "name")
                    yield path, item["name"], section != "foreign_keys"
        for check in self.spec.get("checks", {}):
            yield (*self.path, "checks", check), check, False
        for key in ("references", "not_null"):
            for column, value in self.marked(key):
                if "name" in value:
                    yield (*self.path, "columns", column, key, "name"), value["name"], False

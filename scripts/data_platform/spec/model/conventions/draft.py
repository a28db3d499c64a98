"""A spec that conventions write more objects into, before it is read.

What the author declares stands: a convention adds a table, column, function or trigger only under a name that is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data_platform.model.database import Name
from data_platform.spec.document import Document, Path_
from data_platform.spec.naming import name_text, parse_name
from data_platform.sql.templates import render
from data_platform.sql.text import NotSql, Sql, qualified

BARE: Mapping[str, Any] = {
    "primary_key": "none",
    "timestamps": False,
    "soft_delete": False,
    "metadata": False,
    "audit": False,
}
"""House rules of a table that a convention brings: it says all it has itself."""

KEY_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "uuid": {"type": "uuid", "default": "gen_random_uuid()"},
    "uuidv7": {"type": "uuid", "default": "uuidv7()"},
    "identity": {"type": "bigint", "identity": "always"},
}


@dataclass(frozen=True)
class Problem:
    """Why a convention cannot be followed."""

    path: Path_
    message: str
    fix: str


@dataclass
class Draft:
    """The data of a spec while conventions are written out."""

    data: dict[str, Any]
    default_schema: str
    server_version: int
    problems: list[Problem] = field(default_factory=list)
    origins: dict[Path_, Path_] = field(default_factory=dict)
    """For what a convention brought: where the convention stands."""
    _own: set[Path_] = field(default_factory=set)

    @classmethod
    def of(cls, document: Document) -> Draft:
        """A draft of the spec in `document`, which stays as it is."""
        data = dict(document.data)
        return cls(data, data.get("schema", "public"), data.get("server_version", 18))

    @property
    def rules(self) -> Mapping[str, Any]:
        """The conventions of the whole model."""
        rules: Mapping[str, Any] = self.data.get("conventions", {})
        return rules

    def error(self, path: Path_, message: str, fix: str) -> None:
        """Note that a convention cannot be followed."""
        self.problems.append(Problem(path, message, fix))

    def section(self, name: str) -> dict[str, Any]:
        """A section of the spec, to be changed."""
        if (name,) not in self._own:
            self.data[name] = dict(self.data.get(name, {}))
            self._own.add((name,))
        found: dict[str, Any] = self.data[name]
        return found

    def table(self, key: str) -> dict[str, Any]:
        """A table of the spec, to be changed."""
        tables = self.section("tables")
        if ("tables", key) not in self._own:
            tables[key] = _copied(tables[key] or {})
            tables[key].setdefault("columns", {})
            self._own.add(("tables", key))
        found: dict[str, Any] = tables[key]
        return found

    def seen(self, key: str) -> Mapping[str, Any]:
        """A table of the spec, to be looked at."""
        found: Mapping[str, Any] = self.data["tables"][key] or {}
        return found

    def name(self, key: str) -> Name:
        """The name that a key stands for; one that stands for none is reported when it is read."""
        try:
            return parse_name(key, self.default_schema)
        except NotSql:
            return Name(self.default_schema, key)

    def text(self, name: Name) -> str:
        """The key that stands for `name`."""
        return name_text(name, self.default_schema)

    def beside(self, key: str, name: str) -> str:
        """The key of something in the schema of the table `key`."""
        return self.text(Name(self.name(key).schema, name))

    def key_of(self, text: str, path: Path_) -> str | None:
        """The key of the table that `text` names; notes an error if there is none."""
        wanted = self.name(text)
        for key in self.data["tables"]:
            if self.name(key) == wanted:
                return str(key)
        self.error(path, f"no table `{text}` in this model", "add it under `tables:`")
        return None

    def sql(self, key: str) -> Sql:
        """The table as SQL that no search_path can turn to another."""
        name = self.name(key)
        return qualified(name.schema, name.name)

    # --- additions ---

    def add(self, section: str, key: str, spec: Any, origin: Path_) -> bool:
        """Add an object unless the author has one of that name; whether it was added."""
        found = self.section(section)
        if any(self.name(known) == self.name(key) for known in found):
            return False
        found[key] = _copied(spec)
        self._own.add((section, key))
        self.origins[section, key] = origin
        return True

    def add_table(self, key: str, spec: dict[str, Any], origin: Path_) -> bool:
        """Add a table that says all it has itself."""
        return self.add(
            "tables", key, {**spec, "conventions": {**BARE, **spec.get("conventions", {})}}, origin
        )

    def add_column(self, key: str, name: str, spec: Any, origin: Path_, *, first: bool = False) -> bool:
        """Add a column, behind the author's or before them."""
        table = self.table(key)
        if name in table["columns"]:
            return False
        added = {name: _copied(spec)}
        table["columns"] = {**added, **table["columns"]} if first else {**table["columns"], **added}
        self.origins["tables", key, "columns", name] = origin
        return True

    def add_named(self, key: str, part: str, name: str, spec: Any, origin: Path_) -> None:
        """Add a check, trigger or policy to a table."""
        found = self.table(key).setdefault(part, {})
        if name not in found:
            found[name] = _copied(spec)
            self.origins["tables", key, part, name] = origin

    def add_listed(self, key: str, part: str, spec: Any, origin: Path_) -> None:
        """Add an index, unique key, exclusion or foreign key to a table."""
        found = self.table(key).setdefault(part, [])
        self.origins["tables", key, part, str(len(found))] = origin
        found.append(_copied(spec))

    def add_function(
        self, key: str, template: str, origin: Path_, *, values: Mapping[str, Any], **spec: Any
    ) -> None:
        """Add a function whose body is `templates/conventions/{template}` with `values`."""
        body = f"\n{render(f'conventions/{template}', **values)}\n"
        self.add(
            "functions", key, {"language": "plpgsql", "returns": "trigger", **spec, "body": body}, origin
        )

    def add_trigger(self, key: str, name: str, function: str, origin: Path_, **spec: Any) -> None:
        """Add a row trigger before the change, unless `spec` says otherwise."""
        trigger = {"timing": "before", "events": ["insert", "update"], "function": function, **spec}
        self.add_named(key, "triggers", name, trigger, origin)

    def require_extension(self, name: str) -> None:
        """List an extension."""
        listed = self.data.get("extensions", [])
        if name not in [item if isinstance(item, str) else item["name"] for item in listed]:
            self.data["extensions"] = [*listed, name]

    # --- keys ---

    def primary_key(self, key: str) -> list[str]:
        """The columns of a table's primary key, wherever it is said; empty if it has none."""
        spec = self.seen(key)
        if "primary_key" in spec:
            given = spec["primary_key"]
            return list(given["columns"] if isinstance(given, dict) else given)
        columns = spec.get("columns", {})
        marked = [
            name for name, value in columns.items() if isinstance(value, dict) and value.get("primary_key")
        ]
        return marked or (["id"] if self.key_rule(key) != "none" else [])

    def key_rule(self, key: str) -> str:
        """What the house rules say about a table's key."""
        rules = {**self.rules, **self.seen(key).get("conventions", {})}
        return str(rules.get("primary_key", "none"))

    def one_key(self, key: str, path: Path_) -> str | None:
        """The only column of a table's primary key; notes an error if it has none or several."""
        columns = self.primary_key(key)
        if len(columns) != 1:
            message = f"this convention needs a primary key of one column at `{key}`"
            self.error(path, message, "primary_key: [id]")
            return None
        return columns[0]

    def type_of(self, key: str, column: str) -> str | None:
        """The type of a column, where it is said or comes from the house rules, or from the column it refers to."""
        spec = self.seen(key).get("columns", {}).get(column)
        if isinstance(spec, str):
            return spec
        if spec is None:
            return str(KEY_COLUMNS[self.key_rule(key)]["type"]) if self.key_rule(key) in KEY_COLUMNS else None
        if "type" in spec:
            return str(spec["type"])
        target = spec.get("references", {}).get("table")
        other = next((k for k in self.data["tables"] if target and self.name(k) == self.name(target)), None)
        if other is None or other == key:
            return None
        columns = (
            [spec["references"]["column"]] if "column" in spec["references"] else self.primary_key(other)
        )
        return self.type_of(other, columns[0]) if len(columns) == 1 else None

    def write_key(self, key: str) -> None:
        """Write out the key column that the house rules would bring, so that it can be part of more."""
        rule = self.key_rule(key)
        spec = self.seen(key)
        said = "primary_key" in spec or any(
            isinstance(value, dict) and value.get("primary_key") for value in spec.get("columns", {}).values()
        )
        if said or rule not in KEY_COLUMNS:
            return
        if rule == "uuidv7" and self.server_version < 18:
            message = f"uuidv7() needs PostgreSQL 18; `server_version` is {self.server_version}"
            self.error(("tables", key), message, "server_version: 18, or primary_key: uuid")
        self.add_column(key, "id", dict(KEY_COLUMNS[rule]), ("tables", key), first=True)
        self.table(key)["primary_key"] = ["id"]

    def tenant_column(self, key: str) -> str | None:
        """The tenant's column of a table that belongs to tenants."""
        rule = tenant_rule(self, key)
        return None if rule is None else str(rule.get("column", "tenant_id"))


def tenant_rule(draft: Draft, key: str) -> Mapping[str, Any] | None:
    """The convention `tenant` as it holds for a table, or None."""
    everywhere = draft.rules.get("tenant")
    own = draft.seen(key).get("conventions", {}).get("tenant")
    if own is False or (own is None and not is_said(everywhere)):
        return None
    merged = {
        **(everywhere if isinstance(everywhere, dict) else {}),
        **(own if isinstance(own, dict) else {}),
    }
    home = merged.get("table")
    return None if home is not None and draft.name(home) == draft.name(key) else merged


def is_said(value: Any) -> bool:
    """Whether a convention is to be followed: `{}` says so too, with nothing but defaults."""
    return value is not None and value is not False


def _copied(data: Any) -> Any:
    """A copy that shares nothing with `data`, nor one part of it with another."""
    if isinstance(data, dict):
        return {key: _copied(item) for key, item in data.items()}
    return [_copied(item) for item in data] if isinstance(data, list) else data


def listed(value: Any) -> list[Any]:
    """A list, or the list of one thing."""
    return value if isinstance(value, list) else [value]


_IRREGULAR = {"people": "person", "children": "child"}


def singular(word: str) -> str:
    """An English plural as its singular, near enough for names of columns."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes", "uses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word

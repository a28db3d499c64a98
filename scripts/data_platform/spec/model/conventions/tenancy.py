"""`tenant`: rows of several customers in one table, and no way from one to the other.

The tenant leads every key and index, references between tenants' tables carry it, and row security shows a session the
rows of the tenant that it names, or none. A restrictive policy says so, which no later policy can widen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_platform.model.database import Name
from data_platform.spec.document import Path_
from data_platform.spec.model.conventions.draft import Draft, listed, tenant_rule
from data_platform.sql.text import identifier, literal, type_name

_TREES = ("btree",)
"""Index methods in which a leading column serves."""

_TENANTS = 20


def expand(draft: Draft) -> None:
    """Every table that belongs to tenants, those that other conventions brought included."""
    rules = {
        key: rule
        for key in list(draft.data.get("tables", {}))
        if (rule := tenant_rule(draft, key)) is not None
    }
    rules = {key: rule for key, rule in rules.items() if _has_own_columns(draft.seen(key))}
    for key in rules:
        draft.write_key(key)
    keys = {key: draft.primary_key(key) for key in rules}
    for key, rule in rules.items():
        _Member(draft, key, rule, keys).join()
    _secure_heirs(draft, rules)
    for home in dict.fromkeys(rule["table"] for rule in rules.values() if "table" in rule):
        _secure_home(draft, home, next(rule for rule in rules.values() if rule.get("table") == home))


def _has_own_columns(spec: Mapping[str, Any]) -> bool:
    return not ({"partition_of", "foreign", "of_type", "inherits"} & spec.keys())


class _Member:
    """One table of tenants."""

    def __init__(
        self, draft: Draft, key: str, rule: Mapping[str, Any], keys: Mapping[str, list[str]]
    ) -> None:
        self.draft, self.key, self.rule, self.keys = draft, key, rule, keys
        self.column: str = rule.get("column", "tenant_id")
        self.origin: Path_ = (
            ("tables", key)
            if "tenant" in draft.seen(key).get("conventions", {})
            else ("conventions", "tenant")
        )

    def join(self) -> None:
        """Give the table its tenant."""
        self._column()
        self._lead_keys()
        self._lead_indexes()
        self._widen_references()
        secure(self.draft.table(self.key), condition(self.draft, self.column, self.rule), self.rule)

    def _column(self) -> None:
        spec: dict[str, Any] = {
            "type": type_of(self.draft, self.rule),
            "default": setting(self.draft, self.rule),
        }
        if "table" in self.rule:
            spec["references"] = {"table": self.rule["table"], "on_delete": "restrict"}
        else:  # for a proof, whose rows would else be of a tenant each
            spec["data"] = {"distinct": _TENANTS}
        self.draft.add_column(self.key, self.column, spec, self.origin, first=True)

    def _led(self, columns: list[Any]) -> list[Any]:
        return columns if self.column in columns else [self.column, *columns]

    def _lead_keys(self) -> None:
        table = self.draft.table(self.key)
        if columns := self.keys[self.key]:
            given = table.get("primary_key", {})
            said = given if isinstance(given, dict) else {}
            table["primary_key"] = {**said, "columns": self._led(columns)}
        uniques = list(table.get("unique", []))
        for name, value in table["columns"].items():
            if isinstance(value, dict):
                value.pop("primary_key", None)
                if value.pop("unique", False) and name != self.column:
                    uniques.append([name])
        if uniques:
            table["unique"] = [
                {**item, "columns": self._led(item["columns"])} if isinstance(item, dict) else self._led(item)
                for item in uniques
            ]
        for exclusion in table.get("exclude", []):
            if self.column not in [element.get("column") for element in exclusion["elements"]]:
                exclusion["elements"] = [{"column": self.column, "with": "="}, *exclusion["elements"]]
                self.draft.require_extension("btree_gist")

    def _lead_indexes(self) -> None:
        table = self.draft.table(self.key)
        table["indexes"] = [
            (
                {**item, "columns": self._led(listed(item["columns"]))}
                if item.get("using", "btree") in _TREES
                else item
            )
            if isinstance(item, dict)
            else self._led(item)
            for item in table.get("indexes", [])
        ]
        for number, _ in enumerate(table["indexes"]):
            self.draft.origins.setdefault(("tables", self.key, "indexes", str(number)), self.origin)

    def _widen_references(self) -> None:
        table = self.draft.table(self.key)
        keys = list(table.get("foreign_keys", []))
        for name, value in list(table["columns"].items()):
            if isinstance(value, dict) and "references" in value and name != self.column:
                target = self._member(value["references"]["table"])
                if target is not None:
                    keys.append(_as_listed(name, value.pop("references"), self.keys[target]))
        for number, item in enumerate(keys):
            reference = item["references"]
            text = reference["table"] if isinstance(reference, dict) else reference
            target = self._member(text)
            if target is not None and self.column not in item["columns"]:
                keys[number] = self._widened(item, text, target)
                self.draft.origins.setdefault(("tables", self.key, "foreign_keys", str(number)), self.origin)
        if keys:
            table["foreign_keys"] = keys

    def _widened(self, item: dict[str, Any], text: str, target: str) -> dict[str, Any]:
        reference = item["references"]
        columns = reference.get("columns") if isinstance(reference, dict) else None
        there = str((tenant_rule(self.draft, target) or {}).get("column", "tenant_id"))
        wide = {
            **item,
            "columns": [self.column, *item["columns"]],
            "references": {"table": text, "columns": [there, *(columns or self.keys[target])]},
        }
        if item["on_delete"] in ("set null", "set default") and "set_columns" not in item:
            wide["set_columns"] = list(item["columns"])
        return wide

    def _member(self, text: str) -> str | None:
        """The key of the table `text` if it belongs to tenants."""
        wanted = self.draft.name(text)
        return next((key for key in self.keys if self.draft.name(key) == wanted), None)


def _as_listed(column: str, reference: dict[str, Any], key: list[str]) -> dict[str, Any]:
    """A reference at its column as an entry of `foreign_keys:`."""
    target = [reference["column"]] if "column" in reference else key
    rest = {name: value for name, value in reference.items() if name not in ("table", "column")}
    return {"columns": [column], "references": {"table": reference["table"], "columns": target}, **rest}


def type_of(draft: Draft, rule: Mapping[str, Any]) -> str:
    """The type of the tenant's column."""
    if "type" in rule or "table" not in rule:
        return str(rule.get("type", "uuid"))
    home = draft.key_of(rule["table"], ("conventions", "tenant", "table"))
    key = draft.one_key(home, ("conventions", "tenant", "table")) if home else None
    return draft.type_of(home, key) or "uuid" if home and key else "uuid"


def setting(draft: Draft, rule: Mapping[str, Any]) -> str:
    """The tenant that the session names; NULL when it names none, or when an earlier transaction did."""
    return (
        f"nullif(current_setting({literal(setting_name(rule))}, true), '')::{type_name(type_of(draft, rule))}"
    )


def setting_name(rule: Mapping[str, Any]) -> str:
    """The setting in which a session names its tenant."""
    return str(rule.get("setting", "app.tenant_id"))


def condition(draft: Draft, column: str, rule: Mapping[str, Any]) -> str:
    """Whether a row is the session's tenant's."""
    return f"{identifier(column)} = {setting(draft, rule)}"


def secure(spec: dict[str, Any], condition: str, rule: Mapping[str, Any]) -> None:
    """Row security on a table and its partitions, since one that is named directly goes by its own policies."""
    spec.setdefault("row_security", "forced")
    policies = spec.setdefault("policies", {})
    policies.setdefault("tenant_only", {"permissive": False, "using": condition, "with_check": condition})
    if not any(policy.get("permissive", True) for policy in policies.values() if policy):
        policies["tenant_rows"] = {
            "roles": rule.get("roles", "public"),
            "using": "true",
            "with_check": "true",
        }
    for key, value in spec.get("partitions", {}).items():
        part: dict[str, Any] = {"bound": value} if isinstance(value, str) else dict(value)
        part["policies"] = {**policies, **part.get("policies", {})}
        secure(part, condition, rule)
        spec["partitions"][key] = part


def _secure_heirs(draft: Draft, rules: Mapping[str, Mapping[str, Any]]) -> None:
    """Partitions and children that stand as tables of their own: the column they inherit, the policies not."""
    known = {draft.name(key): rule for key, rule in rules.items()}
    waiting = {key: above for key in draft.data.get("tables", {}) if (above := _above(draft, key))}
    while found := {k: known[name] for k, above in waiting.items() for name in above if name in known}:
        for key, rule in found.items():
            del waiting[key]
            known[draft.name(key)] = rule
            column = str(rule.get("column", "tenant_id"))
            secure(draft.table(key), condition(draft, column, rule), rule)


def _above(draft: Draft, key: str) -> list[Name]:
    spec = draft.seen(key)
    if "foreign" in spec or spec.get("conventions", {}).get("tenant") is False:
        return []
    parents = [spec["partition_of"]["table"]] if "partition_of" in spec else listed(spec.get("inherits", []))
    return [draft.name(parent) for parent in parents]


def _secure_home(draft: Draft, home: str, rule: Mapping[str, Any]) -> None:
    """The table of the tenants themselves: each sees its own row."""
    path: Path_ = ("conventions", "tenant", "table")
    key = draft.key_of(home, path)
    column = draft.one_key(key, path) if key else None
    if key and column:
        draft.write_key(key)
        secure(draft.table(key), condition(draft, column, rule), rule)

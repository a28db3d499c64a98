"""Conventions of a model: one line each, written out as ordinary tables, columns, functions, triggers and policies.

Each convention is an entry of `OF_MODEL` or `OF_TABLE` and a module of its own; what comes later may build on what came
before, and `tenant`, which reaches into every key, comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from data_platform.spec.document import Document, Path_
from data_platform.spec.model.conventions import (
    accounts,
    audit,
    documents,
    hierarchy,
    messages,
    money,
    pairs,
    periods,
    restore,
    states,
    tenancy,
    time_series,
)
from data_platform.spec.model.conventions.draft import Draft, Problem, is_said

OF_MODEL: Mapping[str, Callable[[Draft, Any, Path_], None]] = {
    "accounts": accounts.expand,
    "outbox": messages.outbox,
    "idempotency_keys": messages.idempotency_keys,
    "many_to_many": pairs.many_to_many,
}
"""Conventions that bring tables of their own."""

OF_TABLE: Mapping[str, Callable[[Draft, str, Any, Path_], None]] = {
    "documents": documents.documents,
    "polymorphic": pairs.polymorphic,
    "hierarchy": hierarchy.expand,
    "tags": pairs.tags,
    "versions": documents.versions,
    "valid_period": periods.valid_period,
    "address_history": periods.address_history,
    "time_series": time_series.expand,
    "state_machine": states.expand,
    "restore": restore.expand,
    "audit": audit.expand,
}
"""Conventions of one table; `restore` and `audit` may be said for all."""

FOR_ALL = ("restore", "audit")
_NAMES = frozenset([*OF_MODEL, *OF_TABLE, "tenant"])


def expanded(document: Document) -> tuple[Document, list[Problem]]:
    """The document with its conventions written out, and why any of them cannot be followed."""
    if not _has_any(document.data):
        return document, []
    draft = Draft.of(document)
    for name, of_model in OF_MODEL.items():
        if is_said(draft.rules.get(name)):
            of_model(draft, draft.rules[name], ("conventions", name))
    for key in list(draft.data["tables"]):
        money.expand(draft, key)
    for name, of_table in OF_TABLE.items():
        for key in list(draft.data["tables"]):
            value, path = _of_table(draft, key, name)
            if is_said(value):
                of_table(draft, key, value, path)
    tenancy.expand(draft)
    marks = {place: document.mark(origin) for place, origin in draft.origins.items()}
    return replace(document, data=draft.data, marks={**marks, **document.marks}), draft.problems


def _of_table(draft: Draft, key: str, name: str) -> tuple[Any, Path_]:
    own = draft.seen(key).get("conventions", {})
    if name in own:
        return own[name], ("tables", key, "conventions", name)
    value = draft.rules.get(name) if name in FOR_ALL else None
    if name == "restore" and not {**draft.rules, **own}.get("soft_delete"):
        value = None
    return value, ("conventions", name)


def _has_any(data: Mapping[str, Any]) -> bool:
    if _NAMES & data.get("conventions", {}).keys():
        return True
    for spec in data.get("tables", {}).values():
        if not isinstance(spec, dict):
            continue
        columns = spec.get("columns", {}).values()
        if _NAMES & spec.get("conventions", {}).keys() or any(
            "money" in c for c in columns if isinstance(c, dict)
        ):
            return True
    return False

"""Rules about policies that read a setting of the session: what they say while it is unset, and of new rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import postgast

from data_platform.model.database import Policy, Table
from data_platform.schema.rules import trees
from data_platform.schema.rules.rule import Hit, on_table, rule
from data_platform.schema.rules.settings import Functions, compared_columns, readers, setting_of, settings_in
from data_platform.schema.rules.subject import Subject
from data_platform.schema.rules.unset import Unset
from data_platform.sql.text import (
    NotSql,
    Sql,
    expression_tree,
    identifier,
    literal,
    qualified_name,
    type_name,
)

pb = postgast.pg_query_pb2

Part = Literal["using", "with_check"]
_KEYWORDS: dict[Part, str] = {"using": "USING", "with_check": "WITH CHECK"}


@dataclass(frozen=True)
class Condition:
    """One of a policy's conditions, as a tree."""

    table: Table
    policy: Policy
    part: Part
    tree: Any

    @property
    def path(self) -> tuple[str, ...]:
        """Its place in the table's spec."""
        return ("policies", self.policy.name, self.part)


def functions_of(subject: Subject) -> Functions:
    """The functions that read settings."""
    return readers(subject.design.database.functions)


def conditions(subject: Subject) -> Iterator[Condition]:
    """Every condition of every policy that can be read; partitions have policies of their own."""
    for table in subject.design.database.tables:
        for policy in table.policies:
            parts: tuple[tuple[Part, str | None], ...] = (
                ("using", policy.using),
                ("with_check", policy.with_check),
            )
            for part, text in parts:
                tree = tree_of(text) if text is not None else None
                if tree is not None:
                    yield Condition(table, policy, part, tree)


@lru_cache(maxsize=4096)
def tree_of(text: str) -> Any | None:
    """The condition's tree; None where it is too deep to look into."""
    try:
        return expression_tree(text)
    except NotSql:
        return None


def keys_of_session(subject: Subject, table: Table, functions: Functions) -> tuple[str, ...]:
    """The columns that the table's policies compare with what they read from a setting."""
    own = {column.name for column in table.columns}
    trees_ = [tree_of(text) for p in table.policies for text in (p.using, p.with_check) if text is not None]
    found = (name for tree in trees_ if tree is not None for name in compared_columns(tree, functions))
    return tuple(dict.fromkeys(name for name in found if name in own))


@rule(
    "policy-opens-when-unset",
    "error",
    "A session that forgets to set the tenant must see no row; under this policy it sees every tenant's.",
)
def policy_opens_when_unset(subject: Subject) -> Iterator[Hit]:
    functions = functions_of(subject)
    for found in conditions(subject):
        when = [
            words
            for value, words in ((None, "unset"), ("", "empty, as SET LOCAL leaves it behind"))
            if Unset(value, functions).opens(found.tree)
        ]
        if when:
            names = _listed(settings_in(found.tree, functions))
            keyword = _KEYWORDS[found.part]
            message = (
                f"{keyword} of policy `{found.policy.name}` holds for every row while {names} is {when[0]}"
            )
            closed = _closed(subject, found, functions)
            fix = (
                f"{found.part}: {closed}"
                if closed
                else "a comparison that is NULL while the setting is unset"
            )
            remedy = _altered(found, closed) if closed else None
            yield on_table(found.table, message, fix, *found.path, remedy=remedy)


def _listed(names: frozenset[str]) -> str:
    return " or ".join(f"`{name}`" for name in sorted(names)) if "?" not in names else "the setting"


def _altered(found: Condition, condition: str) -> str:
    policy = f"ALTER POLICY {identifier(found.policy.name)} ON {qualified_name(found.table.name)}"
    return f"{policy} {_KEYWORDS[found.part]} ({condition});"


def _closed(subject: Subject, found: Condition, functions: Functions) -> str | None:
    """The condition with one comparison in place of all that it asks of the setting; None if that is not clear."""
    own = {column.name for column in found.table.columns}
    columns = set(compared_columns(found.tree, functions)) & own
    names = settings_in(found.tree, functions)
    if len(columns) != 1 or len(names) != 1 or "?" in names:
        return None
    column = found.table.column(columns.pop())
    value = f"nullif(current_setting({literal(*names)}, true), '')"
    cast = "" if subject.type_name(column) == "text" else f"::{type_name(column.type)}"
    rest = [trees.printed(p) for p in trees.conjuncts(found.tree) if not settings_in(p, functions)]
    return " AND ".join([f"{identifier(column.name)} = {value}{cast}", *rest])


@rule(
    "policy-errors-when-unset",
    "info",
    "While the setting is unset every query of the table ends in an error, whoever asks and for what.",
)
def policy_errors_when_unset(subject: Subject) -> Iterator[Hit]:
    functions = functions_of(subject)
    for found in conditions(subject):
        never, emptied = Unset(None, functions).failure(found.tree), Unset("", functions).failure(found.tree)
        if never or emptied:
            when = never or f"{emptied}, which is what SET LOCAL leaves behind"
            message = f"{_KEYWORDS[found.part]} of policy `{found.policy.name}` raises an error: {when}"
            mended = _forgiving(found.tree)
            fix = "nullif(current_setting(name, true), '')"
            remedy = _altered(found, mended) if mended else f"{fix} in the function that the policy calls"
            yield on_table(found.table, message, fix, *found.path, remedy=remedy)


def _forgiving(tree: Any) -> Sql | None:
    """The condition with NULL for a setting that is unset or empty; None if it reads none itself."""
    copy = type(tree)()
    copy.CopyFrom(tree)
    guarded = {
        part.lexpr.func_call.location
        for part in postgast.find_nodes(copy, pb.A_Expr)
        if part.kind == pb.AEXPR_NULLIF and part.lexpr.HasField("func_call")
    }
    changed = False
    for node in list(trees.nodes(copy)):
        if node.HasField("func_call") and (name := setting_of(node.func_call)) not in (None, "?"):
            read = f"current_setting({literal(str(name))}, true)"
            inside = node.func_call.location in guarded
            node.CopyFrom(expression_tree(read if inside else f"nullif({read}, '')"))
            changed = True
    return Sql(trees.printed(copy)) if changed else None


@rule(
    "policy-without-check",
    "warning",
    "Policies guard what is written only where WITH CHECK says the same of new rows as USING of old ones.",
)
def policy_without_check(subject: Subject) -> Iterator[Hit]:
    functions = functions_of(subject)
    for table in subject.design.database.tables:
        for policy in table.policies:
            found = _unchecked(subject, table, policy, functions) if policy.permissive else None
            if found is not None:
                message, check = found
                fix = f"with_check: {check}"
                remedy = f"ALTER POLICY {identifier(policy.name)} ON {qualified_name(table.name)} WITH CHECK ({check});"
                yield on_table(table, message, fix, "policies", policy.name, remedy=remedy)


def _unchecked(
    subject: Subject, table: Table, policy: Policy, functions: Functions
) -> tuple[str, str] | None:
    """What is wrong with the policy, and the check that it wants."""
    if policy.command == "insert" and policy.with_check is None:
        return f"policy `{policy.name}` is for INSERT and has no WITH CHECK: it lets no row in", "…"
    if not _is_true(policy.with_check):
        return None
    guarding = [p for p in table.policies if _is_guarded(p, functions) and set(p.roles) & set(policy.roles)]
    own = [p for p in guarding if p is policy] or (guarding if policy.command == "insert" else [])
    if not own:
        return None
    keys = ", ".join(f"`{name}`" for name in keys_of_session(subject, table, functions))
    what = f"with any {keys}" if keys else "that its own reader could not see"
    return f"policy `{policy.name}` lets rows in {what}: its WITH CHECK is true", str(own[0].using)


def _is_true(text: str | None) -> bool:
    tree = tree_of(text) if text is not None else None
    return tree is not None and Unset(None, {}).of(tree) is True


def _is_guarded(policy: Policy, functions: Functions) -> bool:
    tree = tree_of(policy.using) if policy.using is not None else None
    return tree is not None and policy.permissive and bool(settings_in(tree, functions))

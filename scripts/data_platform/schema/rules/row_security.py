"""Rules about row-level security: whom it binds, and what passes it by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.model.database import MaterializedView, Name, Role, Table, View
from data_platform.schema.rules.remedies import alter
from data_platform.schema.rules.rule import Hit, on_object, on_table, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.references import of_script
from data_platform.sql.text import qualified_name

_ON = frozenset({"true", "on", "yes", "1"})


@rule(
    "row-security-not-forced",
    "warning",
    "Policies do not bind a table's owner; an application that connects as the owner sees every row.",
)
def row_security_not_forced(subject: Subject) -> Iterator[Hit]:
    for table in subject.design.database.tables:
        if table.row_security == "on" and table.policies and not _is_for_others(subject, table):
            message = f"the policies of `{table.name}` do not bind its owner, and no other role may use it"
            remedy = alter(table, "FORCE ROW LEVEL SECURITY")
            yield on_table(table, message, "row_security: forced", "row_security", remedy=remedy)


def _is_for_others(subject: Subject, table: Table) -> bool:
    """Whether a role that is not the owner has privileges on the table, or a policy of its own."""
    named = {role for policy in table.policies for role in policy.roles}
    return bool((named | subject.grantees(table.name)) - {"public", table.owner})


@rule(
    "row-security-without-policy",
    "warning",
    "With row security on and no policy, whoever it binds finds the table empty and can add nothing.",
)
def row_security_without_policy(subject: Subject) -> Iterator[Hit]:
    for table in subject.design.database.tables:
        if table.row_security != "off" and not any(policy.permissive for policy in table.policies):
            who = "everybody" if table.row_security == "forced" else "everybody but its owner"
            kind = "policy that lets rows through" if table.policies else "policy"
            message = f"`{table.name}` has row security and no {kind}: it is empty to {who}"
            remedy = "a policy for each role that reads or writes it"
            hit = on_table(
                table, message, "policies: one for each who reads or writes", "row_security", remedy=remedy
            )
            # Often meant so: only the owner's functions are to read it.
            yield hit if table.row_security == "forced" else replace(hit, severity="info")


@rule(
    "policy-on-table-without-row-security",
    "error",
    "A policy does nothing until row security is enabled on its table.",
)
def policy_on_table_without_row_security(subject: Subject) -> Iterator[Hit]:
    for table in subject.design.database.tables:
        if table.policies and table.row_security == "off":
            listed = ", ".join(f"`{policy.name}`" for policy in table.policies)
            message = f"`{table.name}` has no row security enabled, so {listed} keeps nobody out"
            remedy = alter(table, "ENABLE ROW LEVEL SECURITY")
            yield on_table(table, message, "row_security: forced", "policies", remedy=remedy)


@rule(
    "partition-bypasses-row-security",
    "warning",
    "Policies of a partitioned table are not asked when a partition is read by its own name.",
)
def partition_bypasses_row_security(subject: Subject) -> Iterator[Hit]:
    for table in subject.design.database.tables:
        parent = subject.by_name.get(table.partition_of.table) if table.partition_of else None
        others = subject.grantees(table.name) - {table.owner}
        if parent and parent.row_security != "off" and table.row_security == "off" and others:
            who = ", ".join(f"`{role}`" for role in sorted(others))
            message = f"{who} can read `{table.name}` by its name, past the policies of `{parent.name}`"
            remedy = alter(table, "ENABLE ROW LEVEL SECURITY")
            yield on_table(table, message, "row_security: true, or no grants on partitions", remedy=remedy)


@rule(
    "view-bypasses-row-security",
    "warning",
    "A view reads as its owner, and a table's owner is not bound by the table's policies.",
)
def view_bypasses_row_security(subject: Subject) -> Iterator[Hit]:
    for view in subject.design.database.views:
        tables = (
            []
            if _asks_as_invoker(view)
            else [t for t in _guarded(subject, view) if _is_free(subject, view, t)]
        )
        if tables:
            message = (
                f"whoever reads `{view.name}` sees all rows of {_listed(tables)}, past the policies there"
            )
            yield _view_hit(subject, view, message)
    for made in subject.design.database.materialized_views:
        tables = _guarded(subject, made)
        if tables and subject.grantees(made.name) - {made.owner}:
            message = (
                f"`{made.name}` holds rows of {_listed(tables)} for whoever may read it: no policy is asked"
            )
            fix = "no grants on it; a view over it with a condition on the session's setting"
            yield on_object("materialized_views", made.name, message, fix)


def _view_hit(subject: Subject, view: View, message: str) -> Hit:
    if subject.design.server_version < 15:
        words = "row security forced on the tables, or the condition of their policies in the view"
        return on_object("views", view.name, message, words)
    remedy = f"ALTER VIEW {qualified_name(view.name)} SET (security_invoker = true);"
    return on_object("views", view.name, message, "options: {security_invoker: true}", remedy)


def _asks_as_invoker(view: View) -> bool:
    return dict(view.options).get("security_invoker", "").lower() in _ON


def _guarded(subject: Subject, view: View | MaterializedView) -> list[Table]:
    """The tables with row security that the view reads itself."""
    names = {
        Name(schema, found.name)
        for found in of_script(view.query)
        if found.kind == "relation"
        for schema in ([found.schema] if found.schema else subject.design.search_path)
    }
    tables = (subject.by_name[name] for name in sorted(names) if name in subject.by_name)
    return [table for table in tables if table.row_security != "off" and table.policies]


def _is_free(subject: Subject, view: View, table: Table) -> bool:
    """Whether the view's owner is not bound by the table's policies."""
    roles = {role.name: role for role in subject.design.database.roles}
    owner = roles.get(view.owner or "")
    return _is_above(owner) or (view.owner == table.owner and table.row_security == "on")


def _is_above(role: Role | None) -> bool:
    return role is not None and (role.superuser or role.bypass_row_security)


def _listed(tables: list[Table]) -> str:
    return ", ".join(f"`{table.name}`" for table in tables)

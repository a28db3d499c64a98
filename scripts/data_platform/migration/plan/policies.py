"""Row security of a table: policies before it is turned on, and never a moment without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.clauses import relation
from data_platform.migration.plan.making import needs, statements, united
from data_platform.migration.plan.making_parts import drop, pieces
from data_platform.migration.plan.pair import changes
from data_platform.migration.plan.step import Phase, Step
from data_platform.migration.plan.text import alter_table, slug, spoken
from data_platform.model.database import Policy, Table
from data_platform.sql.phrases import condition, role
from data_platform.sql.references import References
from data_platform.sql.text import Sql, identifier, joined, qualified_name

_ACTIONS = {
    "off": "NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY",
    "on": "ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
    "forced": "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
}
_STRENGTH = ("off", "on", "forced")


def steps(old: Table, new: Table) -> Iterator[Step]:
    """New policies, row security, then policies that change or go."""
    found = changes(old.policies, new.policies)
    for policy in found.added:
        yield _added(old, new, policy)
    if old.row_security != new.row_security:
        yield _security(old, new)
    for before, after in found.changed:
        if replace(before, comment=None) != replace(after, comment=None):
            yield _changed(old, new, before, after)
    for policy in found.removed:
        yield _removed(old, policy)


def _made(table: Table, policy: Policy) -> tuple[Sql, ...]:
    """A policy of that name goes first, so that it may be run again."""
    return (drop(policy, table), *statements(pieces(policy, table)))


def _needs(table: Table, policy: Policy) -> References:
    return united(needs(pieces(policy, table)), (relation(table.name),))


def _added(old: Table, new: Table, policy: Policy) -> Step:
    """A permissive one lets more through, a restrictive one less; neither does anything while row security is off."""
    harmless = policy.permissive or old.row_security == "off"
    return Step(
        name=slug("create", "policy", policy.name, "on", new.name),
        phase="expand" if harmless else "contract",
        reason="It does nothing before row security is turned on."
        if old.row_security == "off"
        else "More rows can be seen than before."
        if policy.permissive
        else "Fewer rows can be seen than before, so it comes once the new application is there.",
        up=_made(new, policy),
        down=(drop(policy, new),),
        ends_old=not harmless,
        needs=_needs(new, policy),
    )


def _removed(old: Table, policy: Policy) -> Step:
    phase: Phase = "contract" if policy.permissive else "expand"
    return Step(
        name=slug("drop", "policy", policy.name, "on", old.name),
        phase=phase,
        reason="Fewer rows can be seen than before, so it goes last."
        if policy.permissive
        else "More rows can be seen than before.",
        up=(drop(policy, old),),
        down=_made(old, policy),
        ends_old=policy.permissive,
        frees=_needs(old, policy),
    )


def _security(old: Table, new: Table) -> Step:
    narrower = _STRENGTH.index(new.row_security) > _STRENGTH.index(old.row_security)
    return Step(
        name=slug("row_security", new.name),
        phase="contract" if narrower else "expand",
        reason=f"Whoever has no policy sees no row of {spoken(new.name)} from here on; the policies are there "
        f"already, and the new "
        "application says who it is."
        if narrower
        else "Policies hide no row any more.",
        up=(alter_table(new.name, Sql(_ACTIONS[new.row_security])),),
        down=(alter_table(old.name, Sql(_ACTIONS[old.row_security])),),
        ends_old=narrower,
    )


# --- changed ---


def _changed(old: Table, new: Table, before: Policy, after: Policy) -> Step:
    in_place = _alterable(before, after) and _alterable(after, before)
    return Step(
        name=slug("policy", after.name, "on", new.name),
        phase="contract",
        reason="ALTER POLICY: there is no moment without it. It comes once the new application is there and its "
        "columns are filled."
        if in_place
        else "Dropped and made again in one transaction, as ALTER POLICY cannot say this: there is no moment "
        "without it.",
        up=(_altered(new, after),) if in_place else (drop(before, old), *_made(new, after)),
        down=(_altered(old, before),) if in_place else (drop(after, new), *_made(old, before)),
        ends_old=True,
        needs=_needs(new, after),
        frees=_needs(old, before),
    )


def _alterable(before: Policy, after: Policy) -> bool:
    """ALTER POLICY neither takes a condition away nor changes what the policy is for."""
    return (
        (before.command, before.permissive) == (after.command, after.permissive)
        and (before.using is None or after.using is not None)
        and (before.with_check is None or after.with_check is not None)
    )


def _altered(table: Table, policy: Policy) -> Sql:
    words = [f"TO {joined(', ', map(role, policy.roles))}"]
    if policy.using is not None:
        words.append(f"USING ({condition(policy.using)})")
    if policy.with_check is not None:
        words.append(f"WITH CHECK ({condition(policy.with_check)})")
    name = f"{identifier(policy.name)} ON {qualified_name(table.name)}"
    return Sql(f"ALTER POLICY {name} {' '.join(words)}")

"""Triggers, rules, policies, row security and statistics of tables that are there before and after.

What is new comes in expand, what goes and what narrows comes in contract: a policy over a column that is being filled
would hide rows, and an old application that does not say who it is would see none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from data_platform.ddl.clauses import relation
from data_platform.migration.plan import policies
from data_platform.migration.plan.dependents import (
    Dependent,
    Touched,
    asides,
    concerned,
    dependents,
    touched_columns,
    touched_references,
)
from data_platform.migration.plan.making import needs, repeatable, united
from data_platform.migration.plan.making_parts import drop, pieces, statistics_name
from data_platform.migration.plan.pair import Pair, changes, tables_of_both
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import slug
from data_platform.migration.plan.views import over_views, recreated
from data_platform.model.database import Database, Rule, Statistics, Table, Trigger, View
from data_platform.sql.phrases import number
from data_platform.sql.references import References
from data_platform.sql.text import Sql, identifier, keyword, qualified_name

_REPLACEABLE_TRIGGERS_SINCE = 14
_ENABLE = {
    "origin": "ENABLE",
    "disabled": "DISABLE",
    "replica": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}


def steps(pair: Pair) -> Iterator[Step]:
    """What hangs on tables and views of both sides; on a view that is made again it comes with that."""
    for old, new in tables_of_both(pair):
        yield from _parts(pair, old, new)
        yield from policies.steps(old, new)
        yield from _statistics(old, new)
    remade = recreated(pair)
    there = {view.name: view for view in pair.before.views}
    for view in pair.after.views:
        if view.name in there and view.name not in remade:
            yield from _parts(pair, there[view.name], view)


def aside(pair: Pair, touched: Touched) -> tuple[tuple[Sql, ...], tuple[Sql, ...]]:
    """Statements that take away what hangs on touched tables and names their columns, with the functions that
    PostgreSQL has read, and that make it again as it is after. What depends on views is `views.aside`'s.
    """
    made = asides(pair.after, _on_tables(pair.before, touched), _on_tables(pair.after, touched))
    return made.drops, made.makes


def _on_tables(database: Database, touched: Touched) -> tuple[Dependent, ...]:
    found = list(dependents(database, touched_references(touched), touched_columns(touched)))
    over = {one.key for one in over_views(database, touched)}
    keys = {one.key for one in found}
    for table in database.tables:
        found += [one for one in concerned(table, touched) if one.key not in keys]
    return tuple(one for one in found if one.key not in over)


# --- triggers and rules ---


def _parts(pair: Pair, old: Table | View, new: Table | View) -> Iterator[Step]:
    for field in ("triggers", "rules"):
        found = changes(getattr(old, field), getattr(new, field))
        for part in found.added:
            yield _added(new, part, pair.version)
        for before, after in found.changed:
            if _form(before) != _form(after):
                yield _changed(old, new, before, after, pair.version)
            elif before.enabled != after.enabled:
                yield _enabled(new, before, after)
        for part in found.removed:
            yield _removed(old, part, pair.version)


def _form(part: Any) -> Any:
    return replace(part, comment=None, enabled="origin")


def _word(part: Trigger | Rule | Statistics) -> str:
    return type(part).__name__.lower()


def _name(verb: str, part: Trigger | Rule, owner: Table | View) -> str:
    return slug(verb, _word(part), part.name, "on", owner.name)


def _made(owner: Table | View, part: Trigger | Rule, version: int) -> tuple[Sql, ...]:
    """In a form that may be run again: OR REPLACE, or a drop before it."""
    if _replaceable(part, version):
        return repeatable(pieces(part, owner))
    return (drop(part, owner), *(_plain(sql) for sql in repeatable(pieces(part, owner))))


def _plain(sql: Sql) -> Sql:
    rest = sql.removeprefix("CREATE OR REPLACE ")
    return sql if rest == sql else Sql(f"CREATE {rest}")


def _replaceable(part: Trigger | Rule, version: int) -> bool:
    if isinstance(part, Rule):
        return True
    return version >= _REPLACEABLE_TRIGGERS_SINCE and not part.constraint


def _needs(owner: Table | View, part: Any) -> References:
    return united(needs(pieces(part, owner)), (relation(owner.name),))


def _added(owner: Table | View, part: Trigger | Rule, version: int) -> Step:
    return Step(
        name=_name("create", part, owner),
        phase="expand",
        reason="It holds for what clients write from now on.",
        up=_made(owner, part, version),
        down=(drop(part, owner),),
        needs=_needs(owner, part),
    )


def _removed(owner: Table | View, part: Trigger | Rule, version: int) -> Step:
    return Step(
        name=_name("drop", part, owner),
        phase="contract",
        reason="The old application may count on it, the new one does not.",
        up=(drop(part, owner),),
        down=_made(owner, part, version),
        ends_old=True,
        frees=_needs(owner, part),
    )


def _changed(
    old: Table | View, new: Table | View, before: Trigger | Rule, after: Trigger | Rule, version: int
) -> Step:
    state = () if after.enabled != "origin" else (_state(new, after),)
    state_back = () if before.enabled != "origin" else (_state(old, before),)
    return Step(
        name=_name("replace", after, new),
        phase="expand",
        reason="Replaced in one transaction: there is no moment without it.",
        up=(*_made(new, after, version), *state),
        down=(*_made(old, before, version), *state_back),
        needs=_needs(new, after),
        frees=_needs(old, before),
    )


def _state(owner: Table | View, part: Trigger | Rule) -> Sql:
    action = f"{_ENABLE[part.enabled]} {keyword(_word(part))} {identifier(part.name)}"
    return Sql(f"ALTER TABLE {qualified_name(owner.name)} {action}")


def _enabled(owner: Table | View, before: Trigger | Rule, after: Trigger | Rule) -> Step:
    off = after.enabled == "disabled"
    return Step(
        name=_name("disable" if off else "enable", after, owner),
        phase="contract" if off else "expand",
        reason="Only the catalog changes.",
        up=(_state(owner, after),),
        down=(_state(owner, before),),
    )


# --- statistics ---


def _statistics(old: Table, new: Table) -> Iterator[Step]:
    found = changes(old.statistics, new.statistics, key=lambda part: (part.schema, part.name))
    for part in found.added:
        yield Step(
            name=slug("create", "statistics", part.name),
            phase="expand",
            reason="Filled by the next ANALYZE.",
            up=repeatable(pieces(part, new)),
            down=(drop(part, new),),
            needs=_needs(new, part),
        )
    for before, after in found.changed:
        if replace(before, comment=None) != replace(after, comment=None):
            yield _changed_statistics(old, new, before, after)
    for part in found.removed:
        yield Step(
            name=slug("drop", "statistics", part.name),
            phase="contract",
            reason="The planner does without it; no row is touched.",
            up=(drop(part, old),),
            down=repeatable(pieces(part, old)),
            frees=_needs(old, part),
        )


def _changed_statistics(old: Table, new: Table, before: Statistics, after: Statistics) -> Step:
    if replace(before, comment=None, target=after.target) == replace(after, comment=None):
        forth: tuple[Sql, ...] = (_target(new, after),)
        back: tuple[Sql, ...] = (_target(old, before),)
    else:
        forth = (drop(before, old), *repeatable(pieces(after, new)))
        back = (drop(after, new), *repeatable(pieces(before, old)))
    return Step(
        name=slug("statistics", after.name),
        phase="expand",
        reason="Filled by the next ANALYZE.",
        up=forth,
        down=back,
        needs=_needs(new, after),
    )


def _target(table: Table, part: Statistics) -> Sql:
    target = -1 if part.target is None else part.target
    return Sql(
        f"ALTER STATISTICS {qualified_name(statistics_name(table, part))} SET STATISTICS {number(target)}"
    )

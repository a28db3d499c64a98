"""Views and materialized views.

CREATE OR REPLACE where columns are only appended. Else the view is dropped and made again in one transaction with all
that depends on it, and what hangs on each. A materialized view is built beside the old one and takes its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from data_platform.migration.plan import functions, matviews
from data_platform.migration.plan.dependents import (
    Dependent,
    Touched,
    asides,
    dependents,
    left_out,
    touched_columns,
    touched_references,
)
from data_platform.migration.plan.making import makes, needs, repeatable, united
from data_platform.migration.plan.making_parts import all_views, drop, made_again, pieces
from data_platform.migration.plan.outputs import can_be_replaced, outputs
from data_platform.migration.plan.pair import Changes, Pair, changes
from data_platform.migration.plan.step import Refusal, Step
from data_platform.migration.plan.text import slug
from data_platform.migration.plan.view_settings import settings
from data_platform.model.database import Database, MaterializedView, Name, View
from data_platform.sql.references import Reference, References
from data_platform.sql.text import Sql

AnyView: TypeAlias = View | MaterializedView


def steps(pair: Pair) -> Iterator[Step | Refusal]:
    """Functions that wait for columns, then views."""
    yield from functions.late(pair)
    found = _found(pair)
    groups = _groups(pair, found)
    of_groups = {name for group in groups for name in group.names}
    narrowed = {name for group in groups if group.phase == "contract" for name in group.names}
    for view in found.added:
        late = not narrowed.isdisjoint(_below(pair.after, view))
        yield _added(pair, view, "contract" if late else "expand")
    for old, new in found.changed:
        if new.name not in of_groups:
            yield from _changed(pair, old, new)
    for group in groups:
        yield from group.steps(pair)
    for view in found.removed:
        if view.name not in of_groups:
            yield _removed(pair, view)


def aside(
    pair: Pair,
    touched: Touched,
    form: Literal["after", "before"] = "after",
    *,
    without: Collection[Name] = (),
) -> tuple[tuple[Sql, ...], tuple[Sql, ...]]:
    """Statements that take away the views over relations in `touched` with all that depends on them, and that make it
    again: as it is after, or (`before`) as it was, for a step that comes before the views change. Those of `without`
    stay where they are.
    """
    wanted = pair.after if form == "after" else pair.before
    made = asides(
        wanted,
        left_out(over_views(pair.before, touched), without),
        left_out(over_views(wanted, touched), without),
    )
    return made.drops, made.makes


def over_views(database: Database, touched: Touched) -> tuple[Dependent, ...]:
    """Views over them, and whatever depends on such a view."""
    found = dependents(database, touched_references(touched), touched_columns(touched))
    reached: set[Reference] = set()
    for one in found:
        if isinstance(one.part, AnyView) or not reached.isdisjoint(one.needs):
            reached |= {*one.makes, *_itself(one)}
    return tuple(one for one in found if _itself(one) <= reached)


def _itself(one: Dependent) -> Set[Reference]:
    """Something to remember it by, also where nothing can refer to it."""
    return {Reference("relation", " ".join(one.key[:-1]), one.key[-1])}


def _found(pair: Pair) -> Changes[AnyView]:
    return changes(all_views(pair.before), all_views(pair.after))


def recreated(pair: Pair) -> frozenset[Name]:
    """Views that are dropped and made again, with what hangs on them."""
    return frozenset(name for group in _groups(pair, _found(pair)) for name in group.names)


# --- new and gone ---


def _added(pair: Pair, view: AnyView, phase: Literal["expand", "contract"]) -> Step:
    given = list(pieces(view))
    return Step(
        name=slug("create", view.name),
        phase=phase,
        reason="No client knows it yet, so nothing waits for it.",
        up=repeatable(given),
        down=(drop(view),),
        again="its triggers are there already (42710); nothing is changed"
        if _not_repeatable(view, pair)
        else None,
        makes=makes(given),
        needs=needs(given),
    )


def _not_repeatable(view: AnyView, pair: Pair) -> bool:
    return isinstance(view, View) and bool(view.triggers) and pair.version < 14


def _removed(pair: Pair, view: AnyView) -> Step:
    given = list(pieces(view))
    return Step(
        name=slug("drop", view.name),
        phase="contract",
        reason="The new application does not read it; it holds no rows of its own.",
        up=(drop(view),),
        down=made_again(pair.before, view),
        ends_old=True,
        drops=makes(given),
        frees=needs(given),
    )


# --- changed where it stands ---


def _changed(pair: Pair, old: AnyView, new: AnyView) -> Iterator[Step]:
    if isinstance(old, View) and isinstance(new, View) and old.query != new.query:
        yield _replaced(pair, old, new)
        old = replace(old, query=new.query, options=new.options)
    yield from settings(pair, old, new)


def _replaced(pair: Pair, old: View, new: View) -> Step:
    first = list(pieces(replace(new, defaults=(), column_comments=(), triggers=(), rules=(), comment=None)))
    same = can_be_replaced(outputs(new.query, pair.after), outputs(old.query, pair.before), same_tables=True)
    if same:
        bare = replace(old, defaults=(), column_comments=(), triggers=(), rules=(), comment=None)
        back = repeatable(pieces(bare))
    else:
        seeds = touched_references({old.name})
        gone = asides(pair.before, dependents(pair.after, seeds), dependents(pair.before, seeds))
        back = (*gone.drops, drop(new), *made_again(pair.before, old), *gone.makes)
    return Step(
        name=slug("replace", new.name),
        phase="expand",
        reason="CREATE OR REPLACE: the columns that were there stay as they are, and so do grants and what depends "
        "on the view.",
        up=repeatable(first),
        down=back,
        needs=needs(first),
    )


# --- dropped and made again ---


@dataclass(frozen=True)
class _Group:
    """Views that are made again together: `seeds` because of a change, the others because they depend on these."""

    seeds: tuple[Name, ...]
    names: tuple[Name, ...]
    phase: Literal["expand", "contract"]
    matview: tuple[MaterializedView, MaterializedView] | None
    """A materialized view that can be built beside the old one: what is over it follows."""

    def steps(self, pair: Pair) -> Iterator[Step]:
        """Build beside and swap, or drop and make again."""
        if self.matview is not None:
            yield from matviews.steps(pair, *self.matview, self.phase)
        else:
            yield _made_again(pair, self)


def _groups(pair: Pair, found: Changes[AnyView]) -> tuple[_Group, ...]:
    """Seeds whose dependents overlap are one group."""
    seeds = [(old, new) for old, new in found.changed if _must_be_remade(pair, old, new)]
    reach = {new.name: _names_over(pair, new.name) for _, new in seeds}
    groups: list[tuple[set[Name], set[Name]]] = []
    for _, new in seeds:
        own, names = {new.name}, {new.name, *reach[new.name]}
        for group in [group for group in groups if not group[1].isdisjoint(names)]:
            groups.remove(group)
            own, names = own | group[0], names | group[1]
        groups.append((own, names))
    by_name = {new.name: (old, new) for old, new in seeds}
    return tuple(_group(pair, own, names, by_name) for own, names in groups)


def _group(
    pair: Pair, own: set[Name], names: set[Name], seeds: dict[Name, tuple[AnyView, AnyView]]
) -> _Group:
    wider = all(_only_wider(pair, *seeds[name]) for name in own)
    matview = None
    if len(own) == 1:
        old, new = seeds[next(iter(own))]
        if isinstance(old, MaterializedView) and isinstance(new, MaterializedView) and new.populated:
            matview = (old, new)
    return _Group(tuple(sorted(own)), tuple(sorted(names)), "expand" if wider else "contract", matview)


def _must_be_remade(pair: Pair, old: AnyView, new: AnyView) -> bool:
    if isinstance(old, MaterializedView) and isinstance(new, MaterializedView):
        return (old.query, old.access_method) != (new.query, new.access_method)
    if isinstance(old, View) and isinstance(new, View):
        before, after = outputs(old.query, pair.before), outputs(new.query, pair.after)
        return old.query != new.query and not can_be_replaced(before, after, same_tables=_same_tables(pair))
    return True


def _same_tables(pair: Pair) -> bool:
    """Whether no column that is there before and after has another type."""
    types = {(t.name, c.name): c.type for t in pair.before.tables for c in t.columns}
    return all(types.get((t.name, c.name), c.type) == c.type for t in pair.after.tables for c in t.columns)


def _only_wider(pair: Pair, old: AnyView, new: AnyView) -> bool:
    """Whether all columns of the old view are there by name: the old application finds them."""
    before, after = outputs(old.query, pair.before), outputs(new.query, pair.after)
    if before is None or after is None or isinstance(old, View) != isinstance(new, View):
        return False
    return {one.name for one in before} <= {one.name for one in after}


def _names_over(pair: Pair, name: Name) -> set[Name]:
    seeds = touched_references({name})
    found = (*dependents(pair.before, seeds), *dependents(pair.after, seeds))
    return {one.part.name for one in found if isinstance(one.part, View | MaterializedView)}


def _below(database: Database, view: AnyView) -> set[Name]:
    """The views that it reads, at any distance."""
    return {
        other.name
        for other in all_views(database)
        if any(
            isinstance(one.part, View | MaterializedView) and one.part.name == view.name
            for one in dependents(database, touched_references({other.name}))
        )
    }


def _made_again(pair: Pair, group: _Group) -> Step:
    reverse = replace(pair, before=pair.after, after=pair.before)
    forth, back = _statements(pair, group), _statements(reverse, group)
    filled = [v.name for v in pair.after.materialized_views if v.name in group.names and v.populated]
    return Step(
        name=slug("remake", *group.seeds),
        phase=group.phase,
        reason="CREATE OR REPLACE cannot take away, move or retype a column. So it is dropped and made again in one "
        "transaction, with "
        "what depends on it and all that hangs on each: clients wait for a moment and find it whole.",
        up=forth,
        down=back,
        blocks=f"{', '.join(map(str, filled))} is filled again while nobody can read it, as it depends on a view "
        f"that changes"
        if filled
        else None,
        again="it has become another kind of view already (42809); nothing is changed"
        if _other_kind(pair, group)
        else None,
        ends_old=group.phase == "contract",
        needs=_needs(pair.after, group),
        frees=_needs(pair.before, group),
    )


def _other_kind(pair: Pair, group: _Group) -> bool:
    """Whether a view becomes a materialized one, or the reverse."""
    kinds = {view.name: type(view) for view in all_views(pair.before)}
    return any(
        view.name in group.names and kinds.get(view.name, type(view)) is not type(view)
        for view in all_views(pair.after)
    )


def _statements(pair: Pair, group: _Group) -> tuple[Sql, ...]:
    """From the views as they are in `before` to those of `after`."""
    made = asides(pair.after, _members(pair.before, group), _members(pair.after, group))
    return (*made.drops, *made.makes)


def _members(database: Database, group: _Group) -> tuple[Dependent, ...]:
    """The seeds and all that depends on them, in order."""
    seeds = touched_references(set(group.seeds))
    over = {one.key for one in dependents(database, seeds)}
    every = dependents(database, united(*(_needs_of(view) for view in all_views(database)), seeds))
    wanted = {("view", str(name)) for name in group.seeds}
    return tuple(one for one in every if one.key in over or one.key in wanted)


def _needs_of(view: AnyView) -> References:
    return needs(pieces(view))


def _needs(database: Database, group: _Group) -> References:
    own = touched_references(set(group.names))
    found = united(*(_needs_of(view) for view in all_views(database) if view.name in group.names))
    return tuple(reference for reference in found if reference not in own)

"""A materialized view with another query: built beside the old one while that is read, then given its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from data_platform.ddl.hanging import clustered, statistics_pieces
from data_platform.ddl.views import materialized_view_pieces
from data_platform.migration.plan.access import with_rights
from data_platform.migration.plan.dependents import asides, dependents, touched_references
from data_platform.migration.plan.making import needs, repeatable, statements
from data_platform.migration.plan.making_parts import drop, made_again
from data_platform.migration.plan.pair import Pair
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import beside, slug
from data_platform.model.database import MaterializedView, Name
from data_platform.sql.references import Reference
from data_platform.sql.text import Sql, identifier, qualified_name


def steps(
    pair: Pair, old: MaterializedView, new: MaterializedView, phase: Literal["expand", "contract"]
) -> Iterator[Step]:
    """The build, then the swap."""
    stand_in = _stand_in(new)
    yield _built(stand_in, new, phase)
    yield _swapped(pair, old, new, stand_in, phase)


def _stand_in(new: MaterializedView) -> MaterializedView:
    """The same under names that are free, without what the swap gives it."""
    return replace(
        new,
        name=Name(new.name.schema, beside(new.name.name, "new")),
        indexes=tuple(replace(i, name=beside(i.name, "new"), comment=None) for i in new.indexes),
        statistics=(),
        column_comments=(),
        cluster_on=None,
        comment=None,
    )


def _built(stand_in: MaterializedView, new: MaterializedView, phase: Literal["expand", "contract"]) -> Step:
    pieces = list(materialized_view_pieces(stand_in))
    return Step(
        name=slug("build", new.name),
        phase=phase,
        reason="Beside the old one, which clients go on reading; its indexes come before anybody knows it.",
        up=repeatable(pieces),
        down=(drop(stand_in),),
        again=None,
        makes=(Reference("relation", stand_in.name.schema, stand_in.name.name),),
        needs=needs(pieces),
    )


def _swapped(
    pair: Pair,
    old: MaterializedView,
    new: MaterializedView,
    stand_in: MaterializedView,
    phase: Literal["expand", "contract"],
) -> Step:
    seeds = touched_references({new.name})
    before, after = dependents(pair.before, seeds), dependents(pair.after, seeds)
    forth, back = asides(pair.after, before, after), asides(pair.before, after, before)
    return Step(
        name=slug("swap", new.name),
        phase=phase,
        reason="The new one takes the name in one transaction: readers wait for a moment and find it filled. Taking "
        "it back fills the "
        "old one again under the lock.",
        up=(*forth.drops, drop(old), *_renames(new, stand_in), *_dressed(pair, new), *forth.makes),
        down=(*back.drops, drop(new), *made_again(pair.before, old), *back.makes),
        again="the new one has its name already; there is none to rename (42P01), and nothing is changed",
        ends_old=phase == "contract",
        needs=(Reference("relation", stand_in.name.schema, stand_in.name.name),),
        frees=needs(list(materialized_view_pieces(old))),
    )


def _renames(new: MaterializedView, stand_in: MaterializedView) -> Iterator[Sql]:
    yield Sql(
        f"ALTER MATERIALIZED VIEW {qualified_name(stand_in.name)} RENAME TO {identifier(new.name.name)}"
    )
    for there, wanted in zip(stand_in.indexes, new.indexes, strict=True):
        name = qualified_name(Name(new.name.schema, there.name))
        yield Sql(f"ALTER INDEX {name} RENAME TO {identifier(wanted.name)}")


def _dressed(pair: Pair, new: MaterializedView) -> tuple[Sql, ...]:
    """Statistics, comments, owner and grants under the final name."""
    made = [
        *statistics_pieces(new, "views"),
        *clustered(new, "materialized view", "views"),
        *(
            piece
            for piece in materialized_view_pieces(new)
            if piece.statement.object.startswith("comment on ")
            and not piece.statement.object.startswith("comment on statistics ")
        ),
    ]
    return with_rights(pair.after, "materialized view", qualified_name(new.name), new, statements(made))

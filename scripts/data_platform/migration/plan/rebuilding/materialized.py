"""Materialized views of a table that is built again: each is built again over the new one, and exchanged.

Until then a view shows the old table's rows, which are kept in step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.hanging import index_comments
from data_platform.ddl.pieces import ordered_pieces
from data_platform.migration.plan.rebuilding.names import granted, is_named
from data_platform.migration.plan.rebuilding.trees import Trees
from data_platform.migration.plan.rebuilding.values import same_columns
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import bare, beside, in_schema, slug, spoken
from data_platform.model.database import Database, MaterializedView, Name, View
from data_platform.model.design import Design
from data_platform.sql.references import Reference, of_script
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name


def materialized(trees: Trees) -> tuple[MaterializedView, ...]:
    """Those that read the table and are the same on both sides; where columns change, all views go aside instead."""
    if not same_columns(trees):
        return ()
    return tuple(
        view
        for view in trees.pair.after.materialized_views
        if view in trees.pair.before.materialized_views and _reads(view, trees.name)
    )


def _reads(view: MaterializedView | View, relation: Name) -> bool:
    return is_named(relation, of_script(view.query))


def bound_for_good(trees: Trees) -> Iterator[MaterializedView]:
    """Those that cannot be exchanged: others are built over them, or they are about to change."""
    views = trees.pair.before.materialized_views if same_columns(trees) else ()
    for view in views:
        if _reads(view, trees.name):
            below = any(_reads(other, view.name) for other in views)
            if below or view not in trees.pair.after.materialized_views:
                yield view


def steps(trees: Trees) -> Iterator[Step]:
    """After the swap: built without keeping anybody waiting, then exchanged."""
    for view in materialized(trees):
        stand_in = beside(view.name.name, "new")
        made = Reference("relation", view.name.schema, stand_in)
        yield Step(
            name=slug("create", Name(view.name.schema, stand_in)),
            phase="contract",
            reason=f"{spoken(view.name)} is bound to the old table. Its successor is filled while clients read it.",
            up=tuple(_built(trees, view)),
            one_way="its successor goes when the table is taken back",
            again="it is there already (42P07); nothing is changed",
            makes=(made,),
            needs=(Reference("relation", trees.name.schema, trees.name.name),),
        )
        yield Step(
            name=slug("exchange", view.name),
            phase="contract",
            reason="Only names change, so the lock is short.",
            up=tuple(_exchanged(trees, view)),
            one_way="it is built again when the table is taken back",
            again="there is no successor any more (42P01); nothing is changed",
            needs=(made,),
            frees=(Reference("relation", trees.old.name.schema, trees.old.name.name),),
        )


def again(trees: Trees) -> Iterator[Sql]:
    """The same at once, once the old table has its name back."""
    for view in materialized(trees):
        yield from _built(trees, view)
        yield from _exchanged(trees, view)


def _built(trees: Trees, view: MaterializedView) -> Iterator[Sql]:
    name = Name(view.name.schema, beside(view.name.name, "new"))
    stand_in = replace(
        view,
        name=name,
        indexes=tuple(replace(index, name=beside(index.name, "new"), comment=None) for index in view.indexes),
        statistics=tuple(replace(one, name=beside(one.name, "new")) for one in view.statistics),
        cluster_on=beside(view.cluster_on, "new") if view.cluster_on else None,
    )
    grants = (g for g in trees.pair.after.grants if g.kind == "table" and g.object == granted(view.name))
    database = Database(
        materialized_views=(stand_in,), grants=tuple(replace(grant, object=granted(name)) for grant in grants)
    )
    for piece in ordered_pieces(
        Design(store="", server_version=trees.pair.version, database=database)
    ).pieces:
        yield bare(piece.statement.sql)


def _exchanged(trees: Trees, view: MaterializedView) -> Iterator[Sql]:
    old, new = (Name(view.name.schema, beside(view.name.name, label)) for label in ("old", "new"))
    yield Sql(f"ALTER MATERIALIZED VIEW {qualified_name(view.name)} RENAME TO {identifier(old.name)}")
    yield Sql(f"ALTER MATERIALIZED VIEW {qualified_name(new)} RENAME TO {identifier(view.name.name)}")
    for other in trees.pair.after.views:
        if _reads(other, view.name) and other in trees.pair.before.views:
            text = bare(render("ddl/view.sql.j2", view=other))
            yield Sql(text.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
    yield Sql(f"DROP MATERIALIZED VIEW {qualified_name(old)}")
    for index in view.indexes:
        stand_in = in_schema(view.name, beside(index.name, "new"))
        yield Sql(f"ALTER INDEX {stand_in} RENAME TO {identifier(index.name)}")
    for one in view.statistics:
        name = Name(one.schema or view.name.schema, beside(one.name, "new"))
        yield Sql(f"ALTER STATISTICS {qualified_name(name)} RENAME TO {identifier(one.name)}")
    yield from (bare(piece.statement.sql) for piece in index_comments(view, "views"))

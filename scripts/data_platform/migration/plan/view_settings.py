"""What changes of a view or materialized view without its query: options, defaults, statistics, its rows."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan.making import repeatable, statements
from data_platform.migration.plan.making_parts import drop, pieces, view_kind
from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import slug
from data_platform.model.database import MaterializedView, Options, View
from data_platform.sql.phrases import default, storage_options
from data_platform.sql.text import Sql, identifier, options, qualified_name


def settings(pair: Pair, old: View | MaterializedView, new: View | MaterializedView) -> Iterator[Step]:
    """All that ALTER can change."""
    forth, back = tuple(_actions(old, new)), tuple(_actions(new, old))
    if forth:
        yield Step(
            name=slug("settings", new.name),
            phase="expand",
            reason="Only the catalog changes.",
            up=tuple(_altered(new, action) for action in forth),
            down=tuple(_altered(new, action) for action in back),
        )
    if isinstance(old, MaterializedView) and isinstance(new, MaterializedView):
        yield from _statistics(old, new)
        if old.populated != new.populated:
            yield _refreshed(old, new)


def _altered(view: View | MaterializedView, action: Sql) -> Sql:
    return Sql(f"ALTER {view_kind(view).upper()} {qualified_name(view.name)} {action}")


def _actions(old: View | MaterializedView, new: View | MaterializedView) -> Iterator[Sql]:
    yield from _options(old.options, new.options, is_view=isinstance(new, View))
    if isinstance(old, View) and isinstance(new, View):
        yield from _defaults(dict(old.defaults), dict(new.defaults))
    if (
        isinstance(old, MaterializedView)
        and isinstance(new, MaterializedView)
        and old.cluster_on != new.cluster_on
    ):
        yield Sql(f"CLUSTER ON {identifier(new.cluster_on)}" if new.cluster_on else "SET WITHOUT CLUSTER")


def _options(old: Options, new: Options, *, is_view: bool) -> Iterator[Sql]:
    gone = [key for key, _ in old if key not in dict(new)]
    if gone:
        yield Sql(f"RESET ({', '.join('.'.join(map(identifier, key.split('.'))) for key in gone)})")
    more = tuple(pair for pair in new if pair not in old)
    if more:
        yield Sql(f"SET ({options(more) if is_view else storage_options(more)})")


def _defaults(old: dict[str, str], new: dict[str, str]) -> Iterator[Sql]:
    for column in old.keys() - new.keys():
        yield Sql(f"ALTER COLUMN {identifier(column)} DROP DEFAULT")
    for column, text in new.items():
        if old.get(column) != text:
            yield Sql(f"ALTER COLUMN {identifier(column)} SET DEFAULT {default(text)}")


def _statistics(old: MaterializedView, new: MaterializedView) -> Iterator[Step]:
    found = changes(old.statistics, new.statistics)
    gone = [*found.removed, *(before for before, _ in found.changed)]
    made = [*found.added, *(after for _, after in found.changed)]
    if gone or made:
        yield Step(
            name=slug("statistics", new.name),
            phase="expand",
            reason="Filled by the next ANALYZE.",
            up=(
                *(drop(one, old) for one in (*gone, *made)),
                *(sql for one in made for sql in repeatable(pieces(one, new))),
            ),
            down=(
                *(drop(one, new) for one in (*made, *gone)),
                *(sql for one in gone for sql in statements(pieces(one, old))),
            ),
        )


def _refreshed(old: MaterializedView, new: MaterializedView) -> Step:
    forth, back = (Sql("" if view.populated else " WITH NO DATA") for view in (new, old))
    name = qualified_name(new.name)
    return Step(
        name=slug("refresh", new.name),
        phase="expand" if new.populated else "contract",
        reason="Nobody can read it before that."
        if new.populated
        else "Its rows go, and nobody can read it any more.",
        up=(Sql(f"REFRESH MATERIALIZED VIEW {name}{forth}"),),
        down=(Sql(f"REFRESH MATERIALIZED VIEW {name}{back}"),),
        ends_old=not new.populated,
    )

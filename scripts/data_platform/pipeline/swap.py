"""A target of the pattern snapshot as a new table that takes the old one's name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from data_platform.errors import UsageProblem
from data_platform.postgres.pipelines import merging, relations, swapping
from data_platform.postgres.pipelines.beside import Beside
from data_platform.postgres.pipelines.merging import Merge
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.spec.pipeline import Deletes, Target


@dataclass(frozen=True)
class Swapped:
    """What was built, and what the exchange will have done: all rows are written, all old ones go."""

    counts: Counts
    beside: tuple[Beside, ...] = ()


def built(state: State, target: Target, unit: str, wanted: Merge, deletes: Deletes) -> Swapped | None:
    """The new table; None where the old one is changed in place: it is empty, or has newer rows, or rows are set aside.

    Raises UsageProblem: something holds on to the old table, or it has columns that the source does not give.
    """
    connection, table = state.connection, wanted.target
    if relations.is_empty(connection, table.name):
        return None
    _refuse_more_columns(wanted, swapping.made_by_itself(connection, target.table))
    aside = merging.set_aside(state, target.source, unit, wanted.relation, wanted.fitting, table.name)
    if aside or merging.has_newer(connection, wanted):
        return None
    rows = merging.whole_rows(wanted)
    read = merging.count(connection, wanted.relation)
    if merging.is_same(connection, wanted, rows):
        return Swapped(Counts(read, unchanged=read))
    if deletes.missing:
        merging.refuse_missing(connection, replace(wanted, at_most=deletes.at_most))
    made = swapping.built_or_refused(connection, target.table, table, rows, wanted.columns)
    if made is None:
        return None
    written, deleted = made.rows, merging.count(connection, table.name)
    return Swapped(Counts(read, inserted=written, deleted=deleted, unchanged=read - written), (made,))


def _refuse_more_columns(wanted: Merge, made_by_itself: frozenset[str]) -> None:
    kept = (*wanted.target.writable, *sorted(made_by_itself - set(wanted.target.writable)))
    more = [name for name in kept if name not in wanted.columns]
    if more:
        raise UsageProblem(
            f"{wanted.target.name} has columns that its source does not give: {', '.join(more)}",
            expected="all of them, since a new table would lose what is in the others",
            try_="leave out `swap: true`, which leaves them as they are",
        )

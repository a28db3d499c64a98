"""Targets that checkpoints speak of and that are gone or empty now: what was read into them is not read again."""

from __future__ import annotations

from collections.abc import Sequence

from data_platform.errors import UsageProblem
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.writing import Work
from data_platform.postgres.pipelines.relations import is_empty, read_relation, seems_empty, table_name
from data_platform.postgres.pipelines.state import LEFT

RELOAD = "dpe pipeline run --reload: everything that the sources have is read again"


def are_gone(work: Work, found: Sequence[Chain]) -> bool:
    """Whether one of these targets is not there, or holds no row and can be filled again without doubling another."""
    connection = work.state.connection
    names = [table_name(chain.target.table) for chain in found]
    if any(read_relation(connection, name) is None for name in names):
        return True
    return all(chain.target.key for chain in found) and any(is_empty(connection, name) for name in names)


def refuse_gone(work: Work, found: Sequence[Chain], step: str, try_: str = RELOAD) -> None:
    """UsageProblem where a target of a step that has checkpoints is not there: a run would only add what is new."""
    if not work.state.positions(step):
        return
    for chain in found:
        if read_relation(work.state.connection, table_name(chain.target.table)) is None:
            raise UsageProblem(
                f"{chain.target.table} is not there, and what was read for it before is not read again",
                where=work.spec.file,
                expected="the table; one that was made empty by hand takes what is new only",
                try_=f"restore it; or {try_}",
            )


def refuse_emptied(work: Work, found: Sequence[Chain], try_: str) -> None:
    """UsageProblem where a copy that the last run left with rows has none: no change of the source took them away."""
    for table in emptied(work, found):
        raise UsageProblem(
            f"{table} is empty, and the last run left rows in it: what took them away is not in the stream",
            where=work.spec.file,
            try_=try_,
        )


# --- what a run left ---


def note_left(work: Work, found: Sequence[Chain]) -> None:
    """Which of these targets hold rows, in the transaction that has brought them there."""
    known = work.state.positions(LEFT)
    for table in {chain.target.table: None for chain in found}:
        now = {"filled": seems_empty(work.state.connection, table_name(table)) is False}
        if known.get(str(table)) != now:
            work.state.checkpoint(LEFT, str(table), now)


def emptied(work: Work, found: Sequence[Chain]) -> tuple[str, ...]:
    """Those of these targets that the last run left with rows, and that have none now."""
    filled = work.state.left_filled()
    tables = {chain.target.table: None for chain in found}
    return tuple(
        str(table)
        for table in tables
        if str(table) in filled and seems_empty(work.state.connection, table_name(table))
    )


def forget_read(work: Work, found: Sequence[Chain], step: str) -> None:
    """What was read of a source, so that all of it is read again; a run that is killed then goes on with it.

    UsageProblem where rows would be there twice: without a key, or in a dimension whose times are those of the runs.
    """
    state = work.state
    with state.connection.transaction():
        for chain in found:
            target, name = chain.target, table_name(chain.target.table)
            is_told = target.key and (work.spec.pattern != "scd" or target.version)
            if is_told or read_relation(state.connection, name) is None or is_empty(state.connection, name):
                continue
            lacks = "`version:`" if target.key else "key"
            raise UsageProblem(
                f"{target.table} has rows and no {lacks}: read again, they would be there twice",
                where=work.spec.file,
                try_=f"TRUNCATE {name}; first",
            )
        state.forget_step(step)

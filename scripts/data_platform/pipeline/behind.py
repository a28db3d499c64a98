"""Targets that checkpoints speak of and that are not there any more: what was read into them is not read again."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from data_platform.errors import UsageProblem
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.writing import Work
from data_platform.postgres.pipelines.relations import is_empty, read_relation, table_name
from data_platform.sql.text import literal, phrase


def are_gone(work: Work, found: Sequence[Chain]) -> bool:
    """Whether one of these targets is not there, or holds no row and can be filled again without doubling another."""
    connection = work.state.connection
    names = [table_name(chain.target.table) for chain in found]
    if any(read_relation(connection, name) is None for name in names):
        return True
    return all(chain.target.key for chain in found) and any(is_empty(connection, name) for name in names)


def refuse_gone(work: Work, found: Sequence[Chain], step: str, *, try_: str | None = None) -> None:
    """UsageProblem where a target of a step that has checkpoints is not there: a run would only add what is new.

    `try_`, where it is not that the checkpoints go.
    """
    if not work.state.positions(step):
        return
    for chain in found:
        if read_relation(work.state.connection, table_name(chain.target.table)) is None:
            forget = phrase(
                "DELETE FROM {checkpoints} WHERE pipeline = {pipeline} AND step = {step};",
                checkpoints=work.state.table("checkpoints"),
                pipeline=literal(work.spec.name),
                step=literal(step),
            )
            keyed = all(one.target.key for one in found)
            doubled = "" if keyed else ", and empty the other targets, which have no key"
            raise UsageProblem(
                f"{chain.target.table} is not there, and what was read for it before is not read again",
                where=work.spec.file,
                expected="the table; one that was made empty by hand takes what is new only",
                try_=try_ or f"restore it; or, to read all of it again: {forget}{doubled}",
            )


def refuse_emptied(work: Work, found: Sequence[Chain], filled: Collection[str], try_: str) -> None:
    """UsageProblem where a copy that the last run left with rows has none: no change of the source took them away."""
    for chain in found:
        table = chain.target.table
        if str(table) in filled and is_empty(work.state.connection, table_name(table)):
            raise UsageProblem(
                f"{table} is empty, and the last run left rows in it: what took them away is not in the stream",
                where=work.spec.file,
                try_=try_,
            )

"""Projections and collections that a spec names no more: their places hold the outbox back until they are let go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.model.database import Name
from data_platform.pipeline import relaying
from data_platform.pipeline.events import dropped
from data_platform.pipeline.projecting import MADE, NEXT
from data_platform.pipeline.steps import Step
from data_platform.pipeline.writing import Work
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines import relations
from data_platform.postgres.pipelines.models import behind
from data_platform.postgres.pipelines.sessions import telling
from data_platform.postgres.pipelines.state import Counts, State
from data_platform.spec.pipeline import Pipeline
from data_platform.sql.text import literal, phrase, qualified

STEPS = (MADE, NEXT, relaying.STEP)
"""Under which a run has remembered what it made."""


@dataclass(frozen=True)
class Left:
    """One that is in the store and not in the spec. `events` are those that it keeps there."""

    name: str
    kind: str
    events: int


def left_by(spec: Pipeline, conninfo: str) -> tuple[Left, ...]:
    """What earlier runs of this pipeline made and the spec names no more."""
    if spec.pattern not in ("events", "cqrs"):
        return ()
    with connect(conninfo, read_only=True) as connection, telling(conninfo):
        state = State(connection, spec.state_schema, spec.name)
        if not state.exists():
            return ()
        schema, table = _feed(spec)
        waiting = behind(connection, qualified(schema, "readers"), qualified(schema, table))
        return tuple(
            Left(name, kind, waiting[name].events if name in waiting else 0)
            for name, kind in _left(spec, state)
        )


def _feed(spec: Pipeline) -> tuple[str, str]:
    events = spec.kept.events
    return (events.schema, "events") if events else (spec.kept.outbox, "outbox")


def _left(spec: Pipeline, state: State) -> Iterator[tuple[str, str]]:
    for step, kind, named in (
        (MADE, "projection", {one.name for one in spec.kept.projections}),
        (relaying.STEP, "collection", {one.name for one in spec.kept.collections}),
    ):
        for name in sorted(state.positions(step).keys() - named):
            yield name, kind


def let_go(work: Work) -> Iterator[Step]:
    """Each of them in a transaction: its place, and of a projection its tables; before that a collection's points.

    UsageProblem where views of others read the tables. EnvironmentProblem where the points cannot be taken away.
    """
    state, schema = work.state, _feed(work.spec)[0]
    for name, kind in [*_left(work.spec, state)]:
        started = time.monotonic()
        way = "let go" if kind == "projection" else _without_points(work, schema, name)
        with telling(work.place.conninfo), state.connection.transaction():
            relations.run(state.connection, dropped(Name(schema, name), tables=kind == "projection"))
            for step in STEPS:
                state.forget(step, name)
        yield Step(schema, f"the {kind}", name, Counts(), way, time.monotonic() - started)


def _without_points(work: Work, schema: str, name: str) -> str:
    relay = relaying.relay_name(work.spec, name)
    try:
        known = relaying.taken_away(work, name)
    except (EnvironmentProblem, UsageProblem) as problem:
        told = f"the points of the collection {name} cannot be taken away: {problem.what}"
        by_hand = [
            phrase(
                "DELETE FROM {readers} WHERE name = {name};",
                readers=qualified(schema, "readers"),
                name=literal(name),
            ),
            phrase(
                "DELETE FROM {checkpoints} WHERE pipeline = {pipeline} AND step = {step} AND unit = {name};",
                checkpoints=work.state.table("checkpoints"),
                pipeline=literal(work.spec.name),
                step=literal(relaying.STEP),
                name=literal(name),
            ),
        ]
        try_ = f"the same command once that is mended; or, where the server is gone for good: {' '.join(by_hand)}"
        raise type(problem)(told, where=problem.where, try_=try_) from problem
    return (
        "let go with its points"
        if known
        else f"let go; its points stay in Qdrant, with {relay} as _dpe.relay"
    )

"""How far what a pipeline keeps is behind what it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines import views
from data_platform.postgres.pipelines.models import behind
from data_platform.postgres.pipelines.sessions import telling
from data_platform.spec.pipeline import Pipeline
from data_platform.sql.text import qualified


@dataclass(frozen=True)
class Standing:
    """One view or read model. `age_seconds` is None where it was never filled; `told` says more."""

    name: str
    age_seconds: float | None
    told: str


def standing_of(spec: Pipeline, conninfo: str) -> Iterator[Standing]:
    """Each that the spec names; nothing for patterns that write tables of their own."""
    if spec.kept.views:
        yield from _views(spec, conninfo)
    if spec.kept.projections or spec.kept.collections:
        yield from _projections(spec, conninfo)


def _views(spec: Pipeline, conninfo: str) -> Iterator[Standing]:
    with connect(conninfo, read_only=True) as connection, telling(conninfo):
        names = [one.name for one in spec.kept.views]
        found = views.refreshed(connection, spec.state_schema, names)
    for name in names:
        one = found.get(name)
        how = "" if one is None else f"{one.rows:,} rows, refreshed in {one.seconds:.2f} s"
        yield Standing(str(name), one.age_seconds if one else None, how)


def _projections(spec: Pipeline, conninfo: str) -> Iterator[Standing]:
    """A read model is as old as the oldest event that it has not read."""
    events = spec.kept.events
    schema, table = (events.schema, "events") if events else (spec.kept.outbox, "outbox")
    with connect(conninfo, read_only=True) as connection, telling(conninfo):
        found = behind(connection, qualified(schema, "readers"), qualified(schema, table))
    names = [one.name for one in spec.kept.projections] + [one.name for one in spec.kept.collections]
    for name in names:
        there = found.get(name)
        age = None if there is None else there.age_seconds or 0.0
        yield Standing(name, age, "" if there is None else f"{there.events:,} events not read")

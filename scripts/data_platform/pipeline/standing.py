"""How far what a pipeline keeps is behind what it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines import views
from data_platform.postgres.pipelines.sessions import telling
from data_platform.spec.pipeline import Pipeline


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


def _views(spec: Pipeline, conninfo: str) -> Iterator[Standing]:
    with connect(conninfo, read_only=True) as connection, telling(conninfo):
        names = [one.name for one in spec.kept.views]
        found = views.refreshed(connection, spec.state_schema, names)
    for name in names:
        one = found.get(name)
        how = "" if one is None else f"{one.rows:,} rows, refreshed in {one.seconds:.2f} s"
        yield Standing(str(name), one.age_seconds if one else None, how)

"""All faults, one after another, and what they say together."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.pipeline.plan import chains
from data_platform.pipeline.prove.faults import Fault, NotTried, Tell, Trials, Truth
from data_platform.pipeline.prove.following import LOGICAL
from data_platform.pipeline.prove.living import LivingTrials
from data_platform.pipeline.prove.trial import Made
from data_platform.postgres.server import Server, embedded_server
from data_platform.spec.checks import Check
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.pipeline_patterns import WITHIN

_SERVER_KILLS = 3
_CUTS = 3


@dataclass(frozen=True)
class Proof:
    """What was tried and what came of it. `rows` are those of each target after an uninterrupted run."""

    faults: tuple[Fault, ...]
    not_tried: tuple[NotTried, ...]
    rows: dict[str, int]
    where: str
    seconds: float
    """An uninterrupted run."""

    @property
    def good(self) -> bool:
        return all(one.equal for one in self.faults)


def prove(server: Server, spec: Pipeline, *, kills: int, rows: int, seed: int, tell: Tell) -> Proof:
    """Try the pipeline on an embedded server. UsageProblem where its sources cannot be stood in for."""
    refuse_unprovable(spec)
    # Rows are made up from types; what else must hold of them is not known, and is not tried.
    checked, spec = spec.checks, replace(spec, checks=())
    with ExitStack() as stack:
        followed = stack.enter_context(embedded_server(settings=LOGICAL)) if spec.pattern == "cdc" else None
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dpe-prove-"))
        trials = _trials(server, spec, Path(folder), rows, seed, followed)
        tell("an uninterrupted run", 0.0)
        truth, twice = trials.truth()
        found: list[Fault | NotTried] = [twice]
        if twice.name != "run":
            found += _all(trials, truth, kills, tell)
    return Proof(
        faults=tuple(one for one in found if isinstance(one, Fault)),
        not_tried=(
            *(one for one in found if isinstance(one, NotTried)),
            *_stand_ins(spec),
            *_engines(spec),
            *_unchecked(checked),
            NotTried(
                "disk full", "this machine's own disk is not filled; the package's tests do it on a small one"
            ),
        ),
        rows={table: counter.total() for table, counter in truth.content.items()},
        where=server.describe(),
        seconds=truth.seconds,
    )


def _trials(
    server: Server, spec: Pipeline, folder: Path, rows: int, seed: int, followed: Server | None
) -> Trials:
    """Of the family that the pattern is of."""
    made = Made(spec, chains(spec), rows=rows, seed=seed, followed=followed)
    family = LivingTrials if spec.pattern in WITHIN else Trials
    return family(server, made, folder, seed)


def _all(trials: Trials, truth: Truth, kills: int, tell: Tell) -> list[Fault | NotTried]:
    found: list[Fault | NotTried] = list(trials.killed(truth, kills, tell))
    tell("the server killed", 0.75)
    found += trials.server_killed(truth, min(_SERVER_KILLS, kills))
    tell("connections cut", 0.82)
    found += trials.cut_off(truth, min(_CUTS, kills))
    tell("two at once", 0.87)
    found.append(trials.two_at_once(truth))
    found += trials.others(truth, tell)
    return found


def _unchecked(checks: tuple[Check, ...]) -> Iterator[NotTried]:
    if checks:
        yield NotTried("checks", "rows are made up from types; checks are of real ones")


def _stand_ins(spec: Pipeline) -> Iterator[NotTried]:
    for source in spec.sources:
        if source.dsn is not None:
            yield NotTried(
                f"the server of {source.name}", "a table on the embedded PostgreSQL stood in for it"
            )


def _engines(spec: Pipeline) -> Iterator[NotTried]:
    for one in spec.kept.collections:
        yield NotTried(f"the server of {one.name}", "Qdrant's engine in this process stood in for it")


def refuse_unprovable(spec: Pipeline) -> None:
    """UsageProblem for sources that no data can be made for."""
    for source in spec.sources:
        path = Path(source.path or "")
        if path.is_absolute() or ".." in path.parts:
            raise UsageProblem(
                f"`{source.path}` leads out of the spec's folder",
                where=spec.file,
                expected="a path below it: a proof makes files of its own in a copy of that folder",
            )
        if source.dsn is not None and source.table is None:
            raise UsageProblem(
                f"the tables behind the query of `{source.name}` are not known",
                where=spec.file,
                try_="table: instead of query:, and the SQL as a transform",
            )
    known = {one.table for one in spec.sources} | {one.name for one in spec.kept.views}
    known |= {one.view for one in spec.kept.summaries}
    for view in spec.kept.views:
        for name in sorted(view.reads - known, key=str):
            if name.schema not in ("pg_catalog", "information_schema"):
                raise UsageProblem(
                    f"{view.name} reads {name}, which is none of the sources",
                    where=spec.file,
                    expected="sources: with each table and its columns, so that rows can be made for it",
                )

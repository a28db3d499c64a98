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
from data_platform.pipeline.prove.trial import Made
from data_platform.postgres.server import Server, embedded_server
from data_platform.spec.checks import Check
from data_platform.spec.pipeline import Pipeline

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
        made = Made(spec, chains(spec), rows=rows, seed=seed, followed=followed)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dpe-prove-"))
        trials = Trials(server, made, Path(folder), seed)
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
            *_unchecked(checked),
            NotTried(
                "disk full", "this machine's own disk is not filled; the package's tests do it on a small one"
            ),
        ),
        rows={table: counter.total() for table, counter in truth.content.items()},
        where=server.describe(),
        seconds=truth.seconds,
    )


def _all(trials: Trials, truth: Truth, kills: int, tell: Tell) -> list[Fault | NotTried]:
    found: list[Fault | NotTried] = list(trials.killed(truth, kills, tell))
    tell("the server killed", 0.75)
    found += trials.server_killed(truth, min(_SERVER_KILLS, kills))
    tell("connections cut", 0.82)
    found += trials.cut_off(truth, min(_CUTS, kills))
    tell("two at once", 0.87)
    found += [trials.two_at_once(truth), trials.out_of_order(truth), trials.doubled(truth)]
    found += trials.source_hit(truth)
    tell("torn rows and drift", 0.93)
    found += [*trials.torn(truth), *trials.drifted(truth), trials.source_down(truth)]
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

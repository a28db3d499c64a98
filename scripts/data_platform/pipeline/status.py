"""Whether a pipeline keeps what its spec promises, by what its runs wrote down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_platform.pipeline.standing import Standing, standing_of
from data_platform.postgres.pipelines.looking import Seen, look
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import Pipeline


@dataclass(frozen=True)
class Status:
    """What is there, and what is against it."""

    seen: Seen
    findings: tuple[Finding, ...]
    standing: tuple[Standing, ...] = ()


def status(spec: Pipeline, conninfo: str) -> Status:
    """The last runs against the spec's service levels."""
    seen = look(conninfo, spec.state_schema, spec.name)
    standing = tuple(standing_of(spec, conninfo))
    return Status(seen, (*_findings(spec, seen), *_old(spec, seen, standing)), standing)


def _old(spec: Pipeline, seen: Seen, standing: Sequence[Standing]) -> Iterator[Finding]:
    """What is kept and older than the spec allows, where the last run is not."""
    allowed = spec.levels.freshness
    if allowed is None or seen.age_seconds is None or seen.age_seconds > allowed:
        return
    for one in standing:
        if one.age_seconds is None or one.age_seconds > allowed:
            age = (
                "it was never filled" if one.age_seconds is None else f"it is {one.age_seconds:,.0f} s behind"
            )
            message = f"{one.name} may be {allowed:,.0f} s behind; {age}"
            yield _finding(spec, "error", "not-fresh", message, "dpe pipeline run, and look at the schedule")


def _findings(spec: Pipeline, seen: Seen) -> Iterator[Finding]:
    if not seen.runs:
        yield _finding(spec, "warning", "never-ran", "this pipeline has never run here", "dpe pipeline run")
        return
    last = seen.runs[0]
    if last.status in ("failed", "stopped"):
        message = f"the last run {last.status}: {last.error or 'its process ended in the middle'}"
        yield _finding(
            spec, "error", "run-failed", message, "dpe pipeline run: it goes on where that one stopped"
        )
    levels = spec.levels
    if levels.freshness is not None and (seen.age_seconds is None or seen.age_seconds > levels.freshness):
        age = "there is none" if seen.age_seconds is None else f"it is {seen.age_seconds:,.0f} s old"
        message = f"the last good run may be {levels.freshness:,.0f} s old; {age}"
        yield _finding(spec, "error", "not-fresh", message, "dpe pipeline run, and look at the schedule")
    if last.finished_at is not None and levels.duration is not None:
        took = (last.finished_at - last.started_at).total_seconds()
        if took > levels.duration:
            message = f"the last run took {took:,.0f} s; {levels.duration:,.0f} s are allowed"
            yield _finding(spec, "error", "too-slow", message, None)
    held = sum(one.rows for one in seen.held)
    if held:
        message = f"rows are in quarantine for {len(seen.held)} reasons"
        yield _finding(
            spec, "warning", "in-quarantine", message, "mend them at the source, which then gives them again"
        )


def _finding(spec: Pipeline, severity: str, rule: str, message: str, fix: str | None) -> Finding:
    return Finding(
        rule=rule,
        severity="error" if severity == "error" else "warning",
        message=message,
        evidence="measured",
        file=spec.file,
        object=spec.name,
        fix=fix,
    )

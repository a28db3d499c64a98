"""Whether a pipeline keeps what its spec promises, by what its runs wrote down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_platform.postgres.pipelines.looking import Seen, look
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import Pipeline


@dataclass(frozen=True)
class Status:
    """What is there, and what is against it."""

    seen: Seen
    findings: tuple[Finding, ...]


def status(spec: Pipeline, conninfo: str) -> Status:
    """The last runs against the spec's service levels."""
    seen = look(conninfo, spec.state_schema, spec.name)
    return Status(seen, tuple(_findings(spec, seen)))


def _findings(spec: Pipeline, seen: Seen) -> Iterator[Finding]:
    if not seen.runs:
        yield _finding(spec, "warning", "never-ran", "this pipeline has never run here", "dpe pipeline run")
        return
    # A replay that is done says nothing of a run that failed before it.
    last = next((one for one in seen.runs if one.kind == "run" or one.status != "done"), seen.runs[0])
    if last.status in ("failed", "stopped"):
        what, command = ("run", "run") if last.kind == "run" else ("replay of quarantine", "replay")
        message = f"the last {what} {last.status}: {last.error or 'its process ended in the middle'}"
        yield _finding(
            spec, "error", "run-failed", message, f"dpe pipeline {command}: it goes on where that one stopped"
        )
    levels = spec.levels
    if levels.freshness is not None and (seen.age_seconds is None or seen.age_seconds > levels.freshness):
        age = "there is none" if seen.age_seconds is None else f"it is {seen.age_seconds:,.0f} s old"
        message = f"the last good run may be {levels.freshness:,.0f} s old; {age}"
        yield _finding(spec, "error", "not-fresh", message, "dpe pipeline run, and look at the schedule")
    if last.kind == "run" and last.finished_at is not None and levels.duration is not None:
        took = (last.finished_at - last.started_at).total_seconds()
        if took > levels.duration:
            message = f"the last run took {took:,.0f} s; {levels.duration:,.0f} s are allowed"
            yield _finding(spec, "error", "too-slow", message, None)
    held = sum(one.rows for one in seen.held)
    if held:
        message = f"rows are in quarantine for {len(seen.held)} reasons"
        fix = "mend them at the source, or what refuses them, then dpe pipeline replay"
        yield _finding(spec, "warning", "in-quarantine", message, fix)


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

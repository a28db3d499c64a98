"""Whether a pipeline keeps what its spec promises, by what its runs wrote down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from data_platform.pipeline.capturing import slot_of
from data_platform.pipeline.leaving import left_by
from data_platform.pipeline.standing import Standing, standing_of
from data_platform.pipeline.streams import Place
from data_platform.postgres.pipelines.looking import Seen, look
from data_platform.postgres.replication.slots import Slot, look_at
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import Pipeline
from data_platform.sql.text import identifier

HELD_AT_MOST = 1 << 30
"""Bytes of WAL that a slot may hold back before it is a finding: a gigabyte, 64 files."""


@dataclass(frozen=True)
class Status:
    """What is there, and what is against it."""

    seen: Seen
    findings: tuple[Finding, ...]
    slot: Slot | None = None
    """cdc: what the source keeps for this pipeline."""
    standing: tuple[Standing, ...] = ()


def status(spec: Pipeline, conninfo: str, addresses: Mapping[str, str] = MappingProxyType({})) -> Status:
    """The last runs against the spec's service levels; for cdc the source's slot too. `addresses` as of a Place."""
    seen = look(conninfo, spec.state_schema, spec.name, [one.table for one in spec.targets])
    standing = tuple(standing_of(spec, conninfo))
    found = (
        *_findings(spec, seen),
        *_behind(spec, seen),
        *_old(spec, seen, standing),
        *_left(spec, conninfo),
    )
    if spec.pattern != "cdc":
        return Status(seen, found, standing=standing)
    source = Place(conninfo, Path(), addresses=addresses).address(spec.sources[0])
    slot = look_at(source, slot_of(spec))
    return Status(seen, (*found, *_of_slot(spec, slot, copied=bool(seen.runs))), slot)


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


def _behind(spec: Pipeline, seen: Seen) -> Iterator[Finding]:
    """Targets that somebody else dropped or emptied."""
    option = {"etl": "", "snapshot": "", "cdc": " --resnapshot"}.get(
        spec.pattern, " --reload, unless it is meant"
    )
    fix = f"dpe pipeline run{option}"
    for table in seen.gone:
        message = f"{table} is gone, and the last run left rows in it"
        yield _finding(spec, "error", "target-gone", message, fix)
    for table in seen.emptied:
        message = f"{table} is empty, and the last run left rows in it"
        yield _finding(spec, "warning", "target-emptied", message, fix)


def _left(spec: Pipeline, conninfo: str) -> Iterator[Finding]:
    """What the spec names no more and is kept still."""
    for one in left_by(spec, conninfo):
        if one.kind == "outbox":
            message = f"the outbox {one.name} is not in the spec any more, and triggers fill it on"
            fix = f"once no other spec has it: DROP SCHEMA {identifier(one.name)} CASCADE;"
            yield _finding(spec, "warning", "not-in-the-spec", message, fix)
            continue
        held = "" if spec.kept.events else f", and holds the outbox back: {one.events:,} events not read"
        message = f"the {one.kind} {one.name} is not in the spec any more{held}"
        goes = "its tables go" if one.kind == "projection" else "its points go"
        fix = f"put it back, or dpe pipeline run --drop-removed: {goes}"
        yield _finding(spec, "warning", "not-in-the-spec", message, fix)


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
    if seen.rows_held:
        message = f"rows in quarantine: {seen.rows_held:,}; reasons: {len(seen.held):,}"
        fix = "mend them at the source, or what refuses them, then dpe pipeline replay"
        yield _finding(spec, "warning", "in-quarantine", message, fix)


def _of_slot(spec: Pipeline, slot: Slot | None, *, copied: bool) -> Iterator[Finding]:
    """A slot that is lost, about to be, or without a bound on what it makes the source keep."""
    name = slot_of(spec)
    if slot is None:
        if copied:
            message = f"the source has no slot {name}"
            yield _finding(spec, "error", "slot-lost", message, "dpe pipeline run --resnapshot")
        return
    if slot.wal_status == "lost":
        message = f"the slot {name} is lost: the source has thrown away WAL that was not read yet"
        yield _finding(spec, "error", "slot-lost", message, "dpe pipeline run --resnapshot")
        return
    if slot.keep_size == "-1":
        message = f"nothing bounds what the slot {name} makes the source keep: if runs stop, its disk fills"
        fix = (
            "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB';  -- by the disk's room; then pg_reload_conf()"
        )
        yield _finding(spec, "warning", "slot-unbounded", message, fix)
    if slot.held_bytes > HELD_AT_MOST or slot.wal_status == "unreserved":
        safe = f"; {slot.safe_bytes:,} bytes more and it is lost" if slot.safe_bytes is not None else ""
        message = f"the slot {name} holds back {slot.held_bytes:,} bytes of WAL{safe}"
        fix = "dpe pipeline run more often; look for a long transaction on the source"
        yield _finding(spec, "error", "slot-behind", message, fix)


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

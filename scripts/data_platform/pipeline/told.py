"""A run and a status, for a program and for a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from data_platform.pipeline.quality import verdicts
from data_platform.pipeline.run import Ran
from data_platform.pipeline.status import Status
from data_platform.pipeline.steps import Step
from data_platform.postgres.replication.slots import Slot
from data_platform.report.document import (
    Bullets,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Table,
    words,
)
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import Pipeline

_COUNTED = ("read", "inserted", "updated", "unchanged", "quarantined", "deleted")
_MASK = "•••"
_SHOWN = 300
_NAMED = 20


def result(ran: Ran) -> dict[str, Any]:
    """The `result` of the JSON envelope of a run."""
    return {
        "rows": asdict(ran.counts),
        "attempts": ran.attempts,
        "seconds": round(ran.seconds, 3),
        "steps": [
            {
                "source": step.source,
                "unit": step.unit,
                "target": step.target,
                "way": step.way,
                "rows": asdict(step.counts),
                "seconds": round(step.seconds, 3),
            }
            for step in ran.steps
        ],
    }


def findings_of(spec: Pipeline, ran: Ran) -> tuple[Finding, ...]:
    """What is against a run that was done: more rows lost than the spec allows, or longer than it allows."""
    told = {one.check.name: one for step in ran.steps for one in step.told}
    return (*_against(spec, ran), *verdicts.findings_of([*told.values()], spec.file))


def _against(spec: Pipeline, ran: Ran) -> Iterator[Finding]:
    counts, levels = ran.counts, spec.levels
    for table in ran.emptied:
        yield Finding(
            rule="target-emptied",
            severity="warning",
            message=f"{table} was empty when the run began, and the last run had left rows in it: what was read before"
            " is not read again",
            evidence="measured",
            file=spec.file,
            object=table,
            fix="dpe pipeline run --reload, unless it is meant to be emptied",
        )
    share = counts.quarantined / counts.read if counts.read else 0.0
    if counts.quarantined:
        too_many = levels.loss is not None and share > levels.loss
        allowed = f"; {levels.loss:.2%} are allowed" if levels.loss is not None else ""
        yield Finding(
            rule="rows-quarantined",
            severity="error" if too_many else "warning",
            message=f"{counts.quarantined:,} of {counts.read:,} rows ({share:.2%}) are in quarantine{allowed}",
            evidence="measured",
            file=spec.file,
            object=spec.name,
            fix="dpe pipeline status says why",
        )
    yield from _left_out(spec, ran)
    whole = spec.pattern == "snapshot" or any(one.deletes and one.deletes.missing for one in spec.sources)
    if counts.quarantined and whole:
        yield Finding(
            rule="deletions-put-off",
            severity="warning",
            message="with rows in quarantine nothing was deleted for being missing: theirs are the keys that would be",
            evidence="documented",
            file=spec.file,
            object=spec.name,
            fix="mend the rows at the source; the next run deletes",
        )
    if levels.duration is not None and ran.seconds > levels.duration:
        yield Finding(
            rule="too-slow",
            severity="error",
            message=f"the run took {ran.seconds:,.0f} s; {levels.duration:,.0f} s are allowed",
            evidence="measured",
            file=spec.file,
            object=spec.name,
        )


def _left_out(spec: Pipeline, ran: Ran) -> Iterator[Finding]:
    names: dict[str, dict[str, None]] = {}
    for step in ran.steps:
        for source, name in step.left_out:
            names.setdefault(source, {})[name] = None
    for source, found in names.items():
        shown = ", ".join(list(found)[:_NAMED]) + (" …" if len(found) > _NAMED else "")
        yield Finding(
            rule="undeclared-left-out",
            severity="warning",
            message=f"`{source}` has {len(found)} columns that nobody declared; they were left out: {shown}",
            evidence="measured",
            file=spec.file,
            object=source,
            fix="declare them, or `drift: evolve`",
        )


def step_table(steps: Sequence[Step], counted: Mapping[str, str]) -> tuple[Piece, ...]:
    """A row a step, or no table; `counted` are the counts that are shown, each with its heading."""
    rows = tuple(_step_row(step, counted) for step in steps)
    numbers = frozenset(range(2, 2 + len(counted)))
    return (Table(("target", "from", *counted.values()), rows, numbers),) if rows else ()


def _step_row(step: Step, counted: Iterable[str]) -> tuple[Inline, ...]:
    counts = (f"{getattr(step.counts, name):,}" for name in counted)
    return (Code(step.target), Code(f"{step.source} {step.unit}"), *counts)


def report(spec: Pipeline, ran: Ran, repeat: str, *, dry_run: bool) -> Report:
    """What was done, step by step."""
    counts = ran.counts
    table = step_table(
        ran.steps, {name: name for name in ("read", "written", "unchanged", "quarantined", "deleted")}
    )
    broken = any(finding.severity == "error" for finding in findings_of(spec, ran))
    again = f" It took {ran.attempts} attempts." if ran.attempts > 1 else ""
    nothing = "Nothing new came." if ran.emptied else "The targets have all that the sources have."
    return Report(
        title=("Pipeline ", Code(spec.name), " into ", Code(spec.store)),
        verdict=("tried and taken back" if dry_run else "done")
        + (", but not as promised." if broken else "."),
        good=not broken,
        summary=(
            (
                f"{counts.read:,} rows read = {counts.written:,} written + {counts.unchanged:,} unchanged"
                f" + {counts.quarantined:,} quarantined; {counts.deleted:,} deleted, in {ran.seconds:.1f} s."
                if table
                else nothing
            )
            + (" Rows are counted once for each target." if _has_several_targets(ran) else "")
            + again
        ),
        pieces=(
            *table,
            *(Paragraph(words(finding.message)) for finding in findings_of(spec, ran)),
            Paragraph(("Again, for what has come by then: ", Code(repeat), ".")),
        ),
    )


def _has_several_targets(ran: Ran) -> bool:
    """Whether rows went into more than one table: then a run counts more rows than its sources have."""
    found: dict[tuple[str, str], set[str]] = {}
    for step in ran.steps:
        for source in step.source.split(", "):
            found.setdefault((source, step.unit), set()).add(step.target)
    return any(len(targets) > 1 for targets in found.values())


# --- status ---


def status_result(found: Status) -> dict[str, Any]:
    """The `result` of the JSON envelope of a status. Samples of rows are for a person's eyes only, in the report."""
    return {
        "age_s": found.seen.age_seconds,
        "runs": [
            {
                "id": run.id,
                "kind": run.kind,
                "started_at": run.started_at.isoformat(),
                "finished_at": run.finished_at.isoformat() if run.finished_at else None,
                "status": run.status,
                "error": run.error,
                "rows": asdict(run.counts),
            }
            for run in found.seen.runs
        ],
        "quarantine": [
            {"source": one.source, "reason": one.reason, "rows": one.rows, "since": one.since.isoformat()}
            for one in found.seen.held
        ],
        "rows_in_quarantine": found.seen.rows_held,
        "kept": [{"name": one.name, "age_s": one.age_seconds, "told": one.told} for one in found.standing],
        **({"slot": _slot_result(found.slot)} if found.slot is not None else {}),
    }


def _slot_result(slot: Slot) -> dict[str, Any]:
    return {
        "lag_bytes": slot.lag_bytes,
        "held_bytes": slot.held_bytes,
        "wal_status": slot.wal_status,
        "safe_wal_bytes": slot.safe_bytes,
        "max_slot_wal_keep_size": slot.keep_size,
        "active": slot.active,
    }


def status_report(spec: Pipeline, found: Status) -> Report:
    """The last runs and what is in quarantine, with samples in which sensitive columns are masked."""
    good = not any(one.severity == "error" for one in found.findings)
    age = found.seen.age_seconds
    kept = "keeps its promises." if found.seen.runs else "has not run yet."
    return Report(
        title=("Pipeline ", Code(spec.name), " into ", Code(spec.store)),
        verdict=kept if good else "does not keep its promises.",
        good=good,
        summary="No good run yet." if age is None else f"The last good run ended {age:,.0f} s ago.",
        pieces=(
            *((Bullets(tuple(words(one.message) for one in found.findings)),) if found.findings else ()),
            *_slot(found),
            *_kept(found),
            *_runs(found),
            *_held(spec, found),
        ),
    )


def _slot(found: Status) -> Iterator[Piece]:
    slot = found.slot
    if slot is not None:
        safe = "any amount" if slot.safe_bytes is None else f"{slot.safe_bytes:,} bytes"
        yield Paragraph(
            words(
                f"The slot is {slot.lag_bytes:,} bytes behind and holds back {slot.held_bytes:,} bytes of the source's"
                f" WAL ({slot.wal_status}); {safe} may be written before it is lost."
            )
        )


def _kept(found: Status) -> Iterator[Piece]:
    if found.standing:
        rows = tuple(
            (Code(one.name), "never" if one.age_seconds is None else f"{one.age_seconds:,.0f} s", one.told)
            for one in found.standing
        )
        yield Heading("What it keeps")
        yield Table(("name", "behind", "which is"), rows, frozenset({1}))


def _runs(found: Status) -> Iterator[Piece]:
    if found.seen.runs:
        rows = tuple(
            (
                str(run.id) if run.kind == "run" else f"{run.id} ({run.kind})",
                f"{run.started_at:%Y-%m-%d %H:%M:%S}",
                run.status,
                f"{run.counts.read:,}",
                f"{run.counts.written:,}",
                f"{run.counts.quarantined:,}",
                Code(run.error) if run.error else "",
            )
            for run in found.seen.runs
        )
        yield Heading("Runs")
        header = ("run", "began (UTC)", "status", "read", "written", "quarantined", "error")
        yield Table(header, rows, frozenset({3, 4, 5}))


def _held(spec: Pipeline, found: Status) -> Iterator[Piece]:
    if found.seen.held:
        sensitive = {name for source in spec.sources for name in source.sensitive}
        rows = tuple(
            (Code(one.source), Code(one.reason), f"{one.rows:,}", Code(_sample(one.samples[0], sensitive)))
            for one in found.seen.held
        )
        yield Heading("In quarantine")
        yield Table(("source", "reason", "rows", "one of them"), rows, frozenset({2}))
        yield Paragraph(
            ("Once the reasons are gone: ", Code(f"dpe pipeline replay {spec.file} --dsn …"), ".")
        )


def _sample(content: Any, sensitive: set[str]) -> str:
    """A row as JSON; one that has no columns is a whole line, in which nothing can be told apart and masked."""
    if isinstance(content, dict):
        content = {
            name: _MASK if name in sensitive and value is not None else value
            for name, value in content.items()
        }
    elif sensitive:
        return _MASK
    text = json.dumps(content, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

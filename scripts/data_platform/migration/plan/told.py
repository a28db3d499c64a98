"""A plan as a result, as findings and as a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data_platform.migration.formats.units import applications
from data_platform.migration.lint.locks import Mode
from data_platform.migration.plan.heavy import Outlook
from data_platform.migration.plan.prove import Reached
from data_platform.migration.plan.step import PHASES, Step
from data_platform.model.differences import Differences
from data_platform.report.document import (
    Block,
    Bullets,
    Code,
    Heading,
    Inline,
    Paragraph,
    Piece,
    Report,
    Strong,
    Table,
    words,
)
from data_platform.report.finding import Finding, in_order


@dataclass(frozen=True, kw_only=True)
class Told:
    """A step with what follows from its place: its locks, and which application works before and after it."""

    step: Step
    number: int
    locks: tuple[tuple[str, str], ...]
    """(relation, mode), the strongest of each."""
    before: str
    after: str


def told(reached: Reached, version: int) -> tuple[Told, ...]:
    """The plan's steps, each seen from the schema that the ones before it made."""
    outlook = Outlook(reached.before, version)
    works = applications(reached.plan)
    return tuple(
        Told(step=step, number=number, locks=_locks(outlook, step), before=before, after=after)
        for number, (step, (before, after)) in enumerate(zip(reached.plan.steps, works, strict=True), 1)
    )


def _locks(outlook: Outlook, step: Step) -> tuple[tuple[str, str], ...]:
    strongest: dict[str, Mode] = {}
    for lock in outlook.step(step)[0]:
        name = str(lock.table)
        strongest[name] = max(strongest.get(name, lock.mode), lock.mode)
    return tuple((name, str(mode)) for name, mode in sorted(strongest.items()))


def lock_words(one: Told) -> tuple[str, ...]:
    """`ACCESS EXCLUSIVE on orders`."""
    return tuple(f"{mode} on {name}" for name, mode in one.locks)


# --- JSON ---


def result(reached: Reached, steps: Sequence[Told], version: int) -> dict[str, Any]:
    """The plan for a program."""
    return {
        "verdict": verdict(reached),
        "server_version": version,
        "steps": [_step(one) for one in steps],
        "refused": [{"what": one.what, "why": one.why, "fix": one.fix} for one in reached.plan.refused],
        "broken": reached.broken,
        "left": _differences(reached.left),
        "reversible": is_reversible(reached),
        "left_after_down": _differences(reached.down) if reached.down else None,
        "data_lost": [name for one in reached.plan.steps for name in one.lost],
    }


def _step(one: Told) -> dict[str, Any]:
    step = one.step
    return {
        "number": one.number,
        "name": step.name,
        "phase": step.phase,
        "reason": step.reason,
        "up": list(step.up),
        "down": list(step.down),
        "transaction": step.transaction,
        "locks": [{"relation": relation, "mode": mode} for relation, mode in one.locks],
        "works_before": one.before,
        "works_after": one.after,
        "backfill": step.fill is not None,
        "data_lost": list(step.lost),
        "keep": step.keep,
        "one_way": step.one_way,
        "not_twice": step.again,
        "blocks": step.blocks,
    }


def _differences(found: Differences) -> dict[str, Any]:
    changed = [
        {"object": one.object, "property": one.property, "before": one.before, "after": one.after}
        for one in found.changed
    ]
    return {"added": list(found.added), "removed": list(found.removed), "changed": changed}


def verdict(reached: Reached) -> str:
    """`reached`, `not reached`, or `nothing to do`."""
    if reached.broken or not reached.left.equal:
        return "not reached"
    return "reached" if reached.plan.steps else "nothing to do"


def is_reversible(reached: Reached) -> bool:
    """Whether the downs, run one after the other, gave the old schema back."""
    return reached.down is not None and reached.down.equal


# --- findings ---


def findings(reached: Reached, steps: Sequence[Told]) -> tuple[Finding, ...]:
    """What is against the plan."""
    return in_order(_findings(reached, steps))


def _findings(reached: Reached, steps: Sequence[Told]) -> Iterator[Finding]:
    for refusal in reached.plan.refused:
        message = f"{refusal.what} is left as it is: {refusal.why}"
        yield Finding(
            rule="data-loss",
            severity="error",
            message=message,
            evidence="parsed",
            object=refusal.what,
            fix=refusal.fix,
        )
    if reached.broken:
        yield Finding(
            rule="step-refused",
            severity="error",
            message=f"the server refused {reached.broken}",
            evidence="measured",
        )
    if not reached.left.equal and not (reached.broken or reached.plan.refused):
        first = next(
            iter((*reached.left.added, *reached.left.removed, *(one.object for one in reached.left.changed)))
        )
        message = f"the plan does not reach the new schema; the first difference is {first}"
        yield Finding(
            rule="not-reached", severity="error", message=message, evidence="measured", object=first
        )
    for one in steps:
        if one.step.blocks:
            message = f"step {one.number}, {one.step.name}, keeps clients waiting: {one.step.blocks}"
            yield Finding(
                rule="no-online-form",
                severity="warning",
                message=message,
                evidence="parsed",
                statement=one.number,
            )
    if reached.down is not None and not reached.down.equal:
        yield Finding(
            rule="not-reversible",
            severity="warning",
            message=f"the downs do not give the old schema back: {_short(reached.down)}",
            evidence="measured",
        )


def _short(found: Differences) -> str:
    names = [*found.added, *found.removed, *(f"{one.object} ({one.property})" for one in found.changed)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# --- for a person ---


def report(
    reached: Reached,
    steps: Sequence[Told],
    names: tuple[str, str],
    repeat: str,
    files: Sequence[str] | None = None,
) -> Report:
    """The plan as a document; `names` are what the two schemas were read from, `files` what was written instead of
    showing the SQL here.
    """
    pieces: list[Piece] = [_table(steps)] if steps else []
    pieces += _notes(reached, steps)
    pieces += _by_phase(steps, with_sql=files is None)
    if files:
        pieces += [Heading("Files"), Bullets(tuple(map(Code, files)))]
    pieces += [Heading("How this was checked"), Paragraph(words(_HOW)), Block(repeat, "bash")]
    return Report(
        title=(Code(names[0]), " to ", Code(names[1]), f": {_title(reached, steps)}"),
        verdict=verdict(reached),
        good=verdict(reached) != "not reached" and not reached.plan.refused,
        summary=words(_summary(reached, steps)),
        pieces=tuple(pieces),
    )


def _title(reached: Reached, steps: Sequence[Told]) -> str:
    if not steps:
        return "the same" if reached.left.equal else "nothing that may be done"
    blocking = sum(one.step.blocks is not None for one in steps)
    count = f"{len(steps)} step{'s' if len(steps) != 1 else ''}"
    return (
        f"{count}, {blocking} of which block{'s' if blocking == 1 else ''} clients"
        if blocking
        else f"{count}, none of which blocks clients"
    )


def _summary(reached: Reached, steps: Sequence[Told]) -> str:
    counts = [(phase, sum(one.step.phase == phase for one in steps)) for phase in PHASES]
    said = ", ".join(f"{phase} {count}" for phase, count in counts if count) or "no step"
    lost = [name for one in steps for name in one.step.lost]
    losing = f"Lost: {', '.join(f'`{name}`' for name in lost)}." if lost else "No data is lost."
    back = "The downs give the old schema back." if is_reversible(reached) else "Not wholly reversible."
    return f"{said[0].upper()}{said[1:]}. {losing} {back if steps else ''}"


def _table(steps: Sequence[Told]) -> Table:
    return Table(
        ("#", "phase", "step", "transaction", "strongest lock", "works after it"),
        tuple(
            (
                str(one.number),
                one.step.phase,
                Code(one.step.name),
                "one" if one.step.transaction else "none",
                _strongest(one),
                one.after,
            )
            for one in steps
        ),
        numeric=frozenset({0}),
    )


def _strongest(one: Told) -> Inline:
    if not one.locks:
        return "none that a client meets"
    by_mode = {str(mode): mode for mode in Mode}
    relation, mode = max(one.locks, key=lambda lock: by_mode[lock[1]])
    return (f"{mode} on ", Code(relation))


def _notes(reached: Reached, steps: Sequence[Told]) -> Iterator[Piece]:
    refused = [words(f"{one.what}: {one.why}. `{one.fix}`") for one in reached.plan.refused]
    if refused:
        yield Heading("Left as it is")
        yield Bullets(tuple(refused))
    if reached.broken:
        yield Heading("Refused by the server")
        yield Block(reached.broken)
    elif not reached.left.equal:
        yield Heading("What still differs")
        yield Bullets(tuple(Code(text) for text in _listed(reached.left)))
    blocking = [
        (f"Step {one.number}, ", Code(one.step.name), ": ", Strong(one.step.blocks))
        for one in steps
        if one.step.blocks
    ]
    if blocking:
        yield Heading("What keeps clients waiting")
        yield Bullets(tuple(blocking))
    kept = [(Code(", ".join(one.step.lost)), ": ", Code(one.step.keep)) for one in steps if one.step.keep]
    if kept:
        yield Heading("To keep a copy of what is lost")
        yield Bullets(tuple(kept))
    if reached.down is not None and not reached.down.equal:
        yield Heading("What the downs do not give back")
        yield Bullets(tuple(Code(text) for text in _listed(reached.down)))


def _listed(found: Differences) -> list[str]:
    lines = [f"missing: {name}" for name in found.added] + [f"too much: {name}" for name in found.removed]
    lines += [
        f"{one.object}, {one.property}: {one.before or '-'} is not {one.after or '-'}"
        for one in found.changed
    ]
    return lines[:20] + ([f"and {len(lines) - 20} more"] if len(lines) > 20 else [])


_PHASES = {
    "expand": "Before the deployment. The old application goes on working.",
    "backfill": "Before the deployment, after expand. Rows get their values while both columns are kept in step.",
    "contract": "After the new application is deployed everywhere. The old one stops working on the way.",
}


def _by_phase(steps: Sequence[Told], *, with_sql: bool) -> Iterator[Piece]:
    for phase in PHASES:
        mine = [one for one in steps if one.step.phase == phase]
        if mine:
            yield Heading(phase.capitalize())
            yield Paragraph(_PHASES[phase])
        for one in mine:
            stays = f" Not taken back: {one.step.one_way}." if one.step.one_way else ""
            yield Paragraph((f"{one.number}. ", Code(one.step.name), f": {one.step.reason}{stays}"))
            if with_sql:
                yield Block(_sql(one.step), "sql")


def _sql(step: Step) -> str:
    statements = [*step.up] if not step.transaction or len(step.up) == 1 else ["BEGIN", *step.up, "COMMIT"]
    return "".join(f"{statement};\n" for statement in statements)


_HOW = (
    "The old schema was loaded into an embedded PostgreSQL, every step was run there in its order, and the catalog "
    "was read back and compared with the new schema, column order aside; then all steps were taken back and the "
    "catalog compared with the old one. Tables were empty: `dpe migration prove` runs the same files with rows and "
    "clients."
)

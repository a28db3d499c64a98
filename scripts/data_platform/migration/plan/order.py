"""In which order steps run: phase by phase, and in a phase each after what it needs.

The given order stays wherever it can. A step comes after those that make what it needs, a drop after the drops of what
needed the dropped thing, and what takes a name again after what had it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from data_platform.migration.plan.step import PHASES, Step
from data_platform.sql.references import Reference, References


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps of each phase in an order in which they can run; a cycle keeps its given order."""
    given = _waiting_for_names(list(steps))
    return tuple(step for phase in PHASES for step in _sorted([s for s in given if s.phase == phase]))


def _waiting_for_names(steps: list[Step]) -> list[Step]:
    """What takes a name that is free in contract only moves there, and with it what needs it."""
    while True:
        late = [step for step in steps if step.phase == "contract"]
        taken, made = _by_name(late, "drops"), _by_name([s for s in late if s.waits], "makes")
        # Functions of one name stand side by side if their arguments differ; else one step exchanges them.
        taken = {key: found for key, found in taken.items() if key[0] != "function"}
        moved = {
            id(step)
            for step in steps
            if step.phase != "contract" and (_named(taken, step.makes) or _named(made, step.needs))
        }
        if not moved:
            return steps
        steps = [_moved(step) if id(step) in moved else step for step in steps]


def _moved(step: Step) -> Step:
    reason = f"{step.reason} It waits until a name that it takes, or needs, is free."
    return replace(step, phase="contract", waits=True, reason=reason)


def _sorted(steps: Sequence[Step]) -> list[Step]:
    before = _edges(steps)
    done: dict[int, None] = {}
    for start in range(len(steps)):
        _visit(start, before, done, set())
    return [steps[number] for number in done]


def _visit(number: int, before: Sequence[set[int]], done: dict[int, None], visiting: set[int]) -> None:
    if number in done or number in visiting:
        return
    visiting.add(number)
    for other in sorted(before[number]):
        _visit(other, before, done, visiting)
    done[number] = None


def _edges(steps: Sequence[Step]) -> list[set[int]]:
    """For each step those that must come before it."""
    makers, freers = _by_name(steps, "makes"), _by_name(steps, "frees")
    droppers = _by_name(steps, "drops")
    before: list[set[int]] = []
    for number, step in enumerate(steps):
        found = _named(makers, step.needs) | _named(freers, step.drops)
        # What drops a thing that only this step makes comes after it; any other drop frees the name for it.
        found |= {other for other in _named(droppers, step.makes) if not _uses(steps[other], step)}
        before.append(found - {number})
    return before


def _uses(later: Step, earlier: Step) -> bool:
    return not set(later.needs).isdisjoint(earlier.makes)


_Names = dict[tuple[str, str], list[tuple[str | None, int]]]


def _by_name(steps: Sequence[Step], field: str) -> _Names:
    found: _Names = defaultdict(list)
    for number, step in enumerate(steps):
        for reference in getattr(step, field):
            found[_key(reference)].append((reference.schema, number))
    return found


def _named(names: _Names, wanted: References) -> set[int]:
    """The steps with one of these references; a name without a schema is that of any."""
    return {
        number
        for reference in wanted
        for schema, number in names.get(_key(reference), ())
        if schema is None or reference.schema is None or schema == reference.schema
    }


def _key(reference: Reference) -> tuple[str, str]:
    return reference.kind, reference.name

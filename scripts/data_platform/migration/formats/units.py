"""A plan cut into what one file of a migration holds, and what is known about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from data_platform.migration.formats.context import Context
from data_platform.migration.plan.step import Plan, Step
from data_platform.sql.text import Sql


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One step, or one statement of a step that is no transaction where a tool sends a file as one string."""

    step: Step
    number: int
    """Of the step in the plan, from 1, and of how many."""
    total: int
    up: tuple[Sql, ...]
    down: tuple[Sql, ...]
    works: tuple[str, str]
    """Which application works before and after the step."""
    locks: tuple[str, ...] = ()
    part: int = 1
    parts: int = 1

    @property
    def name(self) -> str:
        """For file names."""
        return self.step.name if self.parts == 1 else f"{self.step.name}_{self.part}"

    @property
    def contracts(self) -> bool:
        """Whether it must wait until the old application is gone."""
        return self.step.phase == "contract"

    @property
    def irreversible(self) -> bool:
        """Whether nothing brings back what it destroys."""
        return bool(self.step.lost) and not self.step.down


def units(plan: Plan, context: Context, *, one_string: bool = False) -> tuple[Unit, ...]:
    """What goes into one file each. With `one_string` a step that is no transaction has a file for each statement."""
    total = len(plan.steps)
    found: list[Unit] = []
    for index, (step, works) in enumerate(zip(plan.steps, applications(plan), strict=True)):
        locks = context.header.locks[index] if index < len(context.header.locks) else ()
        alone = one_string and not step.transaction
        cut = list(_singly(step) if alone else [(step.up, step.down)])
        found += [
            Unit(
                step=step,
                number=index + 1,
                total=total,
                up=up,
                down=down,
                works=works,
                locks=locks,
                part=part,
                parts=len(cut),
            )
            for part, (up, down) in enumerate(cut, 1)
        ]
    return tuple(found)


def _singly(step: Step) -> Iterator[tuple[tuple[Sql, ...], tuple[Sql, ...]]]:
    """One statement up and one down each: downs go to the files from the last, for that is taken back first."""
    pairs = list(zip_longest(step.up, reversed(step.down)))
    if len(step.down) < len(step.up):
        pairs = list(zip_longest(step.up, (None,) * (len(step.up) - len(step.down)) + step.down[::-1]))
    yield from ((tuple(s for s in (up,) if s), tuple(s for s in (down,) if s)) for up, down in pairs)


def applications(plan: Plan) -> Sequence[tuple[str, str]]:
    """For each step which application works before it and after it."""
    ready = max((n for n, step in enumerate(plan.steps, 1) if step.phase != "contract"), default=0)
    ended = next((n for n, step in enumerate(plan.steps, 1) if step.ends_old), len(plan.steps) + 1)
    said = [_works(old=n < ended, new=n >= ready) for n in range(len(plan.steps) + 1)]
    return list(pairwise(said))


def _works(*, old: bool, new: bool) -> str:
    return " and ".join(name for name, works in (("old", old), ("new", new)) if works) or "neither"

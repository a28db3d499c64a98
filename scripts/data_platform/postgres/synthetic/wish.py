"""What a space of values is wanted for, and what it means that there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from data_platform.postgres.synthetic.facts import NO_FACTS, Facts
from data_platform.postgres.synthetic.kinds import Kind
from data_platform.postgres.synthetic.space import Listed


class NoValues(ValueError):
    """No value of the type can be made, or none that the facts allow. The message says which."""


class UnknownType(NoValues):
    """A type that there is no generator for."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a space is wanted for: its column's and table's names, and how many different values at least.

    `fold`: no two values may differ only in case. `inner` tells what the checks of a domain inside an array or a
    composite allow.
    """

    column: str = ""
    table: str = ""
    distinct: int = 1
    fold: bool = False
    inner: Callable[[Kind], Facts] = lambda _kind: NO_FACTS


def listed(values: Sequence[str], facts: Facts) -> Listed:
    """The values that are not forbidden; NoValues if all are."""
    kept = tuple(value for value in values if value not in facts.never)
    if not kept:
        raise NoValues("its constraints leave no value")
    return Listed(kept)

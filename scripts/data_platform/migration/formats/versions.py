"""Which version a migration has: the last of the project and one more, or a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

_TIME = "%Y%m%d%H%M%S"


def following(version: str) -> str:
    """The next version: a second later where it is a time of 14 digits, else one more, as wide as it was."""
    if len(version) == len("20260101000000"):
        try:
            return (datetime.strptime(version, _TIME) + timedelta(seconds=1)).strftime(_TIME)
        except ValueError:
            pass  # 14 digits that are no time
    return str(int(version) + 1).zfill(len(version))


def counted(first: str) -> Iterator[str]:
    """`first` and what follows it, without end."""
    while True:
        yield first
        first = following(first)


def after_all(names: Iterable[str], pattern: str) -> str:
    """The version after the greatest one that the pattern finds at the beginning of names; empty if it finds none."""
    found = [match[1] for name in names if (match := re.match(pattern, name))]
    return following(max(found, key=int)) if found else ""

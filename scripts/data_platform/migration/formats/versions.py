"""Which version a migration has: the last of the project and one more, or a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

_TIME = "%Y%m%d%H%M%S"


def following(version: str) -> str:
    """The next version: a second later where its first 14 digits are a time, else one more, as wide as it was."""
    if len(version) in (14, 17):
        try:
            time = datetime.strptime(version[:14], _TIME)
        except ValueError:
            pass  # digits that are no time
        else:
            return (time + timedelta(seconds=1)).strftime(_TIME) + version[14:]
    return str(int(version) + 1).zfill(len(version))


def seconds(time: datetime) -> str:
    """A time as most tools that count by time write it."""
    return time.strftime(_TIME)


def milliseconds(time: datetime) -> str:
    """A time in milliseconds since 1970; one without a zone is taken for UTC."""
    zoned = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return str(int(zoned.timestamp() * 1000))


def counted(first: str) -> Iterator[str]:
    """`first` and what follows it, without end."""
    while True:
        yield first
        first = following(first)


def after_all(names: Iterable[str], pattern: str) -> str:
    """The version after the greatest one that the pattern finds at the beginning of names; empty if it finds none."""
    found = [match[1] for name in names if (match := re.match(pattern, name))]
    return following(max(found, key=int)) if found else ""

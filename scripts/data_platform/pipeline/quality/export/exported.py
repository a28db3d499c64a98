"""What an export gives, and what its writers share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from data_platform.model.database import Name
from data_platform.spec.checks import Check
from data_platform.spec.quality import Quality


@dataclass(frozen=True)
class Unsaid:
    """A check, or a part of one, that a tool has no words for."""

    check: Check
    why: str


@dataclass(frozen=True)
class Exported:
    """Files by name, and what is not in them."""

    files: Mapping[str, str]
    unsaid: tuple[Unsaid, ...]


class Cannot(Exception):
    """This tool cannot say that; the text says why."""


def by_table(checks: Sequence[Check]) -> Iterator[tuple[Name, list[Check]]]:
    """Checks of each table, tables in order of their names."""
    for table, group in groupby(sorted(checks, key=lambda check: check.table), key=lambda check: check.table):
        yield table, list(group)


def heading(spec: Quality, unsaid: Sequence[Unsaid]) -> str:
    """Comment lines at the beginning of a file: where it comes from and what is not in it."""
    lines = [
        f"Made by dpe quality export from {_line(spec.file)} (SHA-256 {spec.sha256[:16]}) for {_line(spec.store)}."
    ]
    lines += [f"Not in here: {_line(one.check.name)}: {_line(one.why)}" for one in unsaid]
    return "".join(f"# {line}\n" for line in lines)


def _line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def number(text: str) -> int | float | None:
    """The number that a bound is; None for a date or another text."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def plain(text: str) -> Any:
    """A bound as a number where it is one, else as text."""
    found = number(text)
    return text if found is None else found

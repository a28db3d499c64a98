"""What the server says about its own work: debug messages, read into rewrites, scans and index builds.

PostgreSQL talks of unqualified names, so whoever knows which relations the statement has locked resolves them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["rewrite", "verify", "validate", "build", "proven"]

_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("rewrite", re.compile(r'rewriting table "(?P<table>.*)"\Z', re.DOTALL)),
    ("verify", re.compile(r'verifying table "(?P<table>.*)"\Z', re.DOTALL)),
    ("validate", re.compile(r'validating foreign key constraint "(?P<object>.*)"\Z', re.DOTALL)),
    (
        "build",
        re.compile(
            r'building index "(?P<object>.*)" on table "(?P<table>.*)"'
            r"(?: serially| with request for \d+ parallel workers?)?\Z",
            re.DOTALL,
        ),
    ),
    (
        "proven",
        re.compile(
            r'existing constraints on column "(?P<object>.*)" are sufficient to prove'
            r" that it does not contain nulls\Z",
            re.DOTALL,
        ),
    ),
)
_TOAST = re.compile(r"pg_toast_\d+(_index)?\Z")


@dataclass(frozen=True)
class Work:
    """One thing that the server said it does; `object` is a constraint, an index or a column, as it named it."""

    kind: Kind
    table: str = ""
    object: str = ""


def read(messages: Sequence[str]) -> tuple[Work, ...]:
    """The messages that tell of work on tables, in order; toast tables and all other messages are left out."""
    return tuple(work for message in messages if (work := _read_one(message)) is not None)


def _read_one(message: str) -> Work | None:
    for kind, pattern in _PATTERNS:
        found = pattern.match(message)
        if found:
            groups = found.groupdict(default="")
            table = groups.get("table", "")
            return None if _TOAST.match(table) else Work(kind, table, groups.get("object", ""))
    return None

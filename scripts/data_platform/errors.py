"""What can go wrong, as exceptions that carry the whole answer for the user.

Problem
├── UsageProblem         exit 2   the command line or a spec
└── EnvironmentProblem   exit 6   a server, a dependency, a disk
"""

from __future__ import annotations

from typing import ClassVar


class Problem(Exception):
    """Something the user can act on: what was wrong, where, what was expected, what to try."""

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        try_: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.try_ = try_

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [head]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.try_:
            lines.append(f"  try: {self.try_}")
        return "\n".join(lines)


class UsageProblem(Problem):
    """A command line or a spec that does not say what we need."""

    exit_code = 2


class EnvironmentProblem(Problem):
    """A server, a dependency or a disk that is missing, too old, full or out of reach."""

    exit_code = 6

"""What every command shares: its declaration, the gate before it, and the envelope after it.

A command is data (`Command`); `execute` is the one way to run it. The order is fixed: gate, then the spec's
own store, then the work. Standard library only, so that `--help` and refusals need no environment.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data_platform.scope import Decision

if TYPE_CHECKING:
    from data_platform.report.document import Report
    from data_platform.report.finding import Finding

Status = Literal["ok", "findings", "failed", "refused", "error"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command did. `text` is for a person: Markdown, SQL, or a report that is still data."""

    text: str | Report
    result: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    artifacts: tuple[str, ...] = ()
    failed: bool = False


@dataclass(frozen=True)
class Invocation:
    """A command line that passed the gate."""

    arguments: argparse.Namespace
    project: Path
    decision: Decision | None


@dataclass(frozen=True, kw_only=True)
class Command:
    """One noun and verb. `run` imports its capability when it is called, not before."""

    noun: str
    verb: str | None
    summary: str
    example: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Invocation], Outcome]
    gated: bool = True

    @property
    def name(self) -> str:
        """As the user types it."""
        return f"{self.noun} {self.verb}" if self.verb else self.noun

"""Events of a run to a file of JSON lines, or by POST. What cannot be sent never stops the run; it is told."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_platform.errors import Problem
from data_platform.pipeline.openlineage import State, Told
from data_platform.pipeline.run import Ran
from data_platform.report.finding import Finding

_TIMEOUT_SECONDS = 5
_TOKEN = "OPENLINEAGE_API_KEY"  # noqa: S105  the name of a variable


@dataclass
class Emitter:
    """Where the events of one run go. `failed` says why some did not get there."""

    told: Told
    destination: str
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    failed: list[str] = field(default_factory=list)

    def around(self, work: Callable[[], Ran]) -> Ran:
        """Do the work, and say that it begins and how it ends. Raises what the work raises."""
        self._send("START")
        try:
            ran = work()
        except Problem as problem:
            self._send("FAIL", problem=problem)
            raise
        except KeyboardInterrupt:
            self._send("ABORT")
            raise
        self._send("COMPLETE", ran=ran)
        return ran

    def findings(self) -> tuple[Finding, ...]:
        """One where an event did not get there."""
        if not self.failed:
            return ()
        return (
            Finding(
                rule="lineage-not-sent",
                severity="warning",
                message=f"{len(self.failed)} events of OpenLineage did not get to {shown(self.destination)}:"
                f" {self.failed[-1]}",
                evidence="measured",
                file=self.told.spec.file,
                object=self.told.spec.name,
                fix="the run itself is done; look at the receiver, or take a file",
            ),
        )

    def _send(self, state: State, **what: Any) -> None:
        try:
            line = json.dumps(self.told.run_event(state, self.run_id, **what), ensure_ascii=False)
            if is_url(self.destination):
                _post(self.destination, line)
            else:
                with Path(self.destination).open("a", encoding="utf-8") as out:
                    out.write(line + "\n")
        except urllib.error.HTTPError as error:
            self.failed.append(f"{state}: the server answers {error.code}")
        except (OSError, ValueError) as error:
            self.failed.append(
                f"{state}: {getattr(error, 'reason', None) or getattr(error, 'strerror', error)}"
            )


def is_url(destination: str) -> bool:
    """Whether events are sent there, and not written."""
    return destination.startswith(("http://", "https://"))


def shown(destination: str) -> str:
    """Without user, password and query, which may hold secrets."""
    if not is_url(destination):
        return destination
    parts = urllib.parse.urlsplit(destination)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _post(url: str, line: str) -> None:
    headers = {"Content-Type": "application/json"}
    token = os.environ.get(_TOKEN)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data=line.encode(), headers=headers, method="POST")  # noqa: S310  by is_url
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
        answer.read(1)

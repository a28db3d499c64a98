"""A run in a process of its own, to be killed.

All are forked from one process that has imported everything, which a fresh interpreter takes longer for than most runs.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

from data_platform.errors import Problem
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline

_SECONDS = 120
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Child:
    """A run that has begun."""

    process: ForkServerProcess
    told: Connection

    def going(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.is_alive()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def wait(self, seconds: float) -> bool:
        """At most so long; whether it has ended."""
        self.process.join(seconds)
        return not self.going()

    def end(self) -> dict[str, Any]:
        """What the run says at its end: its counts, or its problem with its exit code.

        Raises TimeoutError for one that does not end.
        """
        try:
            if not self.told.poll(_SECONDS):
                self.kill()
                raise TimeoutError(f"a run did not end within {_SECONDS} s")
            said = dict(self.told.recv())
        except (EOFError, ConnectionResetError):
            said = {"problem": "it said nothing"}
        self.process.join()
        self.process.close()
        self.told.close()
        return said


def begun(file: Path, place: Place) -> Child:
    """A run of the spec in a file, once it is about to connect."""
    _prepare()
    here, there = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_run, args=(there, file, place), daemon=True)
    process.start()
    there.close()
    with suppress(EOFError):  # one that could not begin says so at its end
        here.recv()
    return Child(process, here)


@cache
def _prepare() -> None:
    """Start the process that all are forked from. It looks for our package where PYTHONPATH says, and there alone."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    try:
        ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run(told: Connection, file: Path, place: Place) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # of one that is killed nobody wants to read
    # As the proof has it: without checks, which are of real rows.
    spec = replace(read_pipeline(document.read(file)), checks=())
    told.send("begun")
    try:
        told.send(asdict(run(spec, place).counts))
    except Problem as problem:
        told.send({"problem": problem.what, "exit_code": problem.exit_code})

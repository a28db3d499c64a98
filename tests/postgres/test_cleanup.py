"""Clean-up runs once, whole, and in the process that asked for it: seen on real processes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_platform.postgres.cleanup import afterwards, uninterrupted

SCRIPTS = Path(__file__).parents[2] / "scripts"

LEFT_OPEN = """
from data_platform.postgres.cleanup import afterwards
held = afterwards(lambda: print("cleaned"))
held.__enter__()
"""


IN_A_THREAD = """
import threading, time
from data_platform.postgres.cleanup import afterwards
entered = threading.Event()
def work():
    with afterwards(lambda: print("cleaned")):
        entered.set()
        time.sleep(60)
threading.Thread(target=work, daemon=True).start()
entered.wait()
"""

FORKED = """
import os
from data_platform.postgres.cleanup import afterwards
with afterwards(lambda: print("cleaned by the", "owner" if os.getpid() == owner else "fork", flush=True)):
    owner = os.getpid()
    if child := os.fork():
        os.waitpid(child, 0)
"""


def output(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


class TestAfterwards:
    def test_after_a_block_that_fails(self) -> None:
        calls: list[str] = []
        with pytest.raises(ZeroDivisionError), afterwards(lambda: calls.append("cleaned")):
            raise ZeroDivisionError
        assert calls == ["cleaned"]

    @pytest.mark.parametrize("code", [LEFT_OPEN, IN_A_THREAD])
    def test_once_when_the_interpreter_ends_in_the_block(self, code: str) -> None:
        assert output(code) == "cleaned\n"

    def test_not_by_a_fork(self) -> None:
        assert output(FORKED) == "cleaned by the owner\n"


class TestUninterrupted:
    def test_a_signal_waits_for_the_end_of_the_block(self) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        done = []
        with pytest.raises(KeyboardInterrupt), uninterrupted():  # noqa: PT012
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")
        assert done == ["whole"]
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

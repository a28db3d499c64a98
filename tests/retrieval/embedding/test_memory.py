"""The memory of vectors: killed at any point, a run goes on; nothing is embedded twice but what was under way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_platform.errors import EnvironmentProblem
from data_platform.retrieval.chunking.document import hash_of
from data_platform.retrieval.embedding import Memory
from retrieval.embedding.server import running, vector_of

ROOT = Path(__file__).parents[3]
TEXTS = [f"text {n}" for n in range(640)]
CHILD = """
import sys; sys.path[:0] = [sys.argv[1] + "/scripts", sys.argv[1] + "/tests"]
from pathlib import Path
from data_platform.retrieval.chunking.document import hash_of
from data_platform.retrieval.embedding import Memory
from data_platform.retrieval.embedding.http import Server
texts = [f"text {n}" for n in range(640)]
memory = Memory(Path(sys.argv[2]))
memory.embedded(Server(sys.argv[3], "m"), "f", [(hash_of(t), t) for t in texts])
print("done")
"""


def test_killed_at_twenty_points_it_loses_nothing(tmp_path: Path) -> None:
    luck = random.Random(4)
    with running() as (url, fake):
        fake.plan = ["slow"] * 10_000
        command = [sys.executable, "-c", CHILD, str(ROOT), str(tmp_path / "v.sqlite"), url]
        kills = 0
        while kills < 20:
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            asked = len(fake.times)
            deadline = time.monotonic() + 20
            while len(fake.times) == asked and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(luck.uniform(0, 0.06))
            if child.poll() is not None:
                break
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            kills += 1
        last = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        assert last.stdout == "done\n"
        memory = Memory(tmp_path / "v.sqlite")
        found = memory.known("f", [hash_of(text) for text in TEXTS])
        memory.close()
    assert len(found) == len(TEXTS)
    assert all(np.allclose(found[hash_of(text)], vector_of(text)) for text in TEXTS)
    # A kill costs the requests that were under way, of 64 texts each, and nothing else.
    assert sum(fake.texts.values()) <= len(TEXTS) + (kills + 1) * 64


def test_models_do_not_share(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "v.sqlite")
    memory.keep("a", [(b"1", np.ones(2, dtype=np.float32))])
    assert memory.known("b", [b"1"]) == {}
    assert memory.known("a", [b"1", b"2"]).keys() == {b"1"}
    memory.close()


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "v.sqlite").write_text("nonsense" * 1000)
    with pytest.raises(EnvironmentProblem, match="cannot be used"):
        Memory(tmp_path / "v.sqlite")

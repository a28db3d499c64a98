"""Killed for real: client and server, at random moments; every row is filled once all the same.

The job's condition is true of every row, done or not: only the place that is kept can tell what was done.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.backfill.job import Limits
from data_platform.postgres.backfill.run import backfill
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database, embedded_server
from postgres.backfill.jobs import COUNTED, counting

ROOT = Path(__file__).parents[3]
ROWS = 20_000
TIMES = "SELECT count(*), min(times), max(times) FROM counted"
RUN = """
import sys
from data_platform.postgres.backfill.job import Limits
from data_platform.postgres.backfill.run import backfill
from postgres.backfill.jobs import counting

def tell(what, share):
    print(what, flush=True)

(done,) = backfill(sys.argv[1], [counting()], Limits(batch_s=0.002), tell=tell)
print("end", done.rows, done.rows_before, flush=True)
"""


def start(database: Database) -> subprocess.Popen[str]:
    """A backfill in a process of its own, once it has begun."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests")])}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, database.conninfo],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.fixture(scope="module")
def killed(server: object) -> list[bool]:
    """Whether each kill came before the end: some must, or nothing was tested."""
    return []


@pytest.mark.parametrize("seed", range(10))
def test_a_killed_client(database: Database, seed: int, killed: list[bool]) -> None:
    chance = random.Random(seed)
    with connect(database.conninfo, read_only=False) as live:
        live.execute(COUNTED.format(rows=ROWS))
        for _ in range(2):
            process = start(database)
            time.sleep(chance.uniform(0, 0.4))
            process.kill()
            output, _ = process.communicate()
            killed.append("end" not in output)
        (done,) = backfill(database.conninfo, [counting()], Limits(batch_s=0.05))
        assert live.execute(TIMES).fetchone() == (ROWS, 1, 1)
        assert done.rows + done.rows_before == ROWS


def test_most_of_these_kills_came_in_the_middle(killed: list[bool]) -> None:
    assert sum(killed) >= 0.6 * len(killed)


def test_a_client_that_is_interrupted_says_that_it_goes_on(database: Database) -> None:
    with connect(database.conninfo, read_only=False) as live:
        live.execute(COUNTED.format(rows=ROWS))
        process = start(database)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert "the same command goes on from there" in said
        (done,) = backfill(database.conninfo, [counting()], Limits())
        assert done.resumed
        assert live.execute(TIMES).fetchone() == (ROWS, 1, 1)


def test_a_killed_server() -> None:
    """SIGKILL to one of its processes: it stops all sessions and recovers from its log."""
    with embedded_server() as server, server.scratch_database() as database:
        with connect(database.conninfo, read_only=False) as live:
            live.execute(COUNTED.format(rows=ROWS))

        def kill() -> None:
            time.sleep(0.5)
            with connect(database.conninfo, read_only=True) as look:
                found = look.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'dpe' AND pid <> pg_backend_pid()"
                ).fetchone()
            os.kill((found or (0,))[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(EnvironmentProblem, match="goes on where it stopped"):
            backfill(database.conninfo, [counting()], Limits(batch_s=0.002, max_rate=10_000))
        killer.join()
        wait_for(database)
        (done,) = backfill(database.conninfo, [counting()], Limits())
        assert done.resumed
        with connect(database.conninfo, read_only=True) as live:
            assert live.execute(TIMES).fetchone() == (ROWS, 1, 1)


def wait_for(database: Database) -> None:
    for _ in range(100):
        try:
            psycopg.connect(database.conninfo).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("the server did not come back")

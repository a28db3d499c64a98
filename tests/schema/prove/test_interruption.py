"""Ctrl-C in the middle of a proof: one line says what became of the database, and the driver says nothing."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from data_platform.postgres.connect import connect
from data_platform.postgres.server import Server
from data_platform.schema.prove.prove import Plan, prove
from schema.designs import design

MODEL = """
tables:
  t: {columns: {id: {type: bigint, primary_key: true}, a: {type: integer, check: a > 5}}, indexes: [[a]]}
access_patterns: {many: {sql: "SELECT x.id, y.a, pg_sleep(0.00001) FROM t AS x, t AS y, t AS z"}}
"""
CHECKED = ", ".join(f"c{number}: {{type: integer, check: c{number} > 5}}" for number in range(30))
LONG = f"tables: {{t: {{columns: {{id: {{type: bigint, primary_key: true}}, {CHECKED}}}}}}}"
"""Has constraints enough to be interrupted at."""


def test_the_driver_is_silent_and_heard_again_afterwards(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Of what it could not roll back it would write a line for each transaction that is open."""
    driver = logging.getLogger("psycopg")

    def step(what: str, _share: float) -> None:
        if what == "filling the tables":
            driver.warning("error ignored in rollback")
            raise KeyboardInterrupt("SIGTERM")

    with pytest.raises(KeyboardInterrupt, match=r"^SIGTERM: the scratch database was dropped"):
        prove(design(MODEL), server, Plan(default_rows=5), step)
    assert caplog.records == []
    driver.warning("of something else")
    assert [record.message for record in caplog.records] == ["of something else"]


@contextmanager
def _alarm() -> Iterator[None]:
    """An alarm is a Ctrl-C."""
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        ("filling the tables", 0.02),
        ("running many", 0.3),
        ("running many", 0.1),
        ("trying the constraints", 0.004),
        ("trying the constraints", 0.01),
    ],
)
def test_it_says_what_was_dropped(
    server: Server,
    stage: str,
    seconds: float,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = LONG if stage.startswith("trying") else MODEL

    def step(what: str, _share: float) -> None:
        if what == stage:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    with _alarm(), pytest.raises(KeyboardInterrupt, match=r"^the scratch database was dropped, and with it"):
        prove(design(text), server, Plan(default_rows=200), step)
    assert caplog.records == []
    assert capfd.readouterr().err == ""
    with connect(server.conninfo, read_only=True) as admin:
        assert (
            admin.execute("SELECT FROM pg_database WHERE datname ~ '^dpe_[0-9a-f]{16}$'").fetchone() is None
        )

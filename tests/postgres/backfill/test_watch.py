"""What keeps a batch waiting: receivers of WAL that lag behind."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from data_platform.postgres.backfill.job import Limits
from data_platform.postgres.backfill.run import backfill
from data_platform.postgres.backfill.watch import Signs, reason
from data_platform.postgres.connect import connect
from data_platform.postgres.server import embedded_server
from postgres.backfill.jobs import COUNTED, counting


@pytest.mark.parametrize(
    ("signs", "limits", "said"),
    [
        (Signs(), Limits(), None),
        (Signs(lag_s=11), Limits(), "replication lag"),
        (Signs(lag_s=11), Limits(max_lag_s=None), None),
        (Signs(lag_bytes=2**30), Limits(), "replication lag"),
        (Signs(lag_bytes=2**30), Limits(max_lag_bytes=None), None),
        (Signs(active=5), Limits(), None),
        (Signs(active=5), Limits(max_active=5), None),
        (Signs(active=6), Limits(max_active=5), "load"),
    ],
)
def test_the_reason(signs: Signs, limits: Limits, said: str | None) -> None:
    assert reason(signs, limits) == said


def test_a_subscriber_that_lags_is_waited_for_and_one_that_is_gone_is_not() -> None:
    settings = {"wal_level": "logical", "max_wal_senders": "4", "max_replication_slots": "4"}
    with embedded_server(settings=settings) as server, server.scratch_database() as database:
        admin = make_conninfo(server.conninfo, dbname=database.name)
        with connect(admin, read_only=False) as live:
            live.execute(COUNTED.format(rows=3000))
            live.execute("SELECT pg_create_logical_replication_slot('late', 'pgoutput')")
            live.execute("CREATE PUBLICATION all_of_it FOR TABLE counted")
        subscriber = psycopg.connect(admin, replication="database", autocommit=True)  # type: ignore[arg-type]
        subscriber.pgconn.send_query(
            b"START_REPLICATION SLOT late LOGICAL 0/0 (proto_version '1', publication_names 'all_of_it')"
        )

        def leave() -> None:
            time.sleep(3)
            subscriber.close()

        leaving = threading.Thread(target=leave)
        leaving.start()
        (done,) = backfill(admin, [counting()], Limits(batch_s=0.02, max_lag_bytes=50_000, max_rate=2000))
        leaving.join()
        assert [pause.reason for pause in done.pauses] == ["replication lag"]
        assert done.rows == 3000
        assert done.seconds > 1

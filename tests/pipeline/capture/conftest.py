"""Two databases on a cluster whose change stream can be read: a source, and a target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.pipeline.prove.following import LOGICAL
from data_platform.postgres.server import Server, embedded_server
from pipeline.capture.ends import Ends


@pytest.fixture(scope="session")
def logical() -> Iterator[Server]:
    with embedded_server(settings={**LOGICAL, "max_replication_slots": "3"}) as running:
        yield running


@pytest.fixture
def ends(logical: Server, tmp_path: Path) -> Iterator[Ends]:
    with logical.scratch_database() as source, logical.scratch_database() as target:
        both = Ends(source, target, tmp_path)
        yield both
        both.source_does(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE active_pid IS NOT NULL"
        )
        both.source_does("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")

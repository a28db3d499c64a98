"""A disk that fills up in a run: a clear answer, no half file, and the same run goes on once there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.errors import EnvironmentProblem
from data_platform.postgres.server import Database, Server
from disks import ROOT_ONLY, database_on, leave, make_room, mounted
from pipeline.running import ask, do

pytestmark = ROOT_ONLY
ROWS = 20_000
SPEC = """
pattern: incremental
sources: [{name: rows, path: 'in/*.csv', columns: {id: bigint, note: text}}]
targets: [{table: shop.rows, key: [id]}]
"""


@pytest.fixture
def disk() -> Iterator[Path]:
    with mounted(64) as path:
        yield path


@pytest.fixture
def small(server: Server, disk: Path) -> Iterator[Database]:
    with database_on(disk, server) as database:
        yield database


def test_what_was_committed_is_kept_and_the_rest_follows(small: Database, disk: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(4):
        rows = "".join(f"{number * ROWS + n},{'x' * 100}\n" for n in range(ROWS))
        (tmp_path / "in" / f"{number}.csv").write_text("id,note\n" + rows)
    leave(disk, 9)
    with pytest.raises(EnvironmentProblem, match="disk is full") as raised:
        do(small, tmp_path, SPEC)
    assert "then the same command" in str(raised.value)
    files = ask(small, "SELECT count(*) FROM dpe_pipeline.checkpoints WHERE step = 'rows'")[0][0]
    assert 0 < files < 4
    assert ask(small, "SELECT count(*) FROM shop.rows") == [(files * ROWS,)]
    make_room(disk)
    assert do(small, tmp_path, SPEC).counts.inserted == (4 - files) * ROWS
    assert ask(small, "SELECT count(*) FROM shop.rows") == [(4 * ROWS,)]
    statuses = ask(small, "SELECT status, error LIKE '%disk is full%' FROM dpe_pipeline.runs ORDER BY id")
    assert statuses == [("failed", True), ("done", None)]

"""The proof itself: it finds nothing wrong with a sound pipeline, and what is wrong with one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_platform.pipeline.prove import faults
from data_platform.pipeline.prove.prove import Proof, prove
from data_platform.postgres.server import embedded_server
from pipeline.running import spec_of

QUIET = lambda what, share: None  # noqa: E731
COLUMNS = "columns: {id: bigint, name: text, total: 'numeric(10,2)', at: timestamptz, gone: boolean}"
SPECS = {
    "added": f"""
pattern: incremental
sources: [{{name: rows, path: 'in/*.jsonl', {COLUMNS}}}]
targets: [{{table: t.rows}}]
drift: ignore
""",
    "pages": f"""
pattern: incremental
sources: [{{name: rows, url: 'http://example.org/rows', pages: {{records: data.items, next: links.next}}, {COLUMNS}}}]
targets: [{{table: t.rows, key: [id], version: at}}]
""",
    "set aside": f"""
pattern: incremental
sources: [{{name: rows, path: 'in/*.csv', {COLUMNS}}}]
targets: [{{table: t.rows, key: [id], version: at}}]
drift: quarantine
""",
    "whole": f"""
pattern: etl
sources: [{{name: rows, path: rows.csv, {COLUMNS}}}]
targets: [{{table: t.rows}}]
drift: quarantine
""",
}


def proven(folder: Path, text: str, kills: int) -> Proof:
    # A server of its own: some faults are crashes of it.
    with embedded_server() as server:
        return prove(server, spec_of(folder, text), kills=kills, rows=300, seed=1, tell=QUIET)


@pytest.mark.parametrize("name", SPECS)
def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path, name: str) -> None:
    proof = proven(tmp_path, SPECS[name], kills=2)
    assert [(one.name, one.at, one.why) for one in proof.faults if not one.equal] == []
    assert {one.name for one in proof.faults} >= {
        "run twice",
        "client killed",
        "connection cut",
        "two runs at once",
    }
    assert all(proof.rows[target] for target in proof.rows if target != "quarantine")


def test_a_run_whose_checkpoint_is_not_with_its_rows_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a loader without exactly-once does: the rows stay, what says so is gone."""
    again = faults.Trials._again

    def forgets(self: faults.Trials, name: str, at: str, one: Any, truth: faults.Truth) -> faults.Fault:
        one.run()
        with faults.psycopg.connect(one.database.conninfo) as connection:
            connection.execute("DELETE FROM dpe_pipeline.checkpoints")
        return again(self, name, at, one, truth)

    monkeypatch.setattr(faults.Trials, "_again", forgets)
    proof = proven(tmp_path, SPECS["added"], kills=1)
    bad = {one.name: one for one in proof.faults if not one.equal}
    assert not proof.good
    assert bad["client killed"].doubled == 300

"""The proof itself: it finds nothing wrong with a sound pipeline, and what is wrong with one that is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from data_platform.errors import UsageProblem
from data_platform.pipeline.events import feed
from data_platform.pipeline.lineage import lineages
from data_platform.pipeline.plan import chains
from data_platform.pipeline.prove import faults
from data_platform.pipeline.prove.data import shape_of
from data_platform.pipeline.prove.exchanging import Reader
from data_platform.pipeline.prove.following import LOGICAL
from data_platform.pipeline.prove.living import LivingTrials
from data_platform.pipeline.prove.prove import Proof, prove
from data_platform.pipeline.prove.trial import Made
from data_platform.postgres.server import Database, embedded_server
from data_platform.sql.templates import render
from data_platform.sql.text import Sql
from pipeline.running import ask, spec_of

QUIET = lambda what, share: None  # noqa: E731
COLUMNS = "columns: {id: bigint, name: text, total: 'numeric(10,2)', at: timestamptz, gone: boolean}"
SPECS = {
    "added": f"""
pattern: incremental
sources: [{{name: rows, path: 'in/*.jsonl', {COLUMNS}}}]
targets: [{{table: t.rows}}]
drift: ignore
""",
    "stopped": f"""
pattern: incremental
sources: [{{name: rows, path: 'in/*.jsonl', {COLUMNS}}}]
targets: [{{table: t.rows, key: [id], version: at}}]
drift: quarantine
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
checks: [{{check: not_null, on: rows, columns: [name]}}]
drift: quarantine
""",
    "typed": f"""
pattern: incremental
sources: [{{name: rows, path: 'in/*.parquet', {COLUMNS}}}]
targets: [{{table: t.rows, key: [id], version: at}}]
""",
    "key made by SQL": f"""
pattern: incremental
sources: [{{name: rows, path: 'in/*.csv', {COLUMNS}}}]
transforms: [{{name: made, sql: 'SELECT nullif(id % 7, 0) * 1000 + id AS number, name, at AS seen FROM rows'}}]
targets: [{{table: t.rows, from: made, key: [number], version: seen}}]
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
    assert ("drift of rows" in {one.name for one in proof.faults}) == (name not in ("pages", "typed"))


def test_made_up_rows_have_the_key_and_version_that_sql_gives_other_names(tmp_path: Path) -> None:
    text = f"""
pattern: incremental
sources: [{{name: rows, path: 'in/*.csv', {COLUMNS}, deletes: {{column: gone}}}}]
transforms:
  - {{name: first, sql: 'SELECT id AS number, at AS "Seen At", lower(name) AS name, gone FROM rows'}}
  - {{name: second, sql: 'SELECT number AS "The Key", "Seen At", name, gone FROM first'}}
targets: [{{table: t.rows, from: second, key: [The Key], version: Seen At}}]
"""
    spec = spec_of(tmp_path, text)
    shape = shape_of(spec.sources[0], chains(spec), lineages(spec))
    assert (shape.key, shape.version, shape.gone) == (("id",), "at", "gone")


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


SWAPPED = f"""
pattern: snapshot
sources: [{{name: rows, path: rows.csv, {COLUMNS}}}]
targets: [{{table: t.rows, key: [id], swap: true}}]
"""


def test_a_table_that_is_exchanged_is_never_seen_half(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, SWAPPED)
    with embedded_server() as server, TemporaryDirectory(dir=tmp_path) as worlds:
        made = faults.Trials(server, Made(spec, chains(spec), rows=300), Path(worlds), 1)
        truth, _ = made.truth()
        assert [made.exchanged(truth).why for _ in range(2)] == ["", ""]


def test_a_reader_who_finds_a_new_table_empty_says_so(database: Database) -> None:
    """As an exchange by hand leaves it to those whose snapshot is older."""
    by_hand = (
        "CREATE TABLE rows_new (LIKE rows); INSERT INTO rows_new SELECT * FROM rows;"
        "DROP TABLE rows; ALTER TABLE rows_new RENAME TO rows"
    )
    ask(database, "CREATE TABLE rows AS SELECT n FROM generate_series(1, 50) AS n")
    with Reader(database.conninfo, [Sql("rows")]) as reader:
        for _ in range(30):
            ask(database, by_hand)
            time.sleep(0.004)
    assert reader.strange() == "a reader saw 0 rows in rows"


FOLLOWED = f"""
pattern: cdc
drift: DRIFT
sources: [{{name: rows, dsn: "env:NOWHERE", table: rows, {COLUMNS}}}]
targets: [{{table: t.rows, key: [id]}}]
"""


def test_ddl_while_a_table_is_followed(tmp_path: Path) -> None:
    with embedded_server() as server, embedded_server(settings=LOGICAL) as source:

        def tried(drift: str, runs: str | None = None) -> faults.Fault:
            spec = spec_of(tmp_path, FOLLOWED.replace("DRIFT", drift))
            # What runs do, where that is another policy than the spec's.
            spec_of(tmp_path, FOLLOWED.replace("DRIFT", runs or drift))
            made = Made(spec, chains(spec), rows=60, followed=source)
            with TemporaryDirectory(dir=tmp_path) as worlds:
                (found,) = faults.Trials(server, made, Path(worlds), 1).drifted(TRUTH)
            assert isinstance(found, faults.Fault)
            return found

        assert [tried(drift).equal for drift in ("freeze", "ignore", "evolve")] == [True] * 3
        assert tried("freeze", runs="ignore").why == "it went on"
        assert tried("evolve", runs="ignore").why.startswith("0 rows have the new column's value")


# --- stores that others write to ---

EVENTS = """
pattern: events
events:
  schema: ledger
  types: {Opened: {payload: {owner: text}, subject: true}, Paid: {payload: {amount: int}}}
projections:
  - name: balances
    tables: ["CREATE TABLE account (id text PRIMARY KEY, owner text, events int NOT NULL)"]
    handlers:
      Opened: |
        INSERT INTO account AS a VALUES (e.stream, e.payload ->> 'owner', 1)
        ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, events = a.events + 1
      Paid: UPDATE account SET events = events + 1 WHERE id = e.stream
      SubjectErased: UPDATE account SET owner = NULL WHERE id = e.stream
"""
VIEW = """
pattern: views
sources: [{name: rows, dsn: target, table: rows, columns: {id: int, day: date}}]
views: [{name: days, sql: "SELECT day, count(*) AS n FROM rows GROUP BY day", unique: [day]}]
"""


@contextmanager
def trials(folder: Path, text: str) -> Iterator[LivingTrials]:
    spec = spec_of(folder, text)
    with embedded_server() as server, TemporaryDirectory(dir=folder) as worlds:
        yield LivingTrials(server, Made(spec, (), rows=100), Path(worlds), 1)


TRUTH = faults.Truth({}, 0.2)


def test_made_up_rows_are_not_held_against_checks(tmp_path: Path) -> None:
    checks = "checks: [{on: balances.account, check: rows, max: 0}]\n"
    with trials(tmp_path, EVENTS + checks) as made:
        assert made.truth()[1].equal


def test_a_read_model_that_forgets_nobody_is_found(tmp_path: Path) -> None:
    with trials(tmp_path, EVENTS[: EVENTS.index("      SubjectErased")]) as made:
        assert made.forgotten(TRUTH).lost
    with trials(tmp_path, EVENTS) as made:
        assert made.forgotten(TRUTH).equal


def test_a_reader_that_does_not_wait_for_late_commits_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hasty(template: str, **values: Any) -> Sql:
        return Sql(render(template, **values).replace("pg_snapshot_xmin", "pg_snapshot_xmax"))

    with trials(tmp_path, EVENTS) as made:
        assert made.late(TRUTH).equal
        monkeypatch.setattr(feed, "render", hasty)
        assert made.late(TRUTH).lost


CQRS = """
pattern: cqrs
sources: [{name: rows, dsn: target, table: rows, key: [id], columns: {id: int, n: int}}]
projections:
  - name: log
    tables: ["CREATE TABLE log (id int, n int)"]
    handlers:
      rows.insert: INSERT INTO log VALUES ((e.payload ->> 'id')::int, (e.payload ->> 'n')::int)
      rows.update: UPDATE log SET n = (e.payload ->> 'n')::int WHERE id = (e.payload ->> 'id')::int
      rows.delete: DELETE FROM log WHERE id = (e.payload ->> 'id')::int
"""


def test_a_row_that_is_filled_in_and_told_is_there_once(tmp_path: Path) -> None:
    """Nothing in this read model bears an event twice, and its first filling is among writers."""
    with trials(tmp_path, CQRS) as made:
        truth, twice = made.truth()
        tried = [twice, *made.killed(truth, 3, QUIET), made.late(truth), made.changed(truth)]
    assert [(one.name, one.at, one.why) for one in tried if not one.equal] == []


def test_a_view_that_writes_rows_anew_is_found(tmp_path: Path) -> None:
    """NULL is equal to nothing, so that a refresh beside readers takes such a row out and puts it in again."""
    with trials(tmp_path, VIEW) as made:
        assert made.truth()[1].why == (
            "2 rows were written again: 1 of public.days have NULL in `day`, which no refresh finds again;"
            " coalesce(day, …) gives them a value"
        )
    with trials(tmp_path, VIEW.replace("FROM rows", "FROM rows WHERE day IS NOT NULL")) as made:
        assert made.truth()[1].equal


def test_what_no_source_says_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"public\.days reads public\.other"):
        proven(tmp_path, VIEW.replace("FROM rows", "FROM rows JOIN other USING (id)"), kills=0)

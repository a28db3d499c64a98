"""A load in parts: at once, again, overtaken, stopped; what is wrong is told, and then nothing is taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.server import Database
from data_platform.postgres.vectors.parts import load_part
from data_platform.postgres.vectors.store import Loaded
from data_platform.retrieval.chunking.reading import documents
from data_platform.retrieval.embedding import embedder, fingerprint
from data_platform.retrieval.filling import cutter, target_of
from data_platform.retrieval.spreading import Job, Unit, files, load_units, loaded, tables
from data_platform.spec.retrieval import Source
from retrieval.spreads import ALL, Place, filled, place, rows, stores, tables_made, touched, write_bodies

__all__ = ["place", "stores"]


def units(job: Job) -> list[Unit]:
    """All of them: files, and the rows that Spark would read."""
    found = files(job)
    for one in tables(job):
        for path in one.paths:
            read = pq.read_table(path.removeprefix("file://"))
            found += [one.unit(row) for row in read.select(one.columns(read.column_names)).to_pylist()]
    return found


def test_in_three_parts_it_makes_what_load_makes(place: Place, stores: tuple[Database, Database]) -> None:
    one, other = stores
    tables_made(one, place.spec)
    job = place.job(one)

    def parts() -> list[Loaded | UsageProblem]:
        with ThreadPoolExecutor(3) as pool:
            return [
                done
                for part in pool.map(lambda n: load_units(job, units(job)[n::3]), range(3))
                for done in part
            ]

    done = loaded(job, parts)
    assert (done.new, done.chunks, done.embedded, done.vanished) == (ALL, 180, 180, 0)
    filled(other, place)
    assert rows(one, place.spec) == rows(other, place.spec)
    before = touched(one)
    assert loaded(job, parts) == Loaded(unchanged=ALL)
    assert touched(one) == before


def test_what_vanished_is_taken_out_unless_it_is_to_stay(
    place: Place, stores: tuple[Database, Database]
) -> None:
    one, other = stores
    filled(one, place)
    filled(other, place)
    (place.folder / "pages" / "p2.md").unlink()
    write_bodies(place.folder, 39)
    job = place.job(one)
    kept = loaded(job, lambda: load_units(job, units(job)), keep_vanished=True)
    assert kept == Loaded(unchanged=ALL - 2)
    assert loaded(job, lambda: load_units(job, units(job))) == Loaded(unchanged=ALL - 2, vanished=2)
    filled(other, place)
    assert rows(one, place.spec) == rows(other, place.spec)
    with psycopg.connect(one.conninfo) as connection:
        assert connection.execute("SELECT to_regclass('help.loading')").fetchone() == (None,)


def test_a_part_tried_twice_at_once_is_stored_once(place: Place, stores: tuple[Database, Database]) -> None:
    """As a machine that was given up, and writes all the same while another one does its part."""
    one, other = stores
    tables_made(one, place.spec)
    job = place.job(one)

    def tried(_: int) -> bool:
        try:
            return bool(load_units(job, units(job)))
        except EnvironmentProblem:
            return False

    def parts() -> list[Loaded | UsageProblem]:
        with ThreadPoolExecutor(2) as pool:
            assert any(pool.map(tried, range(2)))
        return []

    loaded(job, parts)
    filled(other, place)
    assert rows(one, place.spec) == rows(other, place.spec)


def test_who_was_overtaken_writes_nothing(place: Place, stores: tuple[Database, Database]) -> None:
    one, _ = stores
    filled(one, place)
    spec, path = place.spec, place.folder / "pages" / "p1.md"
    model = embedder(spec.model, place.folder)
    target, cut = target_of(spec, fingerprint(model)), cutter(spec, place.folder, model)
    path.write_text("# Page 1\n\nthe late version")
    late = list(documents([Source(path="pages/p1.md", metadata={"category": "guide"})], place.folder))

    def embed(texts: Sequence[tuple[bytes, str]]) -> Mapping[bytes, Any]:
        path.write_text("# Page 1\n\nthe newer version")
        filled(one, place)
        return {hash_: model.embed([text])[0] for hash_, text in texts}

    with pytest.raises(EnvironmentProblem, match="another load has changed the same documents"):
        load_part(one.conninfo, target, late, cut, embed)
    with psycopg.connect(one.conninfo) as connection:
        found = connection.execute(
            "SELECT c.content FROM help.chunks c JOIN help.documents d ON d.id = c.document_id"
            " JOIN help.embeddings_static e ON e.chunk_id = c.id WHERE d.uri = 'pages/p1.md'"
        ).fetchall()
    assert found == [("# Page 1\n\nthe newer version",)]


def test_beside_another_load_it_does_not_begin(place: Place, stores: tuple[Database, Database]) -> None:
    one, _ = stores
    tables_made(one, place.spec)
    with psycopg.connect(one.conninfo, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7364511230)")
        with pytest.raises(EnvironmentProblem, match="another load is running"):
            loaded(place.job(one), lambda: pytest.fail("it began"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"address": "b/1", "text": "again", "kind": "row"}, "b/1: two documents have this address"),
        ({"address": "", "text": "words", "kind": "row"}, "`address` is no address"),
        ({"address": "b/x", "text": None, "kind": "row"}, "b/x: `text` is no text"),
        ({"address": "b/x", "text": "words", "kind": b"x"}, "`category` is of type bytes"),
    ],
)
def test_rows_that_are_no_documents_are_told(
    place: Place, stores: tuple[Database, Database], row: dict[str, Any], said: str
) -> None:
    one, _ = stores
    filled(one, place)
    (place.folder / "pages" / "p2.md").unlink()
    before = touched(one)
    pq.write_table(pa.Table.from_pylist([row]), place.folder / "bodies" / "z.parquet")
    job = place.job(one)
    with pytest.raises(UsageProblem, match=said):
        loaded(job, lambda: load_units(job, units(job)))
    with pytest.raises(UsageProblem, match=said):
        filled(one, place)
    assert touched(one) == before


def test_a_missing_column_is_told(place: Place, stores: tuple[Database, Database]) -> None:
    (file, *_) = sorted((place.folder / "bodies").glob("*.parquet"))
    pq.write_table(pa.Table.from_pylist([{"address": "b/1", "kind": "row"}]), file)
    with pytest.raises(UsageProblem, match="there is no column `text`"):
        units(place.job(stores[0]))
    with pytest.raises(UsageProblem, match="there is no column `text`"):
        filled(stores[0], place)


def test_a_folder_of_parquet_files_may_be_named_without_its_format(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([{"uri": "a", "text": "words"}]), tmp_path / "x.parquet")
    (found,) = documents([Source(path="*.parquet")], tmp_path)
    assert (found.uri, found.text, found.title) == ("a", "words", "")

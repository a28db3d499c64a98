"""Documents of every kind, a spec of them with its Spark job, and two stores to compare."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_platform.postgres.server import Database, Server
from data_platform.postgres.vectors.create import create
from data_platform.retrieval.design import design
from data_platform.retrieval.filling import Filling, fill
from data_platform.retrieval.jobs import spark
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import files
from data_platform.retrieval.spreading import Job
from data_platform.spec.document import read
from data_platform.spec.retrieval import Retrieval, read_retrieval

NOTHING = lambda what, share: None  # noqa: E731
PAGES, LINES, BODIES = 60, 20, 40
ALL = PAGES + 1 + LINES + BODIES
"""One page is empty."""
SPEC = """
kind: retrieval
store: Shop
name: help
sources:
  - path: pages/*.md
    metadata: {{category: guide}}
  - path: lines.jsonl
    fields: {{category: kind}}
  - path: bodies
    format: parquet
    fields: {{uri: address, category: kind}}
chunking: {{strategy: markdown, size: 60}}
model: {model}
filters: [{{name: category, type: text}}]
hybrid: true
"""
STATIC = "{name: static, provider: static, dimensions: 8, path: t.npy, tokenizer: tokenizer.json}"
ROWS = {
    "documents": "SELECT id, uri, title, media_type, content_hash, metadata, deleted_at IS NULL FROM help.documents",
    "chunks": "SELECT id, document_id, ordinal, content, content_hash, start_offset, end_offset, heading_path, tokens,"
    " category FROM help.chunks",
    "vectors": "SELECT chunk_id, embedding::text, category FROM help.{}",
}


@dataclass(frozen=True)
class Place:
    """Where sources, spec and job lie."""

    folder: Path

    @property
    def spec(self) -> Retrieval:
        return read_retrieval(read(self.folder / "help.yaml"))

    def write_spec(self, model: str) -> None:
        text = SPEC.format(model=model)
        (self.folder / "help.yaml").write_text(text)
        (self.folder / "load_spark.py").write_text(spark("help", text, "# Made by a test."))

    def job(self, database: Database) -> Job:
        text = (self.folder / "help.yaml").read_text()
        return Job(text, "help", str(self.folder), database.conninfo)


@pytest.fixture
def place(tmp_path: Path, tokenizer_file: Path) -> Place:
    folder = tmp_path / "shared"
    (folder / "pages").mkdir(parents=True)
    for number in range(PAGES):
        text = f"# Page {number}\n\nsome words {number}\n\n## More\n\nwords of them, several {number}"
        (folder / "pages" / f"p{number}.md").write_text(text)
    (folder / "pages" / "empty.md").write_text("")
    lines = [f'{{"id": {n}, "text": "believable words {n}", "kind": "line"}}\n' for n in range(LINES)]
    (folder / "lines.jsonl").write_text("".join(lines))
    write_bodies(folder, BODIES)
    np.save(folder / "t.npy", np.random.default_rng(3).normal(size=(200, 8)).astype(np.float32))
    (folder / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    place = Place(folder)
    place.write_spec(STATIC)
    return place


def write_bodies(folder: Path, count: int) -> None:
    """Two files, as a program writes them that names its files anew each time."""
    shutil.rmtree(folder / "bodies", ignore_errors=True)
    (folder / "bodies").mkdir()
    rows = [
        {"address": f"b/{n}", "text": f"several more words {n} \u00e9", "title": f"B{n}", "kind": "row"}
        for n in range(count)
    ]
    for number, part in enumerate((rows[: count // 2], rows[count // 2 :])):
        name = f"part-{number}-{time.monotonic_ns()}.parquet"
        pq.write_table(pa.Table.from_pylist(part), folder / "bodies" / name, row_group_size=7)
    (folder / "bodies" / "_SUCCESS").touch()


@pytest.fixture
def stores(server: Server) -> Iterator[tuple[Database, Database]]:
    """One for the job, one for `load`."""
    with (
        server.scratch_database(extensions=["vector"]) as one,
        server.scratch_database(extensions=["vector"]) as other,
    ):
        yield one, other


def tables_made(database: Database, spec: Retrieval) -> None:
    create(database.conninfo, files(spec, design(spec))[:1])


def filled(database: Database, place: Place) -> None:
    what = Filling(place.spec, place.folder, place.folder.parent / "v.sqlite", create=True)
    fill(database.conninfo, what, NOTHING)


def rows(database: Database, spec: Retrieval) -> dict[str, list[Any]]:
    """All that is stored, but for times."""
    table = names_of(spec).embeddings.name
    with psycopg.connect(database.conninfo) as connection:
        return {
            name: sorted(connection.execute(sql.format(table).encode()).fetchall(), key=lambda row: row[0])
            for name, sql in ROWS.items()
        }


def touched(database: Database) -> Any:
    """What any write moves: the versions of all rows."""
    with psycopg.connect(database.conninfo) as connection:
        return connection.execute(
            "SELECT (SELECT array_agg((id, xmin::text) ORDER BY id) FROM help.documents),"
            " (SELECT array_agg((id, xmin::text) ORDER BY id) FROM help.chunks)"
        ).fetchone()

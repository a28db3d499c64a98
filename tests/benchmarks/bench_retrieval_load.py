"""Loading a store beside a bare binary COPY of the same rows, and beside LangChain's PGVector.

python tests/benchmarks/bench_retrieval_load.py [--rows N] [--peer PYTHON-with-langchain-postgres]
"""

# ruff: noqa: E402 - the path comes first
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from pgvector.psycopg import register_vector

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from data_platform.postgres.server import embedded_server
from data_platform.postgres.vectors.create import create
from data_platform.postgres.vectors.load import load
from data_platform.retrieval.chunking import Chunk, Document, chunked
from data_platform.retrieval.design import design
from data_platform.retrieval.filling import target_of
from data_platform.retrieval.pgvector.store import files
from data_platform.spec.retrieval import Chunking, Model, Needs, Retrieval

WIDTH, CHUNKS = 384, 20
PEER = """
import sys, json, time
import numpy as np
from langchain_postgres import PGVector
from langchain_core.embeddings import Embeddings
class Made(Embeddings):
    def embed_documents(self, texts): return VALUES[: len(texts)].tolist()
    def embed_query(self, text): return VALUES[0].tolist()
rows = int(sys.argv[2])
VALUES = np.random.default_rng(1).normal(size=(rows, 384)).astype("float32")
store = PGVector(Made(), connection=sys.argv[1], collection_name="bench")
texts = [f"words of chunk {n} " * 12 for n in range(rows)]
vectors = VALUES.tolist()
started = time.perf_counter()
for first in range(0, rows, 1000):
    store.add_embeddings(texts[first:first + 1000], vectors[first:first + 1000])
print(json.dumps({"seconds": time.perf_counter() - started}))
"""


def spec() -> Retrieval:
    model = Model(name="bench", provider="precomputed", dimensions=WIDTH, path="-")
    return Retrieval(
        store="-",
        name="bench",
        model=model,
        chunking=Chunking(size=250),
        needs=Needs(rows_in_a_year=1_000_000),
    )


def documents(rows: int) -> list[tuple[Document, Sequence[Chunk]]]:
    how = Chunking(size=250)
    made = []
    for number in range(rows // CHUNKS):
        parts = [f"words of chunk {number} {part} " * 10 for part in range(CHUNKS)]
        document = Document(uri=f"d{number}", text="\n\n".join(part[:240] for part in parts))
        made.append((document, chunked(document, how)))
    return made


def ours(conninfo: str, made: list[tuple[Document, Sequence[Chunk]]], vectors: Mapping[bytes, Any]) -> float:
    """Seconds of a first load: documents, chunks and vectors, in transactions of whole documents."""
    asked, cut = spec(), {document.uri: chunks for document, chunks in made}
    create(conninfo, files(asked, design(asked))[:1])
    started = time.perf_counter()
    load(
        conninfo,
        target_of(asked, "f"),
        [document for document, _ in made],
        lambda document: cut[document.uri],
        lambda texts: {hash_: vectors[hash_] for hash_, _ in texts},
    )
    return time.perf_counter() - started


def bare(conninfo: str, made: list[tuple[Document, Sequence[Chunk]]], vectors: Mapping[bytes, Any]) -> float:
    """Seconds of a binary COPY of the same rows into the same tables, all in one transaction."""
    asked = spec()
    create(conninfo, files(asked, design(asked))[:1])
    started = time.perf_counter()
    with psycopg.connect(conninfo) as connection:
        register_vector(connection)
        cursor = connection.cursor()
        with cursor.copy(
            "COPY bench.documents (id, uri, title, media_type, content_hash, metadata) FROM STDIN (FORMAT binary)"
        ) as copy:
            copy.set_types(["uuid", "text", "text", "text", "bytea", "jsonb"])
            for d, _ in made:
                copy.write_row(
                    (d.id, d.uri, d.title, d.media_type, d.content_hash, psycopg.types.json.Jsonb({}))
                )
        columns = (
            "id, document_id, ordinal, content, content_hash, start_offset, end_offset, heading_path, tokens"
        )
        with cursor.copy(f"COPY bench.chunks ({columns}) FROM STDIN (FORMAT binary)".encode()) as copy:
            copy.set_types(["uuid", "uuid", "int4", "text", "bytea", "int4", "int4", "text[]", "int4"])
            for d, chunks in made:
                for c in chunks:
                    copy.write_row((c.id, d.id, c.ordinal, c.text, c.content_hash, c.start, c.end, [], None))
        with cursor.copy(
            "COPY bench.embeddings_bench (chunk_id, embedding) FROM STDIN (FORMAT binary)"
        ) as copy:
            copy.set_types(["uuid", "vector"])
            for _, chunks in made:
                for c in chunks:
                    copy.write_row((c.id, vectors[c.content_hash]))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--peer")
    arguments = parser.parse_args()
    made = documents(arguments.rows)
    every = [chunk for _, chunks in made for chunk in chunks]
    values = np.random.default_rng(1).normal(size=(len(every), WIDTH)).astype(np.float32)
    vectors = {chunk.content_hash: value for chunk, value in zip(every, values, strict=True)}
    times: dict[str, list[float]] = {"load": [], "COPY": []}
    with embedded_server() as server:
        for name, work in (("COPY", bare), ("load", ours), ("load", ours), ("COPY", bare)):
            with server.scratch_database(extensions=["vector"]) as database:
                times[name].append(work(database.conninfo, made, vectors))
        ours_s, bare_s = min(times["load"]), min(times["COPY"])
        print(
            f"load: {len(every) / ours_s:,.0f} chunks/s; bare COPY: {len(every) / bare_s:,.0f};"
            f" {bare_s / ours_s:.2f} of its speed"
        )
        if arguments.peer:
            with server.scratch_database(extensions=["vector"]) as database:
                given = psycopg.conninfo.conninfo_to_dict(database.conninfo)
                url = f"postgresql+psycopg://{given['user']}:{given['password']}@/{given['dbname']}?host={given['host']}&port={given['port']}"
                rows = min(len(every), 10_000)
                done = subprocess.run(
                    [arguments.peer, "-c", PEER, url, str(rows)], capture_output=True, text=True, check=True
                )
                rate = rows / json.loads(done.stdout.splitlines()[-1])["seconds"]
                print(
                    f"LangChain PGVector: {rate:,.0f} rows/s; ours {len(every) / ours_s / rate:.0f} times as many"
                )


if __name__ == "__main__":
    main()

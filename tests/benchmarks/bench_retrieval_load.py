"""Loading a store beside a bare binary COPY of the same rows, and beside LangChain and LlamaIndex.

python tests/benchmarks/bench_retrieval_load.py [--rows N] [--peers [--peer-rows N]]

Peers are given vectors and texts that are ready, in batches of 1,000, into tables without an index, as we are. Ours
stores documents, offsets and hashes besides. It exits with 1 where a ratio is below what was promised.
"""

# ruff: noqa: E402 - the path comes first
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psycopg
from pgvector.psycopg import register_vector

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from benchmarks.peers import PEERS
from data_platform.postgres.server import Server, embedded_server
from data_platform.postgres.vectors.create import create
from data_platform.postgres.vectors.load import load
from data_platform.retrieval.chunking import Chunk, Document, chunked
from data_platform.retrieval.design import design
from data_platform.retrieval.filling import target_of
from data_platform.retrieval.pgvector.store import files
from data_platform.spec.retrieval import Chunking, Model, Needs, Retrieval

WIDTH, CHUNKS = 384, 20


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


PROMISED = 0.9
"""Of the speed of a bare COPY."""


def beside_copy(server: Server, rows: int, repeats: int) -> tuple[float, float]:
    """Chunks a second of ours, and the median ratio to a bare COPY, taken in turns."""
    made = documents(rows)
    every = [chunk for _, chunks in made for chunk in chunks]
    values = np.random.default_rng(1).normal(size=(len(every), WIDTH)).astype(np.float32)
    vectors = {chunk.content_hash: value for chunk, value in zip(every, values, strict=True)}
    times: dict[str, list[float]] = {"load": [], "COPY": []}
    for turn in range(2 * repeats):
        order = [("COPY", bare), ("load", ours)]
        for name, work in order if turn % 2 else order[::-1]:
            with server.scratch_database(extensions=["vector"]) as database:
                times[name].append(work(database.conninfo, made, vectors))
    ratio = median(c / o for o, c in zip(times["load"], times["COPY"], strict=True))
    ours_rate, bare_rate = (len(every) / median(times[name]) for name in ("load", "COPY"))
    print(
        f"load: {ours_rate:,.0f} chunks/s; bare COPY: {bare_rate:,.0f};"
        f" {ratio:.2f} of its speed (promised: {PROMISED})"
    )
    return ours_rate, ratio


def address(conninfo: str) -> str:
    """As SQLAlchemy wants it."""
    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    return (
        f"postgresql+psycopg://{given['user']}:{given['password']}@/{given['dbname']}"
        f"?host={given['host']}&port={given['port']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--peer-rows", type=int, default=10_000)
    arguments = parser.parse_args()
    with embedded_server() as server:
        rate, ratio = beside_copy(server, arguments.rows, arguments.repeats)
        kept = ratio >= PROMISED
        for peer in PEERS if arguments.peers else ():
            with server.scratch_database(extensions=["vector"]) as database:
                theirs = peer.rate(address(database.conninfo), arguments.peer_rows, WIDTH)
            print(
                f"{peer.name}: {theirs:,.0f} rows/s; ours {rate / theirs:.1f} times as many"
                f" (promised: {peer.promised:.0f})"
            )
            kept = kept and rate / theirs >= peer.promised
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()

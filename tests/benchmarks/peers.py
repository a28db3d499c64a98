"""Other loaders of vectors into PostgreSQL, each as its documentation says, in an environment of its own.

An environment is built once below ${DPE_BENCH_HOME:-<user cache>/data-platform-engineer/bench}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD = """
import sys, json, time
import numpy as np
rows, width, batch = int(sys.argv[2]), int(sys.argv[3]), 1000
VALUES = np.random.default_rng(1).normal(size=(rows, width)).astype("float32")
texts = [f"words of chunk {n} " * 12 for n in range(rows)]
vectors = VALUES.tolist()
"""
TAIL = """
print(json.dumps({"seconds": time.perf_counter() - started}))
"""
EMBEDDINGS = """
from langchain_core.embeddings import Embeddings
class Made(Embeddings):
    def embed_documents(self, texts): return vectors[: len(texts)]
    def embed_query(self, text): return vectors[0]
"""
PGVECTOR = """
from langchain_postgres import PGVector
store = PGVector(Made(), connection=sys.argv[1], collection_name="bench")
started = time.perf_counter()
for first in range(0, rows, batch):
    store.add_embeddings(texts[first:first + batch], vectors[first:first + batch])
"""
PGVECTORSTORE = """
from langchain_postgres import PGEngine, PGVectorStore
engine = PGEngine.from_connection_string(sys.argv[1])
engine.init_vectorstore_table("bench", width)
store = PGVectorStore.create_sync(engine, table_name="bench", embedding_service=Made())
started = time.perf_counter()
for first in range(0, rows, batch):
    store.add_embeddings(texts[first:first + batch], vectors[first:first + batch])
"""
LLAMAINDEX = """
from llama_index.core.schema import TextNode
from llama_index.vector_stores.postgres import PGVectorStore
store = PGVectorStore.from_params(
    connection_string=sys.argv[1].replace("+psycopg:", "+psycopg2:"),
    async_connection_string=sys.argv[1].replace("+psycopg:", "+asyncpg:"),
    table_name="bench", embed_dim=width)
nodes = [TextNode(text=text, embedding=vector) for text, vector in zip(texts, vectors)]
started = time.perf_counter()
for first in range(0, rows, batch):
    store.add(nodes[first:first + batch])
"""


@dataclass(frozen=True)
class Peer:
    """One of them: what it needs, what it runs, and how many times its speed we have promised."""

    name: str
    environment: str
    packages: tuple[str, ...]
    script: str
    promised: float

    def rate(self, url: str, rows: int, width: int) -> float:
        """Rows a second of a load into the database at this SQLAlchemy address."""
        command = [
            str(python_of(self.environment, self.packages)),
            "-c",
            self.script,
            url,
            str(rows),
            str(width),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{self.name}: {done.stderr[-2000:]}")
        found: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return rows / float(found["seconds"])


_LANGCHAIN = ("langchain-postgres>=0.0.15", "psycopg[binary]", "numpy")
_LLAMAINDEX = ("llama-index-core", "llama-index-vector-stores-postgres", "numpy")
PEERS = (
    Peer("LangChain PGVector", "langchain", _LANGCHAIN, HEAD + EMBEDDINGS + PGVECTOR + TAIL, 10),
    Peer("LlamaIndex PGVectorStore", "llamaindex", _LLAMAINDEX, HEAD + LLAMAINDEX + TAIL, 10),
    Peer("LangChain PGVectorStore", "langchain", _LANGCHAIN, HEAD + EMBEDDINGS + PGVECTORSTORE + TAIL, 30),
)


def _home() -> Path:
    given = os.environ.get("DPE_BENCH_HOME")
    return Path(given) if given else Path.home() / ".cache" / "data-platform-engineer" / "bench"


def python_of(environment: str, packages: Sequence[str]) -> Path:
    """The interpreter of an environment, which is built where it is not there."""
    place = _home() / environment
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        (place / "ready").touch()
    return python

"""From a spec's sources to a filled store: read, cut, embed, load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_platform.postgres.vectors.create import create, finish, finished, missing
from data_platform.postgres.vectors.load import load
from data_platform.postgres.vectors.sessions import Vector, sparse
from data_platform.postgres.vectors.store import Loaded, Target
from data_platform.retrieval.chunking import Chunk, Document, chunked
from data_platform.retrieval.chunking.measure import tokenizer
from data_platform.retrieval.chunking.reading import documents
from data_platform.retrieval.design import design
from data_platform.retrieval.embedding import Embedder, Matrix, Memory, distances_by, embedder, fingerprint
from data_platform.retrieval.pgvector.names import names_of
from data_platform.retrieval.pgvector.store import files, secured_table
from data_platform.spec.retrieval import Retrieval

Tell = Callable[[str, float], None]
_AT_ONCE = 64


@dataclass(frozen=True)
class Filling:
    """What is to be loaded; paths in the spec are relative to `folder`."""

    spec: Retrieval
    folder: Path
    memory: Path
    create: bool = False
    keep_vanished: bool = False


def fill(conninfo: str, what: Filling, tell: Tell) -> Loaded:
    """Load it. With `create` the store is made first, and its indexes once the rows are there; what a run that was
    stopped has made of it stays.
    """
    spec = what.spec
    model = embedder(spec.model, what.folder)
    target = target_of(spec, fingerprint(model))
    chosen = design(spec)
    if what.create and missing(conninfo, spec.name):
        create(conninfo, files(spec, chosen)[:1])
    memory = Memory(what.memory)
    try:
        done = load(
            conninfo,
            target,
            documents(spec.sources, what.folder, tell),
            cutter(spec, what.folder, model),
            lambda texts: embedded(memory, model, target, spec, texts, tell),
            keep_vanished=what.keep_vanished,
        )
    finally:
        memory.close()
    if what.create and not finished(conninfo, names_of(spec).search, secured_table(spec)):
        tell("building indexes", 0.9)
        finish(conninfo, spec.name, lambda there: files(spec, chosen, there)[1:])
    return done


def target_of(spec: Retrieval, print_: str) -> Target:
    """The store's tables and the model's entry in its registry."""
    names, model = names_of(spec), spec.model
    return Target(
        schema=spec.name,
        embeddings=names.embeddings,
        model={
            "name": model.name,
            "provider": model.provider,
            "dimensions": model.dimensions,
            "distance": model.distance,
            "normalised": model.normalised,
            "fingerprint": print_,
        },
        filters=tuple(one.name for one in spec.filters),
        tenant=spec.tenants.column if spec.tenants else None,
    )


def cutter(spec: Retrieval, folder: Path, model: Embedder) -> Callable[[Document], Sequence[Chunk]]:
    """How the spec cuts a document."""
    how = spec.chunking
    file = how.tokenizer or spec.model.tokenizer
    ruler = tokenizer(folder / file) if how.unit == "tokens" and file else None
    distances = distances_by(model) if how.strategy == "semantic" else None
    return lambda document: chunked(document, how, ruler, distances)


def embedded(
    memory: Memory,
    model: Embedder,
    target: Target,
    spec: Retrieval,
    texts: Sequence[tuple[bytes, str]],
    tell: Tell,
) -> Mapping[bytes, Vector]:
    """By the hash of the text as it is stored; what the model reads has its prefix before it."""
    print_ = key_of(target, spec)
    prefixed = [(hash_, spec.model.document_prefix + text) for hash_, text in texts]
    if spec.model.provider == "precomputed":
        # The file is the memory: what another one of this model's name held is nothing to this one.
        return dict(_of_file(model, spec, prefixed))
    return memory.embedded(model, print_, prefixed, tell)


def _of_file(
    model: Embedder, spec: Retrieval, texts: Sequence[tuple[bytes, str]]
) -> Iterator[tuple[bytes, Vector]]:
    """In parts, since those that are mostly zero are short only once they are so written."""
    for first in range(0, len(texts), _AT_ONCE):
        part = texts[first : first + _AT_ONCE]
        made = model.embed([text for _, text in part])
        for (hash_, _), vector in zip(part, made, strict=True):
            yield hash_, sparse(vector) if spec.model.non_zero else vector


def key_of(target: Target, spec: Retrieval) -> str:
    """What the memory knows the model by: texts with another prefix have other vectors."""
    prefix = spec.model.document_prefix
    return str(target.model["fingerprint"]) + (f":{prefix}" if prefix else "")


def query_vector(model: Embedder, spec: Retrieval, text: str) -> Matrix:
    """A question as a vector."""
    found: Matrix = model.embed([spec.model.query_prefix + text])[0]
    return found

"""A load on many machines, for whatever runs it (`load_spark.py`): what every machine is told, the units of work, and
what a machine does with some of them. Chunks, ids and vectors are made as `dpe retrieval load` makes them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.parts import load_part, spread
from data_platform.postgres.vectors.store import Loaded, Target
from data_platform.retrieval.chunking.document import Chunk, Document
from data_platform.retrieval.chunking.reading import address, files_of, kind_of, read
from data_platform.retrieval.chunking.tables import chosen, columns_of, of_row
from data_platform.retrieval.embedding import Embedder, Memory, embedder, fingerprint
from data_platform.retrieval.filling import cutter, embedded, target_of
from data_platform.spec.document import parse
from data_platform.spec.retrieval import Retrieval, Source, read_retrieval
from data_platform.spec.validate import check


@dataclass(frozen=True)
class Job:
    """What every machine is told; plain values, which can be sent anywhere. `folder` is the same path on all of them;
    `memory`, a file of each machine, keeps vectors from one run to the next.
    """

    spec: str
    name: str
    folder: str
    conninfo: str
    memory: str | None = None


@dataclass(frozen=True)
class Unit:
    """One file, or one row of a table; `source` is its place in the spec."""

    source: int
    uri: str
    path: str
    row: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Rows:
    """A source whose rows the runner reads itself: paths or addresses of parquet files."""

    source: int
    paths: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    """What each column is."""

    def columns(self, there: list[str]) -> list[str]:
        """Those that are read. UsageProblem where one is missing."""
        return chosen(dict(self.fields), there, self.paths[0])

    def unit(self, row: Mapping[str, Any]) -> Unit:
        """One of its rows. What is wrong with it is told where it is loaded."""
        return Unit(self.source, str(row.get(dict(self.fields)["uri"])), self.paths[0], row)


def files(job: Job) -> list[Unit]:
    """Every file of the sources, but those of rows. UsageProblem for a source without files."""
    spec, folder = _spec(job), Path(job.folder)
    return [
        Unit(number, address(path, folder), str(path))
        for number, source in enumerate(spec.sources)
        if not _of_rows(source)
        for path in files_of(source, folder)
    ]


def tables(job: Job) -> list[Rows]:
    """The sources of rows."""
    spec, folder = _spec(job), Path(job.folder)
    return [
        Rows(number, _places(source, folder), tuple(columns_of(source).items()))
        for number, source in enumerate(spec.sources)
        if _of_rows(source)
    ]


def _of_rows(source: Source) -> bool:
    return (source.format or kind_of(Path(source.path))) == "parquet"


def _places(source: Source, folder: Path) -> tuple[str, ...]:
    """An address such as s3a://… is the runner's to read; anything else is files here."""
    if "://" in source.path:
        return (source.path,)
    return tuple(path.resolve().as_uri() for path in files_of(source, folder))


def load_units(job: Job, units: Iterable[Unit]) -> list[Loaded | UsageProblem]:
    """Load some of them. What would fail again is returned and not raised, so that nobody tries it again."""
    try:
        made = _prepared(job)
        with tempfile.TemporaryDirectory() as kept_for_now:
            memory = Memory(Path(job.memory) if job.memory else Path(kept_for_now) / "vectors.sqlite")
            try:
                done = load_part(
                    job.conninfo,
                    made.target,
                    _documents(units, made.spec),
                    made.cut,
                    lambda texts: embedded(
                        memory, made.model, made.target, made.spec, texts, lambda what, share: None
                    ),
                )
            finally:
                memory.close()
    except UsageProblem as problem:
        return [problem]
    return [done]


def loaded(
    job: Job, run: Callable[[], Iterable[Loaded | UsageProblem]], *, keep_vanished: bool = False
) -> Loaded:
    """The whole load, whose parts `run` has done by `load_units`. Raises the first problem of any of them."""

    def parts() -> Iterator[Loaded]:
        for part in run():
            if isinstance(part, UsageProblem):
                raise part
            yield part

    return spread(job.conninfo, _prepared(job).target, parts, keep_vanished=keep_vanished)


# --- on each machine ---


@dataclass(frozen=True)
class _Prepared:
    spec: Retrieval
    model: Embedder
    target: Target
    cut: Callable[[Document], Sequence[Chunk]]


@lru_cache(maxsize=1)
def _prepared(job: Job) -> _Prepared:
    """Once a process: a model takes its time to be read."""
    spec, folder = _spec(job), Path(job.folder)
    model = embedder(spec.model, folder)
    return _Prepared(spec, model, target_of(spec, fingerprint(model)), cutter(spec, folder, model))


@lru_cache(maxsize=1)
def _spec(job: Job) -> Retrieval:
    document = parse(job.spec.encode(), job.name)
    check(document, "retrieval")
    return read_retrieval(document)


def _documents(units: Iterable[Unit], spec: Retrieval) -> Iterator[Document]:
    for unit in units:
        source = spec.sources[unit.source]
        if unit.row is None:
            yield from read(Path(unit.path), source, unit.uri)
        else:
            yield of_row(unit.row, source, unit.path)

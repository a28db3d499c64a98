"""Vectors that were made once, by model and text, in an SQLite file: a run that was killed goes on where it was.

A batch is written when it is there, and then it is done: a kill loses at most the answer that is under way.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_platform.errors import EnvironmentProblem
from data_platform.retrieval.embedding.models import Embedder, Matrix

Tell = Callable[[str, float], None]
_BATCH = 64
_ASKED = 500


@dataclass(frozen=True)
class Progress:
    """How far it is: texts done and to do, and seconds so far."""

    done: int
    all: int
    seconds: float

    def __str__(self) -> str:
        rate = self.done / self.seconds if self.seconds else 0.0
        left = (self.all - self.done) / rate if rate else 0.0
        return f"embedding: {self.done:,} of {self.all:,} texts, {rate:,.0f}/s, {left:,.0f} s left"


class Memory:
    """The file; one process writes at a time, others wait."""

    def __init__(self, path: Path) -> None:
        """Raises EnvironmentProblem when the file cannot be made or is no SQLite."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(path, timeout=60)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (model TEXT, hash BLOB, vector BLOB NOT NULL,"
                " PRIMARY KEY (model, hash)) WITHOUT ROWID"
            )
            self._connection.commit()
        except sqlite3.Error as error:
            raise _problem(self.path, error) from None

    def close(self) -> None:
        """Ends the use of the file."""
        self._connection.close()

    def known(self, model: str, hashes: Iterable[bytes]) -> dict[bytes, Matrix]:
        """The vectors that are there."""
        found: dict[bytes, Matrix] = {}
        wanted = list(hashes)
        for first in range(0, len(wanted), _ASKED):
            part = wanted[first : first + _ASKED]
            marks = ", ".join("?" * len(part))
            query = f"SELECT hash, vector FROM vectors WHERE model = ? AND hash IN ({marks})"  # noqa: S608 - marks only
            with closing(self._connection.execute(query, [model, *part])) as rows:
                found |= {hash_: np.frombuffer(vector, dtype="<f4") for hash_, vector in rows}
        return found

    @staticmethod
    def peeked(path: Path, model: str, hashes: Iterable[bytes]) -> set[bytes]:
        """Which of the vectors a file has, without writing to it or making it; none where there is no file."""
        if not path.is_file():
            return set()
        # A file beside it holds what was written last; without one, nothing has to be locked and so nothing be made.
        mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
        wanted = list(hashes)
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True)) as connection:
                return _there(connection, model, wanted)
        except sqlite3.Error as error:
            raise _problem(path, error) from None

    def keep(self, model: str, vectors: Sequence[tuple[bytes, Matrix]]) -> None:
        """Write a batch; it is there once this returns."""
        rows = [(model, hash_, np.asarray(vector, dtype="<f4").tobytes()) for hash_, vector in vectors]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise _problem(self.path, error) from None

    def embedded(
        self,
        made: Embedder,
        model: str,
        texts: Sequence[tuple[bytes, str]],
        tell: Tell = lambda what, share: None,
    ) -> dict[bytes, Matrix]:
        """The vectors of (hash, text), those that are missing from the model, batch by batch. `model` is its
        fingerprint.
        """
        wanted = dict(texts)
        found = self.known(model, wanted)
        missing = [(hash_, text) for hash_, text in wanted.items() if hash_ not in found]
        started = time.monotonic()
        for first in range(0, len(missing), _BATCH):
            part = missing[first : first + _BATCH]
            vectors = made.embed([text for _, text in part])
            kept = list(zip((hash_ for hash_, _ in part), vectors, strict=True))
            self.keep(model, kept)
            found |= dict(kept)
            done = first + len(part)
            tell(str(Progress(done, len(missing), time.monotonic() - started)), done / len(missing))
        return found


def _there(connection: sqlite3.Connection, model: str, wanted: Sequence[bytes]) -> set[bytes]:
    query = "SELECT 1 FROM vectors WHERE model = ? AND hash = ?"
    return {hash_ for hash_ in wanted if connection.execute(query, [model, hash_]).fetchone()}


def _problem(path: Path, error: sqlite3.Error) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"the memory of vectors cannot be used: {error}", where=str(path), try_="another --memory FILE"
    )

"""What collections hold and what that must be: a point for each row that has a vector, with the row's values."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from data_platform.pipeline.prove.kept import Keeps
from data_platform.pipeline.prove.qdrant import Engine
from data_platform.pipeline.relaying import relay_name
from data_platform.postgres.pipelines.relations import table_name
from data_platform.qdrant.points import OWN
from data_platform.spec.pipeline import Pipeline
from data_platform.spec.pipeline_patterns import CollectionSpec
from data_platform.sql.text import phrase

Connection = psycopg.Connection[Any]
Rows = dict[str, Counter[str]]


@dataclass(frozen=True)
class Collected:
    """What the store keeps in PostgreSQL, and its collections beside."""

    spec: Pipeline
    inner: Keeps
    engine: Engine

    def content(self, connection: Connection) -> Rows:
        return {**self.inner.content(connection), **dict(self._points(connection))}

    def wanted(self, connection: Connection) -> Rows:
        found = self.inner.wanted(connection)
        for one in self.spec.kept.collections:
            rows = self._rows(connection, one)
            found[f"collection {one.name}"] = Counter(f"{told} as the row" for told in rows)
        return found

    def change(self, data: dict[str, Any]) -> None:
        """The same columns, named in another order."""
        self.inner.change(data)
        for one, known in zip(data.get("collections", ()), self.spec.kept.collections, strict=True):
            source = self.spec.source(known.source)
            assert source is not None
            names = known.payload or [n for n in source.columns if n not in (known.column, *source.key)]
            one["payload"] = [*reversed(names)]

    def _rows(self, connection: Connection, one: CollectionSpec) -> Mapping[str, Sequence[float]]:
        """By what a point of it must say, the vector of each row that has one."""
        source = self.spec.source(one.source)
        assert source is not None
        assert source.table is not None
        query = phrase("SELECT to_jsonb(r.*) FROM {table} AS r", table=table_name(source.table))
        found = {}
        for (row,) in connection.execute(query.encode()):
            given = row.pop(one.column)
            if given is not None:
                names = [*source.key, *one.payload] if one.payload else [*row]
                values = json.loads(given) if isinstance(given, str) else given
                found[_told({name: row[name] for name in names})] = values
        return found

    def _points(self, connection: Connection) -> Iterator[tuple[str, Counter[str]]]:
        relays = {relay_name(self.spec, one.name) for one in self.spec.kept.collections}
        for one in self.spec.kept.collections:
            rows = self._rows(connection, one)
            counted: Counter[str] = Counter()
            for point in self.engine.points(one.collection):
                payload = dict(point.payload)
                own = payload.pop(OWN, {})
                # Several may share a collection; a point of none of them is one too many.
                if "gone_at" in own or own.get("relay") in relays - {relay_name(self.spec, one.name)}:
                    continue
                told = _told(payload)
                same = _same(point.vector, rows.get(told), one)
                counted[f"{told} {'as the row' if same else 'another vector'}"] += 1
            yield f"collection {one.name}", counted


def _told(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, sort_keys=True, ensure_ascii=False)


def _same(found: Any, wanted: Sequence[float] | None, one: CollectionSpec) -> bool:
    """Whether the vectors are the same, but for what 32 bits round; by cosine their directions count."""
    values = found.get(one.vector) if isinstance(found, dict) else found
    if values is None or wanted is None:
        return False
    scale = math.hypot(*wanted) or 1.0 if one.distance == "cosine" else 1.0
    return all(
        math.isclose(a, b / scale, rel_tol=1e-4, abs_tol=1e-5) for a, b in zip(values, wanted, strict=True)
    )

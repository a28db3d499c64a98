"""Qdrant's REST interface over its own engine in this process: the calls that a relay makes, and mishaps."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from data_platform.errors import EnvironmentProblem

VERSION = "1.16.0"
"""The first of which the server compares versions by itself."""
_PAGE = 1_000


@dataclass
class Engine:
    """Collections, each a shard of the engine. `writes` are the bodies of all that was put there.

    `before` and `after` are called with the number of each write; what they return is the code to answer instead.
    """

    edge: Any
    folder: Path
    url: str = ""
    collections: dict[str, tuple[Mapping[str, Any], Any]] = field(default_factory=dict)
    writes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    before: Callable[[int], int | None] = lambda number: None
    after: Callable[[int], int | None] = lambda number: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def points(self, name: str) -> list[Any]:
        """All of a collection, with payload and vector; nothing where there is none."""
        if name not in self.collections:
            return []
        found: list[Any] = []
        offset = None
        while True:
            request = self.edge.ScrollRequest(offset=offset, limit=_PAGE, with_payload=True, with_vector=True)
            with self.lock:
                page, offset = self.collections[name][1].scroll(request)
            found += page
            if offset is None:
                return found

    def write(self, name: str, body: Mapping[str, Any]) -> None:
        """Put points there, as the server does."""
        made = [self.edge.Point(one["id"], one["vector"], one["payload"]) for one in body["points"]]
        condition = self._filter(body["update_filter"]) if body.get("update_filter") else None
        operation = self.edge.UpdateOperation.upsert_points(made, condition=condition)
        with self.lock:
            self.collections[name][1].update(operation)

    def close(self) -> None:
        for _, shard in self.collections.values():
            shard.close()

    def answer(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        """What it says to a call: the code, and the result."""
        match method, parts:
            case "GET", []:
                return 200, None
            case "GET", ["collections", name] if name in self.collections:
                return 200, {"config": {"params": {"vectors": self.collections[name][0]}}}
            case "PUT", ["collections", name] if name not in self.collections:
                self._create(name, body["vectors"])
                return 200, True
            case "PUT", ["collections", name, "index"] if name in self.collections:
                self._index(name, body)
                return 200, {"status": "completed"}
            case "PUT", ["collections", name, "points"] if name in self.collections:
                return self._written(name, body)
            case "POST", ["collections", name, "points", "scroll"] if name in self.collections:
                request = self.edge.ScrollRequest(
                    limit=body["limit"],
                    filter=self._filter(body["filter"]),
                    with_payload=body["with_payload"],
                )
                with self.lock:
                    page, _ = self.collections[name][1].scroll(request)
                return 200, {"points": [{"id": str(one.id), "payload": one.payload} for one in page]}
            case "POST", ["collections", name, "points", "delete"] if name in self.collections:
                gone = self.edge.UpdateOperation.delete_points_by_filter(self._filter(body["filter"]))
                with self.lock:
                    self.collections[name][1].update(gone)
                return 200, {"status": "completed"}
        return 404, None

    def _written(self, name: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        self.writes.append((name, body))
        number = len(self.writes)
        code = self.before(number)
        if code is None:
            self.write(name, body)
            code = self.after(number)
        return (code, None) if code else (200, {"status": "completed"})

    def _create(self, name: str, vectors: Mapping[str, Any]) -> None:
        named = {"": vectors} if "size" in vectors else vectors
        config = {
            vector: self.edge.EdgeVectorParams(
                size=one["size"], distance=getattr(self.edge.Distance, one["distance"])
            )
            for vector, one in named.items()
        }
        place = tempfile.mkdtemp(dir=self.folder)
        self.collections[name] = (
            vectors,
            self.edge.EdgeShard.create(place, self.edge.EdgeConfig(vectors=config)),
        )

    def _index(self, name: str, body: Mapping[str, Any]) -> None:
        kind = getattr(self.edge.PayloadSchemaType, body["field_schema"].capitalize())
        made = self.edge.UpdateOperation.create_field_index(body["field_name"], kind)
        with self.lock:
            self.collections[name][1].update(made)

    def _filter(self, body: Mapping[str, Any]) -> Any:
        return self.edge.Filter(
            **{key: [self._condition(one) for one in every] for key, every in body.items()}
        )

    def _condition(self, body: Mapping[str, Any]) -> Any:
        if "has_id" in body:
            return self.edge.HasIdCondition(set(body["has_id"]))
        if "is_empty" in body:
            return self.edge.FieldCondition(body["is_empty"]["key"], is_empty=True)
        if "match" in body:
            return self.edge.FieldCondition(body["key"], match=self.edge.MatchValue(body["match"]["value"]))
        if "range" in body:
            return self.edge.FieldCondition(body["key"], range=self.edge.RangeFloat(**body["range"]))
        return self._filter(body)


@contextmanager
def running() -> Iterator[Engine]:
    """One at an address of this machine. EnvironmentProblem without the engine."""
    try:
        import qdrant_edge as edge  # noqa: PLC0415  an extra
    except ImportError:
        raise EnvironmentProblem(
            "no Qdrant engine to prove collections on",
            expected="qdrant-edge-py",
            try_="dpe setup --extra qdrant",
        ) from None
    with tempfile.TemporaryDirectory(prefix="dpe-qdrant-") as folder:
        engine = Engine(edge, Path(folder))
        served = ThreadingHTTPServer(("127.0.0.1", 0), _handler(engine))
        served.daemon_threads = True
        threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
        engine.url = f"http://127.0.0.1:{served.server_address[1]}"
        try:
            yield engine
        finally:
            served.shutdown()
            served.server_close()
            engine.close()


def _handler(engine: Engine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            parts = [unquote(part) for part in urlsplit(self.path).path.split("/") if part]
            code, result = engine.answer(self.command, parts, body)
            said = {"result": result} if parts else {"title": "qdrant", "version": VERSION}
            raw = json.dumps(said).encode()
            try:
                self.send_response(code)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
            except OSError:  # who asked was killed
                self.close_connection = True

        do_GET = do_PUT = do_POST = _do  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            pass

    return Handler

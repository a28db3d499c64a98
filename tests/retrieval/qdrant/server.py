"""A real HTTP server that answers as Qdrant's documentation says; its searches compare every point."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np


class Recorded:
    """What was asked, and what is there."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.points: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.keys: list[str | None] = []

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: PLR0912 - a case a call
        self.asked.append((method, path))
        parts = [unquote(part) for part in path.split("/") if part]
        match method, parts:
            case "GET", ["collections"]:
                return 200, {"collections": [{"name": name} for name in self.collections]}
            case "GET", ["aliases"]:
                return 200, {
                    "aliases": [{"alias_name": a, "collection_name": c} for a, c in self.aliases.items()]
                }
            case "POST", ["collections", "aliases"]:
                return self._aliases(body)
            case "GET", ["collections", name] if name in self.collections:
                return 200, self.collections[name]
            case "PUT", ["collections", name] if name not in self.collections:
                self.collections[name] = described(body)
                return 200, True
            case "PATCH", ["collections", name] if name in self.collections:
                config = self.collections[name]["config"]
                config["hnsw_config"] |= body.get("hnsw_config", {})
                config["quantization_config"] = body.get("quantization_config", config["quantization_config"])
                return 200, True
            case "PUT", ["collections", name, "index"]:
                self.collections[name]["payload_schema"][body["field_name"]] = {
                    "data_type": body["field_schema"]
                }
                return 200, {"status": "completed"}
            case "POST", ["collections", name, "snapshots"]:
                return 200, {"name": f"{name}-1.snapshot", "size": 10}
            case "PUT", ["collections", name, "snapshots", "recover"]:
                source = body["location"].rsplit("/", 1)[-1].split("-")[0]
                self.collections[name] = self.collections[source]
                self.points[name] = dict(self.points.get(source, {}))
                return 200, True
            case "PUT", ["collections", name, "points"]:
                self.points.setdefault(name, {}).update({one["id"]: one for one in body["points"]})
                return 200, {"status": "completed"}
            case "POST", ["collections", name, "points", "scroll"]:
                return 200, self._page(name, body)
            case "POST", ["collections", name, "points", "query"]:
                return 200, {"points": self._nearest(name, body)}
            case "POST", ["collections", name, "points", "delete"]:
                for one in body["points"]:
                    del self.points[name][one]
                return 200, {"status": "completed"}
            case "POST", ["collections", name, "points", "count"]:
                return 200, {"count": len(self.points.get(name, {}))}
        return 404, {"error": f"{method} {path}"}

    def _page(self, name: str, body: Any) -> dict[str, Any]:
        ids = sorted(self.points.get(name, {}))
        first = ids.index(body["offset"]) if "offset" in body else 0
        page = ids[first : first + body["limit"]]
        after = ids[first + len(page) :]
        return {
            "points": [self.points[name][one] for one in page],
            "next_page_offset": after[0] if after else None,
        }

    def _nearest(self, name: str, body: Any) -> list[dict[str, Any]]:
        wanted = {one["key"]: one["match"]["value"] for one in body.get("filter", {}).get("must", [])}
        passing = [
            point
            for point in self.points.get(name, {}).values()
            if all(point["payload"].get(key) == value for key, value in wanted.items())
        ]
        if isinstance(body["query"], dict):
            asked = dict(zip(*body["query"].values(), strict=True))
            own = [dict(zip(*point["vector"][body["using"]].values(), strict=True)) for point in passing]
            scores = np.array([sum(one.get(place, 0) * asked[place] for place in asked) for one in own])
            passing = [point for point, score in zip(passing, scores, strict=True) if score]
            scores = scores[scores != 0]
        else:
            vectors = np.array([point["vector"][body["using"]] for point in passing])
            query = np.array(body["query"])
            scores = vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
        best = np.argsort(-scores)[: body["limit"]]
        return [{"id": passing[place]["id"], "score": float(scores[place])} for place in best]

    def _aliases(self, body: Any) -> tuple[int, Any]:
        for action in body["actions"]:
            if "delete_alias" in action:
                del self.aliases[action["delete_alias"]["alias_name"]]
            else:
                made = action["create_alias"]
                self.aliases[made["alias_name"]] = made["collection_name"]
        return 200, True


def described(body: dict[str, Any]) -> dict[str, Any]:
    """A new collection as GET tells it."""
    hnsw = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000} | body.get("hnsw_config", {})
    return {
        "status": "green",
        "optimizer_status": "ok",
        "points_count": 0,
        "indexed_vectors_count": 0,
        "config": {
            "params": {
                "vectors": body["vectors"],
                "sparse_vectors": body.get("sparse_vectors"),
                "shard_number": body.get("shard_number", 1),
                "replication_factor": body.get("replication_factor", 1),
            },
            "hnsw_config": hnsw,
            "quantization_config": body.get("quantization_config"),
        },
        "payload_schema": {},
    }


@contextmanager
def running() -> Iterator[tuple[str, Recorded]]:
    """Its address and what it knows."""
    recorded = Recorded()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            recorded.keys.append(self.headers.get("api-key"))
            code, result = recorded.answer(self.command, urlsplit(self.path).path, body)
            raw = json.dumps({"result": result, "status": "ok" if code == 200 else "error"}).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_PUT = do_POST = do_PATCH = _do  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}", recorded
    finally:
        served.shutdown()
        served.server_close()

"""A real HTTP server that answers like OpenAI's, and fails, stalls and truncates when it is told to."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WIDTH = 8


def vector_of(text: str) -> list[float]:
    """Of length 1, by the text's hash."""
    raw = [byte / 255 + 0.01 for byte in hashlib.sha256(text.encode()).digest()[:WIDTH]]
    length = sum(one * one for one in raw) ** 0.5
    return [one / length for one in raw]


class Fake:
    """What the server was asked, and what it is to do with the next requests: one word each, `ok` after them."""

    def __init__(self) -> None:
        self.plan: list[str] = []
        self.texts: Counter[str] = Counter()
        self.keys: list[str | None] = []
        self.times: list[float] = []
        self.lock = threading.Lock()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self.lock:
            word = self.plan.pop(0) if self.plan else "ok"
            self.keys.append(handler.headers.get("Authorization"))
            self.times.append(time.monotonic())
        getattr(self, f"_{word}")(handler, asked["input"])

    def _ok(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        with self.lock:
            self.texts.update(texts)
        self._send(handler, 200, self._body(texts))

    def _shuffled(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        body = self._body(texts)
        body["data"].reverse()
        self._send(handler, 200, body)

    def _slow(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        time.sleep(0.02)
        self._ok(handler, texts)

    def _stall(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        time.sleep(1.0)

    def _truncate(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        raw = json.dumps(self._body(texts)).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw[: len(raw) // 2])

    def _short(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        self._send(handler, 200, self._body(texts[:-1]))

    def _wide(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        body = self._body(texts)
        for row in body["data"]:
            row["embedding"].append(0.0)
        self._send(handler, 200, body)

    def _busy(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        self._send(handler, 429, {"error": "slow down"}, {"Retry-After": "0.3"})

    def _broken(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        self._send(handler, 500, {"error": "oh"})

    def _denied(self, handler: BaseHTTPRequestHandler, texts: list[str]) -> None:
        self._send(handler, 401, {"error": f"no such key: {handler.headers.get('Authorization')}"})

    def _body(self, texts: list[str]) -> dict[str, Any]:
        return {"data": [{"index": n, "embedding": vector_of(text)} for n, text in enumerate(texts)]}

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        code: int,
        body: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> None:
        raw = json.dumps(body).encode()
        handler.send_response(code)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)


@contextmanager
def running() -> Iterator[tuple[str, Fake]]:
    """Its address and what it knows."""
    fake = Fake()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):
                fake.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    thread = threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}/v1", fake
    finally:
        served.shutdown()
        served.server_close()

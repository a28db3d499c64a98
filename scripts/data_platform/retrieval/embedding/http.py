"""Models behind an OpenAI-compatible server: POST {url}/embeddings.

What may pass (429, 5xx, a connection that breaks, stalls or ends too soon) is tried again, after a time that grows and
is drawn at random so that many clients do not come back together, or after what Retry-After says. What will not pass
(another 4xx, an answer that does not fit) is told at once. The key is never shown.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.retrieval.embedding.models import Embedder, Matrix
from data_platform.spec.retrieval import Model

_TRIES = 6
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 60.0
_TEXTS = 64
_CHARACTERS = 200_000
"""Of one request; most servers take 2,048 texts and 300,000 tokens at most."""
_MOST_BYTES = 512 * 1024 * 1024


def http_embedder(model: Model, folder: Path) -> Embedder:
    """The server at `model.url`; its key is in the environment variable that `model.key` names."""
    url = (model.url or "").rstrip("/")
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageProblem(f"`{url}` is no address", where=f"model {model.name}", expected="https://…/v1")
    return Server(url, model.name, _key(model))


def _key(model: Model) -> str | None:
    if model.key is None:
        return None
    name = model.key.removeprefix("env:")
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageProblem(
            f"environment variable {name} is not set, or is empty", where=f"model {model.name}"
        )
    return value


class _Again(Exception):
    """What may pass. `wait` is what the server asked for, in seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True)
class Server:
    """One server and one of its models."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    tries: int = _TRIES
    first_wait_s: float = _FIRST_WAIT
    sleep: Callable[[float], None] = time.sleep

    def embed(self, texts: Sequence[str]) -> Matrix:
        """In requests of a size that servers take."""
        made: list[Matrix] = []
        batch: list[str] = []
        size = 0
        for text in texts:
            if batch and (len(batch) >= _TEXTS or size + len(text) > _CHARACTERS):
                made.append(self._patiently(batch))
                batch, size = [], 0
            batch.append(text)
            size += len(text)
        if batch:
            made.append(self._patiently(batch))
        return np.concatenate(made)

    def _patiently(self, texts: list[str]) -> Matrix:
        for number in range(1, self.tries + 1):
            try:
                return self._ask(texts)
            except _Again as problem:
                if number == self.tries:
                    raise EnvironmentProblem(
                        f"no answer after {number} tries: {problem}",
                        where=self.url,
                        try_="the same command later: what was embedded is kept",
                    ) from None
                longest = min(_LONGEST_WAIT, self.first_wait_s * 2**number)
                drawn = random.uniform(0, longest)  # noqa: S311 - to be apart, not to be secret
                self.sleep(min(problem.wait, _LONGEST_WAIT) if problem.wait is not None else drawn)
        raise AssertionError("the last try returns or raises")

    def _ask(self, texts: list[str]) -> Matrix:
        body = json.dumps({"model": self.model, "input": texts, "encoding_format": "float"}).encode()
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.key}"} if self.key else {}
        )
        request = Request(f"{self.url}/embeddings", body, headers)  # noqa: S310 - http or https, looked at above
        try:
            with urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310
                raw = answer.read(_MOST_BYTES)
        except HTTPError as error:
            raise self._refusal(error) from None
        except (OSError, HTTPException) as error:
            raise _Again(f"{type(error).__name__}: {error}") from None
        return self._vectors(raw, len(texts))

    def _refusal(self, error: HTTPError) -> Exception:
        with error:
            said = error.read(2000).decode("utf-8", "replace").strip()
        if error.code in (408, 409, 425, 429) or error.code >= 500:
            after = error.headers.get("Retry-After", "")
            return _Again(f"HTTP {error.code}", float(after) if after.replace(".", "", 1).isdigit() else None)
        return UsageProblem(f"the server refuses: HTTP {error.code} {self._hidden(said)}", where=self.url)

    def _hidden(self, text: str) -> str:
        return text.replace(self.key, "…") if self.key else text

    def _vectors(self, raw: bytes, count: int) -> Matrix:
        try:
            rows: list[Any] = json.loads(raw)["data"]
            found = {int(row["index"]): row["embedding"] for row in rows}
            made = np.array([found[number] for number in range(count)], dtype=np.float32)
        except (ValueError, KeyError, TypeError) as error:
            # A body that ends too soon is no JSON; the next one may be whole.
            raise _Again(f"an answer that does not fit ({type(error).__name__})") from None
        if len(found) != count:
            raise UsageProblem(f"{len(found)} vectors for {count} texts", where=self.url)
        return made

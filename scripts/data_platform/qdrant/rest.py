"""Calls of Qdrant's REST interface. The key is never shown."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.qdrant.calls import Call, Server, path_of

_SECONDS = 60.0


class NotThere(UsageProblem):
    """Nothing is at that path."""


@dataclass(frozen=True)
class Rest:
    """One server. `key` goes in the header api-key."""

    url: str
    key: str | None = field(default=None, repr=False)

    def call(self, call: Call) -> Any:
        """The `result` of the answer.

        UsageProblem for a refusal; EnvironmentProblem where there is no answer, or one that the server is not well.
        """
        answer = self._asked(call)
        if not isinstance(answer, dict) or "result" not in answer:
            raise EnvironmentProblem("no answer from Qdrant: another server answers", where=self.url)
        return answer["result"]

    def _asked(self, call: Call) -> Any:
        body = (
            json.dumps(call.body).encode() if call.body or call.method in ("PUT", "POST", "PATCH") else None
        )
        headers = {"Content-Type": "application/json"} | ({"api-key": self.key} if self.key else {})
        request = Request(f"{self.url}{call.path}", body, headers, method=call.method)  # noqa: S310 - looked at in `rest`
        try:
            with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return json.loads(answer.read())
        except HTTPError as error:
            with error:
                said = error.read(2000).decode("utf-8", "replace")
            said = said.replace(self.key, "…") if self.key else said
            if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == HTTPStatus.TOO_MANY_REQUESTS:
                raise EnvironmentProblem(
                    f"Qdrant cannot answer: HTTP {error.code} {said[:300]}", where=self.url
                ) from None
            refusal = NotThere if error.code == HTTPStatus.NOT_FOUND else UsageProblem
            raise refusal(
                f"Qdrant refuses: HTTP {error.code} {said[:300]}", where=f"{call.method} {call.path}"
            ) from None
        except (OSError, HTTPException, ValueError) as error:
            raise EnvironmentProblem(f"no answer from Qdrant: {error}", where=self.url) from None

    def get(self, path: str) -> Any:
        """What is at a path."""
        return self.call(Call("GET", path))

    def find(self, path: str) -> Any:
        """What is at a path; None where nothing is."""
        try:
            return self.get(path)
        except NotThere:
            return None

    def version(self) -> tuple[int, int]:
        """Of the server: major and minor; (0, 0) where it does not say."""
        told = self._asked(Call("GET", "/"))
        found = re.match(r"(\d+)\.(\d+)", str(told.get("version", "")) if isinstance(told, dict) else "")
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def server(self) -> Server:
        """Its collections with their configuration, and its aliases."""
        names = [one["name"] for one in self.get("/collections")["collections"]]
        found: dict[str, Mapping[str, Any]] = {}
        for name in names:
            told = self.get(path_of(name))
            found[name] = {**told["config"], "payload_schema": told.get("payload_schema", {}), "info": told}
        aliases = {one["alias_name"]: one["collection_name"] for one in self.get("/aliases")["aliases"]}
        return Server(found, aliases)


def rest(url: str, key: str | None) -> Rest:
    """The server at an address or `env:NAME` of one; `key` is `env:NAME`. UsageProblem for what is neither."""
    if url.startswith("env:"):
        url = os.environ.get(url.removeprefix("env:"), "").strip()
    if urlsplit(url).scheme not in ("http", "https"):
        raise UsageProblem(f"`{url}` is no address", where="--url", expected="http://host:6333")
    if key is None:
        return Rest(url.rstrip("/"))
    name = key.removeprefix("env:")
    value = os.environ.get(name, "").strip() if key.startswith("env:") else ""
    if not value:
        raise UsageProblem("where is the key?", where="--key", expected="env:NAME of a variable that is set")
    return Rest(url.rstrip("/"), value)

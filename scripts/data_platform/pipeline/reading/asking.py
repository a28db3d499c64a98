"""One GET of a page: tried again where the next answer may be another one, and a token for its own server only."""

from __future__ import annotations

import email.utils
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Mapping
from typing import Any

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.postgres.pipelines.sessions import Passing

_TIMEOUT_SECONDS = 60
_MAX_BYTES = 256 * 1024 * 1024
"""Of one page."""
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_TRIES = 4
"""Of one page: the pages before it need not be read again."""
_FIRST_PAUSE_SECONDS = 0.5
_MOST_SECONDS = 300.0
"""That a run waits because a server asks it to."""
_GZIP = 16 + zlib.MAX_WBITS


class _NotNow(Exception):
    """An answer that may be another one the next time. `after` are the seconds that the server asks to wait."""

    def __init__(self, what: str, after: float = 0.0) -> None:
        super().__init__(what)
        self.what = what
        self.after = after


def get(address: str, token: str | None) -> bytes:
    """The body. `token` is env:NAME of what is sent as a bearer token.

    Raises Passing for what was no answer each time that it was asked for, EnvironmentProblem for a refusal,
    UsageProblem for an address that cannot be one, or leads to another server.
    """
    headers = {"Accept": "application/json", **_authorization(token)}
    for tried in range(1, _TRIES + 1):
        try:
            return _once(address, headers)
        except _NotNow as problem:
            if problem.after > _MOST_SECONDS:
                what = f"{problem.what}, and asks to wait {problem.after:,.0f} s"
                raise EnvironmentProblem(what, where=shown(address), try_="run it then") from None
            if tried == _TRIES:
                raise Passing(problem.what, where=shown(address)) from None
            time.sleep(max(problem.after, _FIRST_PAUSE_SECONDS * 2 ** (tried - 1)))
    raise AssertionError


def _authorization(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    name = token.removeprefix("env:")
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageProblem(f"environment variable {name} is not set, or is empty")
    if not (value.isascii() and value.isprintable()):
        raise UsageProblem(f"environment variable {name} holds what no header can: a line end, or no ASCII")
    return {"Authorization": f"Bearer {value}"}


class _SameServer(urllib.request.HTTPRedirectHandler):
    """Redirects within the server that was asked: another one must not get our token, nor answer in its name."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = (urllib.parse.urlsplit(url) for url in (req.full_url, newurl))
        is_upgrade = (before.scheme, after.scheme) == ("http", "https") and before.hostname == after.hostname
        if before[:2] != after[:2] and not is_upgrade:
            raise UsageProblem(
                f"the server sends us to another one: {shown(newurl)}",
                where=shown(req.full_url),
                try_="url: of that one, if it is meant",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _once(address: str, headers: Mapping[str, str]) -> bytes:
    try:
        request = urllib.request.Request(address, headers=dict(headers))  # noqa: S310  http(s) by the schema
        with urllib.request.build_opener(_SameServer).open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return _whole(answer, address)
    except urllib.error.HTTPError as error:
        told = f"the server answers {error.code}"
        if error.code in _PASSING:
            raise _NotNow(told, _asked_for(error.headers.get("Retry-After"))) from None
        raise EnvironmentProblem(told, where=shown(address)) from None
    except (http.client.InvalidURL, ValueError):
        raise UsageProblem(
            "this is no address of HTTP",
            where=shown(address),
            expected="https://host/path; secrets are no part of it: pages: {token: env:NAME}",
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise _NotNow(
            f"no answer: {getattr(error, 'reason', None) or error or type(error).__name__}"
        ) from None


def _whole(answer: Any, address: str) -> bytes:
    raw: bytes = answer.read(_MAX_BYTES + 1)
    length = answer.headers.get("Content-Length")
    if length is not None and length.isdecimal() and len(raw) < min(int(length), _MAX_BYTES):
        raise _NotNow(f"the answer broke off after {len(raw):,} of {int(length):,} bytes")
    if answer.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"):
        raw = _unpacked(raw)
    if len(raw) > _MAX_BYTES:
        raise UsageProblem(f"a page is larger than {_MAX_BYTES:,} bytes", where=shown(address))
    return raw


def _unpacked(raw: bytes) -> bytes:
    """What a server packs though nobody asked it to; no more than a page may have."""
    unpacking = zlib.decompressobj(_GZIP)
    try:
        found = unpacking.decompress(raw, _MAX_BYTES + 1)
    except zlib.error:
        raise _NotNow("the answer is called gzip and is none") from None
    if not unpacking.eof and len(found) <= _MAX_BYTES:
        raise _NotNow("the answer broke off")
    return found


def _asked_for(text: str | None) -> float:
    """The seconds of a header Retry-After, which has them or a date."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, until.timestamp() - time.time())


def shown(address: str) -> str:
    """Without user, password and query, which may hold secrets."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:
        return address.partition("?")[0].rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

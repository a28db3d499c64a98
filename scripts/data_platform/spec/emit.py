"""Plain data as YAML that a person wants to read, and that YAML 1.1 and 1.2 read alike.

Mappings and lists of little stand in one line, texts of several lines in block scalars. Whatever a reader of either
version would take for something other than this text is quoted. `parse(emit(data)).data == data`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from data_platform.spec.document import resolve

WIDTH = 110
"""A mapping or list that is longer in one line is written in several."""

# https://yaml.org/type/: what YAML 1.1 reads as a truth, nothing, or a merge, in any case.
_OLD_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "=", "<<"])
_NUMBERISH = re.compile(r"[-+.]?[0-9.][0-9a-fxoetz_:.+\- ]*\Z", re.IGNORECASE)
"""Numbers, dates and times of either version, and more."""
_PLAIN_START = re.compile(r"\w|[(/$]|[-+][^\s\d.-]")
_UNSAFE = re.compile(r": |:$| #|^---|^\.\.\.|[\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]|^\s|\s$")
_UNSAFE_IN_FLOW = re.compile(r"[,\[\]{}?]|:[^\s\w]|:$")
_VISIBLE = (
    r"\xa1-\u061b\u061d-\u1fff\u2010-\u2027\u2030-\u205f\u2070-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    r"\U00010000-\U000dffff"
)
_NOT_VISIBLE = re.compile(rf"[^\t\n\x20-\x7e{_VISIBLE}]")
"""What a person would not see, or what moves the text around it; written as an escape."""


class Block(dict[str, Any]):
    """A mapping that is written in several lines however short it is."""


def emit(data: Any) -> str:
    """`data` (dict, list, str, int, float, bool, None) as one YAML document."""
    if not isinstance(data, dict | list) or not data:
        return f"{_inline(data)}\n"
    return "".join(f"{line}\n" for line in _lines(data, 0))


def _lines(value: Any, indent: int) -> Iterator[str]:
    space = " " * indent
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _entry(f"{space}{scalar(key, flow=False, key=True)}:", item, indent)
    else:
        for item in value:
            yield from _item(f"{space}-", item, indent)


def _entry(head: str, item: Any, indent: int) -> Iterator[str]:
    """`head` and the value behind it, or under it."""
    if item is None:
        yield head
        return
    if isinstance(item, str):
        yield from _text(head, item, indent)
        return
    short = None if isinstance(item, Block) and item else flow(item, WIDTH - len(head) - 1)
    if short is not None:
        yield f"{head} {short}"
        return
    yield head
    yield from _lines(item, indent + 2)


def _item(head: str, item: Any, indent: int) -> Iterator[str]:
    """As `_entry`; a mapping's first key stands behind the dash."""
    if not isinstance(item, dict) or not item or flow(item, WIDTH - len(head) - 1) is not None:
        yield from _entry(head, item, indent) if item is not None else (f"{head} null",)
        return
    first, *rest = _lines(item, indent + 2)
    yield f"{head} {first[indent + 2 :]}"
    yield from rest


def _text(head: str, text: str, indent: int) -> Iterator[str]:
    if "\n" not in text or not _fits_block(text):
        yield f"{head} {scalar(text, flow=False)}"
        return
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    chomp = {0: "-", 1: ""}.get(ends, "+")
    indicator = "2" if body[0] in " \n\t" else ""
    yield f"{head} |{indicator}{chomp}"
    for line in (body + "\n" * max(0, ends - 1)).split("\n"):
        yield " " * (indent + 2) + line if line else ""


def _fits_block(text: str) -> bool:
    return bool(text.strip("\n")) and not _NOT_VISIBLE.search(text)


def flow(value: Any, room: int) -> str | None:
    """`value` in one line of at most `room` characters, or None."""
    if room < 0:
        return None
    if isinstance(value, Block) and value:
        return None
    if isinstance(value, dict):
        pieces = []
        for key, item in value.items():
            piece = flow(item, room)
            if piece is None:
                return None
            pieces.append(f"{scalar(key, flow=True, key=True)}: {piece}")
            room -= len(pieces[-1]) + 2
        return "{" + ", ".join(pieces) + "}" if room >= 0 else None
    if isinstance(value, list):
        pieces = []
        for item in value:
            piece = flow(item, room)
            if piece is None:
                return None
            pieces.append(piece)
            room -= len(piece) + 2
        return "[" + ", ".join(pieces) + "]" if room >= 0 else None
    text = _inline(value)
    multiline = isinstance(value, str) and "\n" in value and _fits_block(value)
    return None if multiline or len(text) > room else text


def _inline(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return scalar(value, flow=True)
        case float():
            return _float(value)
        case dict() | list():
            return flow(value, 10**9) or ""
    return str(value)


def _float(value: float) -> str:
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, e, exponent = text.partition("e")
    # YAML 1.1 wants a point in the mantissa and a sign in the exponent.
    exponent = exponent if exponent[:1] in ("-", "+", "") else f"+{exponent}"
    return (mantissa if "." in mantissa else f"{mantissa}.0") + e + exponent


@lru_cache(maxsize=65536)
def scalar(text: str, *, flow: bool, key: bool = False) -> str:
    """`text` plain where it reads back as itself, else in quotes."""
    if _is_plain(text, flow or key):
        return text
    if _NOT_VISIBLE.search(text) or "\n" in text or "\t" in text:
        return _double_quoted(text)
    if "'" in text and not set('"\\') & set(text):
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def _is_plain(text: str, flow: bool) -> bool:
    if not _PLAIN_START.match(text) or _UNSAFE.search(text) or (flow and _UNSAFE_IN_FLOW.search(text)):
        return False
    return text.lower() not in _OLD_WORDS and not _NUMBERISH.match(text) and isinstance(resolve(text), str)


def _double_quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _NOT_VISIBLE.sub(_escape, quoted)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"

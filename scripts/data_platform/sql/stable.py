"""Texts that PostgreSQL prints in one way and, given back, prints in another.

`status IN ('new', 'done')` over a varchar column is printed as `(status)::text = ANY ((ARRAY['new'::character varying,
…])::text[])`. Read again, the outer cast moves into the array, and the second print differs from the first: so it is
with dump and restore. Without the two casts the server makes of it what it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_platform.sql.text import NotSql, tokens_of

_MARK = "])::text[])"
_ELEMENTS = (b"varying", b"bpchar")
_CAST = [b"::", b"text"]


def stable(text: str) -> str:
    """`text` as the server prints it, in a form that it prints again after reading it."""
    if _MARK not in text:
        return text
    try:
        raw, tokens = tokens_of(text)
    except NotSql:
        return text
    words = [raw[token.start : token.end] for token in tokens]
    gone: set[int] = set()
    for position, word in enumerate(words):
        if word in (b"ANY", b"ALL"):
            gone |= _casts(words, position)
    kept, end = [], 0
    for number, token in enumerate(tokens):
        if number not in gone:
            kept.append(raw[end : token.end])
        end = token.end
    return b"".join([*kept, raw[end:]]).decode()


def _casts(words: Sequence[bytes], any_: int) -> set[int]:
    """The tokens to leave out around `= ANY ((ARRAY[…])::text[])`, ANY being at `any_`."""
    if words[any_ + 1 : any_ + 5] != [b"(", b"(", b"ARRAY", b"["]:
        return set()
    closing = _closing(words, any_ + 4)
    if closing is None or words[closing - 1] not in _ELEMENTS:
        return set()
    if words[closing + 1 : closing + 7] != [b")", *_CAST, b"[", b"]", b")"]:
        return set()
    outer = {any_ + 2, *range(closing + 1, closing + 6)}
    # One token before ANY is the operator; before it stands the other side, with its own cast if it is no text.
    before = any_ - 2
    return outer | ({before - 1, before} if list(words[before - 1 : before + 1]) == _CAST else set())


def _closing(words: Sequence[bytes], opening: int) -> int | None:
    depth = 0
    for position in range(opening, len(words)):
        depth += {b"[": 1, b"]": -1}.get(words[position], 0)
        if not depth:
            return position
    return None

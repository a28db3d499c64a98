"""Names in specs, and the names that constraints and indexes get when the author gives none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from data_platform.model.database import Name
from data_platform.sql.text import MAX_IDENTIFIER_BYTES, NotSql, check_identifier


def parse_name(text: str, default_schema: str) -> Name:
    """`name`, `schema.name`, or either with parts in double quotes; nothing is folded. NotSql if it is neither."""
    parts = parse_parts(text)
    if len(parts) > 2:
        raise NotSql("expected `name` or `schema.name`; put a part that holds a dot in double quotes")
    return Name(*parts) if len(parts) == 2 else Name(default_schema, parts[0])


def parse_parts(text: str) -> list[str]:
    """The parts of a dotted name, each bare or in double quotes. NotSql if one of them can be no name."""
    parts: list[str] = []
    rest = text
    while True:
        part, rest = _quoted(rest) if rest.startswith('"') else _bare(rest)
        check_identifier(part)
        parts.append(part)
        if not rest:
            return parts
        rest = rest[1:]


def name_text(name: Name, default_schema: str) -> str:
    """What `parse_name` reads as `name`, as short as it can be."""
    return dotted_text(name.name) if name.schema == default_schema else dotted_text(name.schema, name.name)


def dotted_text(*parts: str) -> str:
    """What `parse_parts` reads as these parts."""
    return ".".join(_part_text(part) for part in parts)


def _part_text(part: str) -> str:
    return '"' + part.replace('"', '""') + '"' if "." in part or part.startswith('"') else part


def _bare(text: str) -> tuple[str, str]:
    part, dot, rest = text.partition(".")
    return part, dot + rest


def _quoted(text: str) -> tuple[str, str]:
    part, position = "", 1
    while True:
        end = text.find('"', position)
        if end < 0:
            raise NotSql("a double quote is not closed")
        part += text[position:end]
        if text[end + 1 : end + 2] != '"':
            break
        part, position = part + '"', end + 2
    rest = text[end + 1 :]
    if rest and not rest.startswith("."):
        raise NotSql("expected a dot after the closing double quote")
    return part, rest


def shorten(name: str) -> str:
    """`name` within 63 bytes; a longer one ends in a hash of the whole, so that two do not become one."""
    raw = name.encode()
    if len(raw) <= MAX_IDENTIFIER_BYTES:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:8]
    kept = raw[: MAX_IDENTIFIER_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{kept}_{digest}"


class Namer:
    """Hands out names that are still free: relations share one namespace a schema, constraints one a table."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def claim(self, name: str) -> bool:
        """Take a name that the author gave; False if it is taken."""
        if name in self._taken:
            return False
        self._taken.add(name)
        return True

    def invent(self, *parts: str) -> str:
        """`parts` joined as PostgreSQL does it (`orders_customer_id_fkey`), numbered if taken."""
        base = "_".join(part for part in parts if part)
        name, number = shorten(base), 0
        while not self.claim(name):
            number += 1
            name = shorten(f"{base}{number}")
        return name

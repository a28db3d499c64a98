"""A design as a Mermaid entity-relationship diagram that parses whatever the names are.

Inside quotes Mermaid knows one escape, `#<code point>;`. An attribute is a bare word: a column's name that is
none stands in the attribute's comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from data_platform.model.database import Column, ForeignKey, Name, Table
from data_platform.model.design import Design
from data_platform.schema.diagram.tables import is_unique, marks, names
from data_platform.sql import types

_NO_WORD = re.compile(r"[^A-Za-z0-9_]+")
_KEY_WORD = re.compile(r"(pk|fk|uk)\Z", re.IGNORECASE)
_PLAIN = frozenset(" _-.,/()+='!…")
_LONGEST_COMMENT = 60
_SPOKEN = {
    "bool": "boolean",
    "bpchar": "char",
    "float4": "real",
    "float8": "double",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
}


def drawn(design: Design) -> Design:
    """The design without its partitions: they have the columns and references of their parents."""
    tables = {table.name: table for table in design.database.tables if table.partition_of is None}
    shown = (
        replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key.target in tables))
        for table in tables.values()
    )
    return replace(design, database=replace(design.database, tables=tuple(shown)))


def mermaid(design: Design) -> str:
    """The `erDiagram` of the tables, their columns and foreign keys; the same design gives the same text."""
    tables = design.database.tables
    called = names(design, _quoted)
    lines = ["erDiagram"]
    for table in tables:
        lines += [
            f"    {called[table.name]} {{",
            *(f"        {line}" for line in _attributes(table)),
            "    }",
        ]
    for table in tables:
        lines += [f"    {_relationship(table, key, called)}" for key in table.foreign_keys]
    return "\n".join(lines) + "\n"


def _attributes(table: Table) -> Iterator[str]:
    taken: set[str] = set()
    for column in table.columns:
        word = _word(column.name, taken)
        keys = ", ".join(marks(table, column.name))
        comment = _comment(column, word)
        yield " ".join(part for part in (_type(column.type), word, keys, comment) if part)


def _type(text: str) -> str:
    """The type as one word: `numeric(12, 2)` is `numeric_12_2`, `timestamp with time zone` `timestamptz`."""
    found = types.reference(text)
    words = [_SPOKEN.get(found.name, found.name), *found.modifiers]
    return _word("_".join(words), set()) + "[]" * found.array


def _word(text: str, taken: set[str]) -> str:
    """`text` as a bare word that is not in `taken` yet; adds it there."""
    word = _NO_WORD.sub("_", text)
    if not word[:1].isalpha():
        word = f"c{word}" if word.startswith("_") else f"c_{word}"
    if _KEY_WORD.match(word):
        word += "_"
    unique, number = word, 1
    while unique in taken:
        number += 1
        unique = f"{word}_{number}"
    taken.add(unique)
    return unique


def _comment(column: Column, word: str) -> str:
    lines = (column.comment or "").strip().splitlines()
    text = lines[0] if lines else ""
    if len(text) > _LONGEST_COMMENT:
        text = text[: _LONGEST_COMMENT - 1].rstrip() + "…"
    parts = [part for part in (column.name if column.name != word else "", text) if part]
    return _quoted(" - ".join(parts)) if parts else ""


def _relationship(table: Table, key: ForeignKey, called: Mapping[Name, str]) -> str:
    optional = any(table.column(name).nullable for name in key.columns)
    single = is_unique(table, key.columns)
    identifying = table.primary_key is not None and set(key.columns) <= set(table.primary_key.columns)
    line = "--" if identifying else ".."
    ends = f"{'|o' if optional else '||'}{line}{'o|' if single else 'o{'}"
    label = _quoted(f"{', '.join(key.columns)} - on delete {key.on_delete}")
    return f"{called[key.target]} {ends} {called[table.name]} : {label}"


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(text)) + '"'


def _escaped(text: str) -> Iterator[str]:
    """What Mermaid, Markdown or HTML could read as more than itself comes out as its code point."""
    # Mermaid sees "direction TB" even inside quotes, so no plain blank may follow that word.
    for character in re.sub(r"(?i)(?<=direction) ", "\N{NO-BREAK SPACE}", text):
        plain = character in _PLAIN or (character.isalnum() and ord(character) < 0x10000)
        yield character if plain else f"#{ord(character)};"

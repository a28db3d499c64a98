"""Names that PostgreSQL makes up."""

from __future__ import annotations

from data_platform.sql.text import MAX_IDENTIFIER_BYTES


def default_name(first: str, second: str, label: str) -> str:
    """The name that PostgreSQL makes of a table, a column and a label, cut to its 63 bytes.

    Source: makeObjectName in PostgreSQL's src/backend/commands/indexcmds.c. The longer part is cut first.
    """
    parts = [first.encode(), second.encode()]
    overhead = len(label.encode()) + 1 + (1 if second else 0)
    sizes = [len(part) for part in parts]
    while sum(sizes) + overhead > MAX_IDENTIFIER_BYTES:
        sizes[0 if sizes[0] > sizes[1] else 1] -= 1
    kept = [part[:size].decode(errors="ignore") for part, size in zip(parts, sizes, strict=True)]
    return "_".join([*(part for part in kept if part), label])

"""MySQL's limits on what a key or a row may hold, and the text types that fit into them; other targets have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from data_platform.model.database import Name, Table
from data_platform.schema.dialects.targets import Target
from data_platform.schema.dialects.types import Mapped, Types

_KEY_BYTES = 3072
_ROW_BYTES = 65_535
_PER_CHARACTER = 4
_FIXED = 40
"""Bytes of any column that is no text, at the most: a UUID as text has 36."""
_USUAL = 255
PREFIX = 191
"""Characters of a text that an index without a rule to keep needs: most values differ in them."""


@dataclass(frozen=True)
class KeySizes:
    """For each text column of a table that is in a key: how many characters it may have there."""

    limits: Mapping[str, int]
    widened: frozenset[str] = frozenset()
    """Columns whose VARCHAR(n) does not fit into a row, and becomes LONGTEXT with a check."""

    def fitted(self, column: str, mapped: Mapped) -> Mapped:
        """The column's type within the limits."""
        if column in self.widened:
            check = f"CHAR_LENGTH({{c}}) <= {mapped.size}"
            return replace(mapped, text="LONGTEXT", size=None, checks=(*mapped.checks, check))
        limit = self.limits.get(column)
        if limit is None or not _is_text(mapped) or (mapped.size is not None and mapped.size <= limit):
            return mapped
        note = f"is in a key, and so has at most {limit} characters"
        text = mapped.text.replace("LONGTEXT", f"VARCHAR({limit})").replace("LONGBLOB", f"VARBINARY({limit})")
        if mapped.size is not None:
            text = f"VARCHAR({limit})"
        return replace(mapped, text=text, size=limit, notes=(*mapped.notes, note))


def _is_text(mapped: Mapped) -> bool:
    return mapped.kind != "uuid" and mapped.text.startswith(("LONG", "VARCHAR"))


def key_sizes(target: Target, types: Types, table: Table, referenced: Iterable[tuple[str, ...]]) -> KeySizes:
    """The limits for `table`; `referenced` are the columns that foreign keys of any table point to in it."""
    if target.name != "mysql":
        return KeySizes({})
    mapped = {column.name: types.mapped(column.type) for column in table.columns}
    limits: dict[str, int] = {}
    for key in (*_unique_keys(table), *referenced):
        for name, limit in _limits_of(key, mapped).items():
            limits[name] = min(limits.get(name, limit), limit)
    return KeySizes(limits, _too_wide(mapped, limits))


def _limits_of(key: tuple[str, ...], mapped: Mapping[str, Mapped]) -> dict[str, int]:
    """What each text of one key may have: what it declares, or a fair share where that is too much."""
    wanted = {name: mapped[name].size or _USUAL for name in key if name in mapped and _is_text(mapped[name])}
    if not wanted:
        return {}
    room = (_KEY_BYTES - _FIXED * (len(key) - len(wanted))) // _PER_CHARACTER
    if sum(wanted.values()) <= room:
        return wanted
    share = max(1, room // len(wanted))
    return {name: min(size, share) for name, size in wanted.items()}


def _unique_keys(table: Table) -> list[tuple[str, ...]]:
    keys = [part.columns for part in (table.primary_key, *table.uniques) if part is not None]
    keys += [key.columns for key in table.foreign_keys]
    for index in table.indexes:
        names = tuple(element.column for element in index.elements if element.column is not None)
        if index.unique and index.where is None and len(names) == len(index.elements):
            keys.append(names)
    return keys


def _too_wide(mapped: Mapping[str, Mapped], limits: Mapping[str, int]) -> frozenset[str]:
    """The widest texts outside keys, until the rest fits into a row."""
    widths = {
        name: (limits.get(name) or one.size or 0) * _PER_CHARACTER if _is_text(one) else _FIXED
        for name, one in mapped.items()
    }
    chosen: set[str] = set()
    free = sorted(
        (name for name, one in mapped.items() if name not in limits and one.size is not None),
        key=lambda name: -widths[name],
    )
    while free and sum(width for name, width in widths.items() if name not in chosen) > _ROW_BYTES:
        chosen.add(free.pop(0))
    return frozenset(chosen)


def referenced_columns(tables: Iterable[Table]) -> dict[Name, list[tuple[str, ...]]]:
    """Table → the column lists that foreign keys point to in it."""
    found: dict[Name, list[tuple[str, ...]]] = {}
    for table in tables:
        for key in table.foreign_keys:
            found.setdefault(key.target, []).append(key.target_columns)
    return found

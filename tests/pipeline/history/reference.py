"""What a dimension must hold, told in a few lines of Python that know nothing of the statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Seen:
    """A row of a batch: of which key, from when, and `values` = (a, b), or gone."""

    key: Key
    at: int
    values: tuple[Any, Any]
    gone: bool = False


@dataclass
class Reference:
    """Everything that was seen, per key and time; a later one of the same time wins."""

    seen: dict[Key, dict[int, Seen]] = field(default_factory=dict)

    def learn(self, batch: Iterable[Seen]) -> None:
        for row in batch:
            self.seen.setdefault(row.key, {})[row.at] = row

    def state(self, key: Key, at: int) -> Seen | None:
        """What holds at that time; None for nothing."""
        times = [t for t in self.seen.get(key, {}) if t <= at]
        found = self.seen[key][max(times)] if times else None
        return None if found is None or found.gone else found

    def snapshot(self, batch: Iterable[Seen], at: int) -> None:
        """A batch that is all there is at that time."""
        rows = list(batch)
        there = {row.key for row in rows}
        vanished = [key for key in self.seen if key not in there and self.state(key, at)]
        again = []
        for key in there & set(self.seen):
            (last, *_) = sorted((r for r in rows if r.key == key and r.at <= at), key=lambda r: -r.at) or [
                None
            ]
            ended = any(row.gone and last and last.at <= row.at <= at for row in self.seen[key].values())
            if last and not last.gone and last.at < at and not self.state(key, at) and ended:
                again.append(Seen(key, at, last.values))
        self.learn([*rows, *again, *(Seen(key, at, (None, None), True) for key in vanished)])

    def versions(self, tracked: str = "ab") -> set[tuple[Any, ...]]:
        """(key, a, b, from, to, a of the last, b of the last); what is not tracked is that of the last."""
        return {version for key in self.seen for version in self._of(key, tracked)}

    def _of(self, key: Key, tracked: str) -> Iterable[tuple[Any, ...]]:
        rows = [self.seen[key][at] for at in sorted(self.seen[key])]
        alive = [row for row in rows if not row.gone]
        if not alive:
            return
        last = alive[-1].values

        def shown(row: Seen) -> tuple[Any, ...]:
            return tuple(row.values[n] if name in tracked else last[n] for n, name in enumerate("ab"))

        kept: list[Seen] = []
        for row in rows:
            before = kept[-1] if kept and not kept[-1].gone else None
            if row.gone != (before is None) or (before and shown(before) != shown(row)):
                kept.append(row)
        for n, row in enumerate(kept):
            if not row.gone:
                yield (*key, *shown(row), row.at, kept[n + 1].at if n + 1 < len(kept) else None, *last)

    def present(self) -> set[tuple[Any, ...]]:
        """Type 1: the last value of what is there, with its time."""
        last = [rows[max(rows)] for rows in self.seen.values()]
        return {(*row.key, *row.values, row.at) for row in last if not row.gone}

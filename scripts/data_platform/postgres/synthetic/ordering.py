"""Columns that are compared with one another: start_at < end_at, discount <= price, b >= a + 10."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from random import Random

from data_platform.postgres.synthetic.facts import Relation
from data_platform.postgres.synthetic.space import Linear
from data_platform.postgres.synthetic.units import Plain, Sheet


@dataclass(eq=False)
class Ordered:
    """Columns that are compared with one another, such as start_at < end_at, each after those it must exceed."""

    units: Mapping[str, Plain]
    relations: tuple[Relation, ...]
    world: int
    given: frozenset[str]
    """Columns whose numbers an earlier step made."""
    random: Random

    def __post_init__(self) -> None:
        self._spaces = {name: _linear(unit, self.world) for name, unit in self.units.items()}
        self._unit = _common_tick(self._spaces.values())
        self._factor = {name: int(space.scale.tick / self._unit) for name, space in self._spaces.items()}
        self._limits = self._tightened()
        self._order = self._topological()

    def run(self, sheet: Sheet) -> None:
        if sheet.world != self.world:
            return
        places: dict[str, list[int | None]] = {}
        for name in self._order:
            drawn = self._drawn(sheet, name)
            ticks = drawn if name in self.given else self._column(sheet, name, places, drawn)
            places[name] = [None if tick is None else tick * self._factor[name] for tick in ticks]

    def _drawn(self, sheet: Sheet, name: str) -> list[int | None]:
        """The ticks of the numbers that earlier steps made."""
        numbers = sheet.numbers[self.units[name]]
        ticks = iter(self._spaces[name].ticks([number for number in numbers if number is not None]))
        return [None if number is None else next(ticks) for number in numbers]

    def _column(
        self,
        sheet: Sheet,
        name: str,
        places: Mapping[str, list[int | None]],
        drawn: list[int | None],
    ) -> list[int | None]:
        """Ticks within the limits of each row: what was drawn if nothing lies below, else something a bit above."""
        space, factor = self._spaces[name], self._factor[name]
        lows, highs = self._row_limits(sheet, name, places)
        keeps = not any(relation.right == name and relation.left in places for relation in self.relations)
        usual_end, reach, step = space.first + (space.natural - 1) * space.step, _reach(space), space.step
        random = self.random.random
        made: list[int | None] = []
        for row, tick in enumerate(drawn):
            first, last = -(-lows[row] // factor), highs[row] // factor
            if tick is None or (keeps and first <= tick <= last):
                made.append(tick)
                continue
            start = space.first if first < space.first <= last else first + (space.low - first) % step
            if start > last:
                sheet.dead.add(row)
                start = last
            end = min(last, max(usual_end, start + reach))
            made.append(start + int(random() * ((end - start) // step + 1)) * step)
        texts = iter(space.scale.write([tick for tick in made if tick is not None]))
        sheet.values[name] = [None if tick is None else next(texts) for tick in made]
        return made

    def _row_limits(
        self, sheet: Sheet, name: str, places: Mapping[str, list[int | None]]
    ) -> tuple[list[int], list[int]]:
        low, high = self._limits[name]
        lows, highs = [low] * sheet.count, [high] * sheet.count
        for relation in self.relations:
            gap = self._gap(relation)
            if relation.right == name and relation.left in places:
                lows = [
                    a if b is None else max(a, b + gap)
                    for a, b in zip(lows, places[relation.left], strict=True)
                ]
            if relation.left == name and relation.right in places:
                highs = [
                    a if b is None else min(a, b - gap)
                    for a, b in zip(highs, places[relation.right], strict=True)
                ]
        return lows, highs

    def _gap(self, relation: Relation) -> int:
        gap = relation.gap / self._unit
        whole = -(-gap.numerator // gap.denominator)
        return whole + 1 if relation.comparison == "<" and whole == gap else whole

    def _tightened(self) -> dict[str, tuple[int, int]]:
        """Limits that leave room for what must come before and after."""
        limits = {
            name: (s.low * self._factor[name], s.high * self._factor[name])
            for name, s in self._spaces.items()
        }
        for _ in limits:
            for relation in self.relations:
                (low, high), (right_low, right_high) = limits[relation.left], limits[relation.right]
                gap = self._gap(relation)
                limits[relation.left] = (low, min(high, right_high - gap))
                limits[relation.right] = (max(right_low, low + gap), right_high)
        return limits

    def _topological(self) -> list[str]:
        """Smaller columns first; `given` ones before all."""
        before = {
            name: {r.left for r in self.relations if r.right == name and self._gap(r) >= 0} - self.given
            for name in self.units
        }
        order = [name for name in self.units if name in self.given]
        waiting = [name for name in self.units if name not in self.given]
        while waiting:
            ready = next((name for name in waiting if before[name] <= set(order)), waiting[0])
            waiting.remove(ready)
            order.append(ready)
        return order


def _linear(unit: Plain, world: int) -> Linear:
    choice = unit.worlds[world]
    assert choice is not None
    assert isinstance(choice.space, Linear)
    return choice.space


def _common_tick(spaces: Iterable[Linear]) -> Fraction:
    """The longest length of which every tick is a multiple."""
    common = Fraction(0)
    for space in spaces:
        tick = space.scale.tick
        denominator = common.denominator * tick.denominator
        common = Fraction(gcd(int(common * denominator), int(tick * denominator)), denominator)
    return common


def _reach(space: Linear) -> int:
    """How far past a lower neighbour a value may lie: a month for times, else a tenth of what is usual."""
    month = int(Fraction(30 * 86_400_000_000) / space.scale.tick) if space.scale.tick >= 1_000_000 else 0
    return month or max(1, space.natural // 10)

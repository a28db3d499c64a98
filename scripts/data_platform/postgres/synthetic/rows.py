"""Runs a plan: rows in blocks, column by column, and what children need to know of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from data_platform.postgres.synthetic.placing import Placed
from data_platform.postgres.synthetic.plan import Plan
from data_platform.postgres.synthetic.steps import Counted
from data_platform.postgres.synthetic.stream import Draw, stream
from data_platform.postgres.synthetic.units import Sheet, Texts


@dataclass(frozen=True)
class Block:
    """Rows by column, in the order of the plan's columns."""

    columns: tuple[Texts, ...]
    count: int


@dataclass(eq=False)
class Rows:
    """The rows of one table, as many as are asked for. `kept` grows by the values of the columns that it has.

    It does not where the plan is for rows that the server may still refuse; then the caller fills it.
    """

    plan: Plan
    seed: int
    kept: dict[str, Texts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = stream(self.seed, str(self.plan.table.name), "\0rows")
        self._worlds = Draw(len(self.plan.weights), weights=self.plan.weights)

    def block(self, count: int) -> Block:
        """`count` new rows, or fewer where keys leave no more; an empty block says that there are none."""
        sheets = [self._sheet(world, share) for world, share in self._shares(count)]
        if not any(sheet.count for sheet in sheets):
            # The worlds that were drawn have no values left; another one may.
            sheets = [self._elsewhere(count)]
        columns = tuple(_joined(sheet.values[name] for sheet in sheets) for name in self.plan.columns)
        made = sum(sheet.count for sheet in sheets)
        if len(sheets) > 1:
            order = list(range(made))
            self._random.shuffle(order)
            columns = tuple([column[place] for place in order] for column in columns)
        return Block(columns, made)

    def used_up(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The keys, with their columns, that had no value left for some row."""
        return tuple(
            (step.key, step.columns)
            for step in self.plan.steps
            if isinstance(step, (Counted, Placed)) and step.used_up
        )

    def _shares(self, count: int) -> list[tuple[int, int]]:
        """How many of the rows are of which world."""
        if len(self.plan.weights) == 1:
            return [(0, count)]
        drawn = self._worlds(self._random, count)
        return [(world, share) for world in range(len(self.plan.weights)) if (share := drawn.count(world))]

    def _elsewhere(self, count: int) -> Sheet:
        sheets = (self._sheet(world, count) for world in range(len(self.plan.weights)))
        return next(
            (sheet for sheet in sheets if sheet.count), Sheet(0, 0, values={c: [] for c in self.plan.columns})
        )

    def _sheet(self, world: int, count: int) -> Sheet:
        sheet = Sheet(world, count, owners=self.plan.owners)
        self._cut(sheet)
        for step in self.plan.steps:
            step.run(sheet)
        for unit in self.plan.units:
            if any(column not in sheet.values for column in unit.columns):
                unit.write(sheet)
        if sheet.dead:
            living = [row for row in range(sheet.count) if row not in sheet.dead]
            sheet.values = {name: [texts[row] for row in living] for name, texts in sheet.values.items()}
            sheet.count = len(living)
        if not self.plan.confirmed_only:
            for name in self.kept.keys() & sheet.values.keys():
                self.kept[name] += sheet.values[name]
        return sheet

    def _cut(self, sheet: Sheet) -> None:
        """No more rows than the scarcest key allows, so that the other keys waste nothing on them."""
        for step in self.plan.steps:
            if isinstance(step, Counted) and (room := step.room(sheet)) is not None and room < sheet.count:
                sheet.count, step.used_up = max(0, room), True


def _joined(parts: Iterable[Texts]) -> Texts:
    lists = list(parts)
    return lists[0] if len(lists) == 1 else [text for part in lists for text in part]


_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_text(columns: Sequence[Texts]) -> str:
    """The columns as COPY's text format, one line a row."""
    return "".join([f"{line}\n" for line in map("\t".join, zip(*map(_escaped, columns), strict=True))])


def _escaped(texts: Texts) -> Sequence[str]:
    present = [text for text in texts if text is not None] if None in texts else texts
    whole = "".join(present)  # type: ignore[arg-type]
    risky = any(character in whole for character in "\\\t\n\r")
    if risky:
        return ["\\N" if text is None else text.translate(_ESCAPED) for text in texts]
    if present is texts:
        return texts  # type: ignore[return-value]
    return ["\\N" if text is None else text for text in texts]

"""From a table to the units and steps that make its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from random import Random
from types import MappingProxyType

from data_platform.model.database import Column, ForeignKey, Name, Table
from data_platform.model.design import DataHint
from data_platform.postgres.synthetic import trees
from data_platform.postgres.synthetic.checks import CheckReader, Fold
from data_platform.postgres.synthetic.facts import (
    ANYTHING,
    NO_FACTS,
    Bound,
    Derived,
    Facts,
    Relation,
    World,
    about,
    both,
    combine,
    every,
    text_fits,
)
from data_platform.postgres.synthetic.keys import Key, keys_of
from data_platform.postgres.synthetic.kinds import (
    CLOCKS,
    LINEAR,
    MOMENTS,
    NUMBERS,
    RANGES,
    WHOLE,
    Kind,
    Kinds,
)
from data_platform.postgres.synthetic.linear import scale_of
from data_platform.postgres.synthetic.space import HUGE, Linear, Listed, Space
from data_platform.postgres.synthetic.steps import Backward, Counted, Differs, Drawn, Ordered, Placed, Step
from data_platform.postgres.synthetic.stream import Draw, stream
from data_platform.postgres.synthetic.units import Choice, Plain, Reference, Sheet, Slots, Unit
from data_platform.postgres.synthetic.values import (
    NoValues,
    Wish,
    interval_texts,
    limits,
    space_of,
    uuid7_space,
)
from data_platform.sql.text import expression_tree

Values = Mapping[str, list[str | None]]
"""A table's values so far, by column: what children refer to."""

NULL_SHARE = 0.1
"""How much of a nullable column is NULL when nothing else is said."""
_MOSTLY_NULL = re.compile(
    r"(deleted|archived|cancell?ed|revoked|removed|disabled|suspended|deactivated)_?(at|on|by|date|time)?"
)
_CREATED = re.compile(r"(created|inserted)(_at|_on)?")
_LATER = re.compile(
    r"(updated|modified|changed|deleted|archived|shipped|delivered|paid|closed|resolved|completed|finished|last_\w+)(_at|_on)"
)
_WIDE = 4
"""A column that has this many times more values than the table rows can keep a wider key unique on its own."""


class Unfillable(Exception):
    """No row can be made; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a plan depends on beside the table.

    `parents` are the values of the tables that it may refer to; `own` those of the table itself, which grow. Foreign
    keys in `left_open` bind nothing yet. `pins` are columns whose value is given. `beyond` numbers were given out
    already, so that a fresh row takes later ones; None for a table that is filled from the start.
    """

    kinds: Kinds
    seed: int
    rows: int
    fold: Fold
    hints: Mapping[str, DataHint] = field(default_factory=lambda: MappingProxyType({}))
    parents: Mapping[Name, Values] = field(default_factory=lambda: MappingProxyType({}))
    own: Values = field(default_factory=lambda: MappingProxyType({}))
    left_open: frozenset[str] = frozenset()
    pins: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    beyond: int | None = None
    empty: frozenset[str] = frozenset()
    """Columns that are NULL for lack of something to refer to."""
    confirmed_only: bool = False
    """Rows may refer only to those of their own table that the server has taken."""
    unsupported: frozenset[str] = frozenset()
    """Types that this server cannot make, though we could."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The columns to write, the units that write them, the steps that number the units, and the worlds' weights."""

    table: Table
    columns: tuple[str, ...]
    kinds: Mapping[str, Kind]
    units: tuple[Unit, ...]
    steps: tuple[Step, ...]
    weights: tuple[float, ...]
    owners: Mapping[str, Unit]
    derived: tuple[Derived, ...]
    confirmed_only: bool

    @property
    def refers_back(self) -> bool:
        """Whether rows refer to rows of the same table."""
        return any(isinstance(step, Backward) for step in self.steps)


def plan_of(table: Table, setting: Setting) -> Plan:
    """The plan for a table; Unfillable if no row can be made."""
    return _Planner(table, setting).plan()


class _Planner:
    def __init__(self, table: Table, setting: Setting) -> None:
        self._table = table
        self._set = setting
        self._all_kinds = {column.name: setting.kinds(column.type) for column in table.columns}
        self._columns = {column.name: column for column in self._written()}
        self._kinds = {name: self._all_kinds[name] for name in self._columns}
        self._reader = CheckReader(self._kinds, setting.fold)
        self._keys = [key for key in keys_of(table) if not {*key.columns, *key.overlap} <= set(setting.pins)]
        self._owners: dict[str, Unit] = {}
        self._steps: list[Step] = []
        self._settled: set[Unit] = set()

    def plan(self) -> Plan:
        self._worlds = self._possible_worlds()
        self._spaces = self._plain_spaces()
        self._own_units()
        counted = self._counted_units()
        placed = self._placed_keys(counted)
        self._arrange(counted, placed)
        self._worlds_relations()
        self._refer_back()
        return Plan(
            table=self._table,
            columns=tuple(self._columns),
            kinds=self._all_kinds,
            units=tuple(dict.fromkeys(self._owners.values())),
            steps=tuple(self._steps),
            weights=tuple(self._weight(world) for world in self._worlds),
            owners=self._owners,
            derived=self._derived(),
            confirmed_only=self._set.confirmed_only,
        )

    # Columns.

    def _written(self) -> Iterator[Column]:
        """The columns that get values: all but generated ones and those of unknown types that have a default."""
        for column in self._table.columns:
            if column.generated is not None:
                continue
            missing = self._missing_type(self._all_kinds[column.name])
            if missing and column.default is None and not column.nullable:
                raise Unfillable(f"no generator for type {missing} of column {column.name}")
            if not missing or column.name in self._set.pins:
                yield column

    def _missing_type(self, kind: Kind) -> str | None:
        if kind.base in self._set.unsupported:
            return kind.base
        inner = [part for part in (kind.element, *kind.attributes) if part is not None]
        missing = next((name for part in inner if (name := self._missing_type(part))), None)
        if missing or kind.base in LINEAR:
            return missing
        try:
            space_of(kind, NO_FACTS, Wish())
        except NoValues as problem:
            return kind.base if "no generator" in str(problem) else None
        return None

    def _hint(self, column: str) -> DataHint:
        return self._set.hints.get(column, _NO_HINT)

    def _stream(self, *names: str) -> Random:
        again = () if self._set.beyond is None else (f"\0beyond {self._set.beyond}",)
        return stream(self._set.seed, str(self._table.name), *names, *again)

    # Worlds.

    def _possible_worlds(self) -> tuple[World, ...]:
        parts = [(check.name, self._reader.read(check.expression)) for check in self._table.checks]
        parts += [("NOT NULL", (self._not_null(),)), ("the given values", (self._pinned(),))]
        parts += [
            (name, self._domain_worlds(kind, name)) for name, kind in self._kinds.items() if kind.checks
        ]
        parts += [(key.name, self._split(key)) for key in self._keys if key.where and self._needs_split(key)]
        worlds: tuple[World, ...] = (ANYTHING,)
        for name, part in parts:
            narrowed = every([worlds, part])
            if not narrowed:
                raise Unfillable(f"no values were found that satisfy {name}")
            worlds = narrowed
        return tuple(self._hinted(world) for world in worlds)

    def _not_null(self) -> World:
        nullable = {
            name for name, column in self._columns.items() if column.nullable and self._kinds[name].nullable
        }
        solid = {name for key in self._keys if key.name == self._primary_name() for name in key.columns}
        return World(
            {name: Facts(null=False) for name in self._columns if name not in nullable or name in solid}
        )

    def _primary_name(self) -> str:
        return self._table.primary_key.name if self._table.primary_key else ""

    def _pinned(self) -> World:
        facts = {
            name: Facts(null=True) if value is None else Facts(null=False, only=(value,))
            for name, value in self._set.pins.items()
            if name in self._columns
        }
        return World(facts | {name: Facts(null=True) for name in self._set.empty})

    def _domain_worlds(self, kind: Kind, column: str) -> tuple[World, ...]:
        """What the checks of a domain say of a column of it."""
        reader = CheckReader({"value": kind}, self._set.fold)
        worlds = every(reader.read(expression) for expression in kind.checks)
        return tuple(replace(world, facts={column: world.of("value")}) for world in worlds)

    def _inner_facts(self, kind: Kind) -> Facts:
        """The same for a value inside an array or a composite: one of the alternatives will do."""
        return next((world.of("value") for world in self._domain_worlds(kind, "value")), NO_FACTS)

    def _split(self, key: Key) -> tuple[World, ...]:
        """The worlds in which a partial key binds, and those in which it does not."""
        assert key.where is not None
        binding, free = self._reader.read(key.where), self._reader.opposite(key.where)
        exempt = tuple(replace(world, exempt=frozenset({key.name})) for world in free if world.sure)
        return (*binding, *exempt) if all(world.sure for world in binding) else (ANYTHING,)

    def _needs_split(self, key: Key) -> bool:
        """Whether binding all rows would cost too many of them: no column of the key is wide."""
        return not any(
            self._kinds[name].base not in _NARROW and not self._refers(name)
            for name in key.columns
            if name in self._kinds
        )

    def _refers(self, column: str) -> bool:
        return any(column in key.columns for key in self._table.foreign_keys)

    def _hinted(self, world: World) -> World:
        """With the limits of hints, where they do not contradict the checks."""
        for name in self._columns:
            hint = self._hint(name)
            if (hint.minimum or hint.maximum) and self._kinds[name].base in LINEAR:
                lows = frozenset({Bound(hint.minimum)} if hint.minimum else ())
                highs = frozenset({Bound(hint.maximum)} if hint.maximum else ())
                world = combine(world, about(name, Facts(lows=lows, highs=highs))) or world
        return world

    def _weight(self, world: World) -> float:
        """By the weights of hinted values, so that a status is as frequent as its hint says."""
        weight = 1.0
        for name in self._columns:
            hint, facts = self._hint(name), world.of(name)
            if hint.values:
                total = sum(share for _, share in hint.values)
                weight *= sum(share for value, share in hint.values if _allowed(value, facts)) / total
            if hint.null_fraction is not None and facts.null is not None and len(self._worlds) > 1:
                split = {other.of(name).null for other in self._worlds}
                if split == {True, False}:
                    weight *= hint.null_fraction if facts.null else 1 - hint.null_fraction
        return weight

    def _derived(self) -> tuple[Derived, ...]:
        """Columns that the server computes, in every world the same."""
        common = frozenset.intersection(*(world.derived for world in self._worlds))
        chosen: dict[str, Derived] = {}
        for derived in sorted(common, key=lambda d: (d.column, d.expression)):
            used = trees.columns(expression_tree(derived.expression))
            if not used & chosen.keys() and derived.column not in self._set.pins:
                chosen.setdefault(derived.column, derived)
        return tuple(chosen.values())

    # Plain columns.

    def _plain_spaces(self) -> dict[str, list[Space | None]]:
        """Each column's space in each world. A world in which a column has none is given up."""
        spaces: dict[str, list[Space | None]] = {name: [] for name in self._columns}
        kept: list[World] = []
        problem = ""
        for world in self._worlds:
            try:
                found = {name: self._space(name, world.of(name)) for name in self._columns}
            except NoValues as error:
                problem = str(error)
                continue
            kept.append(world)
            for name, space in found.items():
                spaces[name].append(space)
        if not kept:
            raise Unfillable(problem)
        self._worlds = tuple(kept)
        return spaces

    def _space(self, column: str, facts: Facts) -> Space | None:
        if facts.null:
            return None
        try:
            return self._hinted_space(column, facts) or self._typed_space(column, facts)
        except NoValues as problem:
            if facts.null is None:
                return None
            raise NoValues(f"column {column}: {problem}") from None

    def _hinted_space(self, column: str, facts: Facts) -> Listed | None:
        allowed = [(value, share) for value, share in self._hint(column).values if _allowed(value, facts)]
        if not allowed or column in self._set.pins:
            return None
        values, weights = zip(*allowed, strict=True)
        return Listed(values, weights)

    def _typed_space(self, column: str, facts: Facts) -> Space:
        kind = self._kinds[column]
        default = self._columns[column].default or ""
        if kind.base == "uuid" and "uuidv7" in default and facts.only is None:
            return uuid7_space()
        if self._is_serial(column) and facts.only is None:
            facts = both(facts, Facts(lows=frozenset({Bound("1")}))) or facts
        keyed = any(column in key.columns for key in self._keys)
        # The same for a fresh row as for the table, so that both count through the same space.
        distinct = self._set.rows + self._set.rows // 10 + 50 if keyed else 1
        fold = any(column in key.folded for key in self._keys)
        wish = Wish(
            column=column,
            table=self._table.name.name,
            distinct=distinct,
            fold=fold,
            inner=self._inner_facts,
        )
        return space_of(kind, facts, wish)

    def _is_serial(self, column: str) -> bool:
        """Whether its values come from a sequence, or it is a whole-number key that looks like it."""
        described = self._columns[column]
        if described.identity or "nextval(" in (described.default or ""):
            return True
        alone = any(key.columns == (column,) for key in self._keys)
        return alone and self._kinds[column].base in WHOLE and not self._refers(column)

    def _plain(self, column: str) -> Plain:
        choices = tuple(
            None if space is None else self._choice(column, space, world)
            for space, world in zip(self._spaces[column], self._worlds, strict=True)
        )
        plain = Plain(column, choices, self._stream(column))
        plain.pace = max((self._pace(choice.space, column) for choice in choices if choice), default=1)
        return plain

    def _choice(self, column: str, space: Space, world: World) -> Choice:
        hint = self._hint(column)
        size = max(1, min(space.natural, hint.distinct or space.natural))
        weights = space.weights if isinstance(space, Listed) and hint.distinct is None else ()
        draw = Draw(size, weights=weights, skew=hint.skew)
        spread = space.natural // size if isinstance(space, Linear) and hint.distinct else 1
        return Choice(space, draw, self._null_share(column, world), spread)

    def _pace(self, space: Space, column: str) -> int:
        """Times that are given out one after the other lie apart: readings of a device, days of an account."""
        if not isinstance(space, Linear) or self._kinds[column].base not in MOMENTS | CLOCKS:
            return 1
        return max(1, min(space.natural // (2 * max(1, self._set.rows)), 86_400))

    def _null_share(self, column: str, world: World) -> float:
        facts = world.of(column)
        if facts.null is not None:
            return float(facts.null)
        if any(column in key.solid and key.name not in world.exempt for key in self._keys):
            return 0.0
        share = self._hint(column).null_fraction
        if share is None:
            share = 0.9 if _MOSTLY_NULL.fullmatch(column.lower()) else NULL_SHARE
        return share if self._set.beyond is None else float(share > 0.5)

    # Units.

    def _own_units(self) -> None:
        for key in self._foreign_keys():
            self._own(self._reference(key))
        for key in self._keys:
            slots = self._slots(key) if key.overlap else None
            if slots:
                self._own(slots)
        backward = {column for key in self._back_references() for column in key.columns}
        for name in self._columns:
            if name not in self._owners and name not in backward:
                self._own(self._plain(name))
        self._limit_to_matches()

    def _own(self, unit: Unit) -> None:
        for column in unit.columns:
            self._owners[column] = unit
        if isinstance(unit, Reference) and not unit.columns:
            self._owners[f"\0{len(self._owners)}"] = unit

    def _foreign_keys(self) -> list[ForeignKey]:
        """Those to tables that are there: leading keys first, then by width, so that shared columns are settled early."""
        back = self._back_references()
        bound = [
            key for key in self._table.foreign_keys if key.name not in self._set.left_open and key not in back
        ]
        bound = [key for key in bound if set(key.columns) <= self._columns.keys() or self._constant_part(key)]
        return sorted(bound, key=lambda key: (not self._leads(key), len(key.columns), key.name))

    def _constant_part(self, key: ForeignKey) -> bool:
        return any(column in self._columns for column in key.columns)

    def _back_references(self) -> tuple[ForeignKey, ...]:
        """Foreign keys to the table itself, unless its rows are there already, as they are for a fresh row."""
        keys = self._table.foreign_keys
        if self._set.parents.get(self._table.name):
            return ()
        return tuple(
            key for key in keys if key.target == self._table.name and key.name not in self._set.left_open
        )

    def _leads(self, key: ForeignKey) -> bool:
        """Whether a key of ours lies within a composite foreign key: then the parents are what must not repeat."""
        solid = not any(self._may_be_null(column) for column in key.columns)
        return (
            solid
            and len(key.columns) > 1
            and any(set(own.columns) <= set(key.columns) and not own.overlap for own in self._keys)
        )

    def _may_be_null(self, column: str) -> bool:
        return column in self._columns and self._columns[column].nullable and self._kinds[column].nullable

    def _reference(self, key: ForeignKey) -> Reference:
        parents = self._set.parents.get(key.target, {})
        pairs = list(zip(key.columns, key.target_columns, strict=True))
        lists = {column: parents.get(target, []) for column, target in pairs}
        own = {c: values for c, values in lists.items() if c not in self._owners and c in self._columns}
        shared = {c: values for c, values in lists.items() if c in self._owners}
        used_elsewhere = {c for other in self._table.foreign_keys if other != key for c in other.columns}
        nullable = {c for c in own if self._may_be_null(c)}
        nullable = nullable - used_elsewhere or nullable
        eligible = tuple(self._eligible(world, key, lists) for world in self._worlds)
        shares = tuple(
            self._reference_nulls(key, world, own, nullable, bool(e))
            for world, e in zip(self._worlds, eligible, strict=True)
        )
        hints = [self._hint(column) for column in own]
        if not any(eligible) and not any(shares):
            raise Unfillable(f"no row in {key.target} that {key.name} could refer to")
        return Reference(
            own=own,
            shared=shared,
            nullable=frozenset(nullable),
            eligible=eligible,
            null_share=shares,
            random=self._stream(*key.columns),
            skew=max((hint.skew for hint in hints), default=0.0),
            unlike=self._unlike(own),
        )

    def _eligible(
        self, world: World, key: ForeignKey, lists: Mapping[str, Sequence[str | None]]
    ) -> Sequence[int] | None:
        """The places of parents that can be referred to in a world."""
        if any(world.of(column).null for column in key.columns):
            return None
        size = len(next(iter(lists.values()), ()))
        places: Sequence[int] = range(size)
        for column, values in lists.items():
            facts = replace(
                world.of(column),
                shortest=0,
                longest=None,
                patterns=frozenset(),
                lows=frozenset(),
                highs=frozenset(),
            )
            hinted = {value for value, _ in self._hint(column).values}
            if facts.only is None and not facts.never and not hinted and None not in values:
                continue
            places = [
                place
                for place in places
                if (text := values[place]) is not None
                and text_fits(text, facts)
                and (not hinted or text in hinted)
            ]
        most = min((hint.distinct for column in lists if (hint := self._hint(column)).distinct), default=None)
        return places[:most] if most else places

    def _reference_nulls(
        self, key: ForeignKey, world: World, own: Mapping[str, object], nullable: set[str], parents: bool
    ) -> float:
        """How much of a foreign key is NULL in a world."""
        if any(world.of(column).null for column in key.columns):
            return 1.0
        whole = nullable == set(key.columns) if key.match_full else bool(nullable)
        if not whole or any(world.of(column).null is False for column in nullable):
            return 0.0
        return max(self._null_share(column, world) for column in nullable) if parents else 1.0

    def _unlike(self, own: Mapping[str, object]) -> tuple[tuple[str, str, Callable[[str, str], bool]], ...]:
        """Relations between two foreign keys, such as from_id <> to_id; they must hold in all worlds to be kept."""
        common = frozenset.intersection(*(world.relations for world in self._worlds))
        found = []
        for relation in sorted(common, key=repr):
            for mine, other, turned in (
                (relation.left, relation.right, False),
                (relation.right, relation.left, True),
            ):
                if mine in own and other in self._owners and not relation.gap:
                    found.append((mine, other, _comparison(relation, self._kinds[mine], turned)))
        return tuple(found)

    def _limit_to_matches(self) -> None:
        """Parents whose shared columns no later mandatory foreign key could match are not chosen at all."""
        for unit in dict.fromkeys(self._owners.values()):
            if not isinstance(unit, Reference) or not unit.shared or any(unit.null_share):
                continue
            owner = self._owners[next(iter(unit.shared))]
            if not isinstance(owner, Reference) or not set(unit.shared) <= set(owner.own):
                continue
            possible = unit.shared_values()
            owner.eligible = tuple(
                places and [p for p in places if tuple(owner.own[c][p] for c in unit.shared) in possible]
                for places in owner.eligible
            )

    def _slots(self, key: Key) -> Slots | None:
        """Consecutive intervals for an exclusion constraint; None if its columns are not free."""
        if any(
            column in self._owners or column in self._set.pins or column not in self._columns
            for column in key.overlap
        ):
            return None
        base = self._kinds[key.overlap[0]].base
        base = RANGES.get(base, base)
        if base not in LINEAR or any(
            world.of(column).null for world in self._worlds for column in key.overlap
        ):
            return None
        scale = scale_of(Kind(base=base))
        low, high = scale.first, scale.last
        for world in self._worlds:
            for column in key.overlap:
                lowest, highest = limits(scale, world.of(column))
                low, high = max(low, lowest), min(high, highest) if highest > low else highest
        high = max(high, low + 1)
        wanted = 2 * (self._set.rows + (self._set.beyond or 0)) + 100
        hour = 3600 if scale.tick == 1_000_000 else 4
        least = max(
            (_ticks(r.gap, scale.tick) for w in self._worlds for r in w.relations if r.left in key.overlap),
            default=0,
        )
        slot = max(2, 2 * least + 2, min(2 * hour, (high - low) // wanted))
        size = max(1, min((high - low) // slot, HUGE))
        if size < wanted and all(
            limits(scale, w.of(c))[1] == scale.high for w in self._worlds for c in key.overlap
        ):
            size = wanted
        return Slots(
            key.overlap,
            scale,
            low,
            slot,
            max(1, least, slot // 2),
            size,
            interval_texts,
            self._stream(*key.overlap),
        )

    # Keys.

    def _counted_units(self) -> dict[Unit, Counted]:
        """Units whose numbers never repeat, so that every key with one of them holds."""
        counted: dict[Unit, Counted] = {}
        for key in self._keys:
            units = self._units_of(key)
            if units is None or any(self._settles(counted, unit, key) for unit in units):
                continue
            unit = units[0] if len(units) == 1 else self._wide(units, key)
            if unit is not None and not _conditional(unit):
                counted[unit] = self._counted(unit, key)
        return counted

    def _settles(self, counted: Mapping[Unit, Counted], unit: Unit, key: Key) -> bool:
        """Whether what is counted for another key is enough for this one too."""
        other = counted.get(unit)
        exempt = self._exempt(key)
        return other is not None and set(other.columns) <= set(key.columns) and other.exempt <= exempt

    def _units_of(self, key: Key) -> list[Unit] | None:
        """The key's units; None if a column has none, so that the server must judge."""
        columns = [column for column in (*key.columns, *key.overlap) if column not in self._set.pins]
        backward = {
            column for foreign in self._back_references() for column in foreign.columns
        } - self._owners.keys()
        if any(column not in self._owners for column in columns if column not in backward):
            return None
        units = list(dict.fromkeys(self._owners[column] for column in columns if column in self._owners))
        if not units:
            return None
        if backward & set(columns):
            free = [unit for unit in units if isinstance(unit, Plain)]
            return free[:1] or None
        return units

    def _wide(self, units: Sequence[Unit], key: Key) -> Plain | None:
        """A text, UUID or the like with many more values than rows."""
        for unit in units:
            if (
                not isinstance(unit, Plain)
                or self._kinds[unit.column].base in LINEAR
                or self._hint(unit.column) != _NO_HINT
            ):
                continue
            exempt = self._exempt(key)
            spaces = [c.space for world, c in enumerate(unit.worlds) if c and world not in exempt]
            if spaces and all(space.size >= _WIDE * self._set.rows for space in spaces):
                return unit
        return None

    def _exempt(self, key: Key) -> frozenset[int]:
        return frozenset(place for place, world in enumerate(self._worlds) if key.name in world.exempt)

    def _counted(self, unit: Unit, key: Key) -> Counted:
        columns = tuple(column for column in unit.columns if column in key.columns) or unit.columns
        spaces = self._spaces_of(unit)
        largest = max((space.natural for space in spaces), default=1)
        step = Counted(
            unit,
            key.name,
            columns,
            stream(self._set.seed, str(self._table.name), "\0key", *columns),
            pool=max(1, largest, 2 * self._set.rows),
            in_order=isinstance(unit, Slots) or self._in_order(unit),
            exempt=self._exempt(key),
            compare=self._varies(unit),
        )
        if self._set.beyond and not isinstance(unit, Reference):
            step.skip(len(self._worlds), self._set.beyond)
        return step

    def _in_order(self, unit: Unit) -> bool:
        if not isinstance(unit, Plain):
            return False
        column = unit.column
        return self._is_serial(column) or "uuidv7" in (self._columns[column].default or "")

    def _spaces_of(self, unit: Unit) -> list[Space]:
        if not isinstance(unit, Plain):
            return []
        return [choice.space for choice in unit.worlds if choice is not None]

    def _varies(self, unit: Unit) -> bool:
        """Whether a unit's numbers mean something else from world to world."""
        if isinstance(unit, Reference):
            bound = [eligible for eligible in unit.eligible if eligible is not None]
            return any(eligible != bound[0] for eligible in bound[1:])
        spaces = self._spaces_of(unit)
        return any(space != spaces[0] for space in spaces[1:])

    def _placed_keys(self, counted: Mapping[Unit, Counted]) -> list[Placed]:
        placed: list[Placed] = []
        moved: set[Unit] = set()
        for key in self._keys:
            units = self._units_of(key)
            if units is None or len(units) < 2 or any(self._settles(counted, unit, key) for unit in units):
                continue
            levels = self._levels(units, moved)
            fixed = frozenset(
                unit for unit in levels if unit in moved or unit in counted or self._relied_on(unit, levels)
            )
            last = levels[-1]
            placed.append(
                Placed(
                    key.name,
                    (*key.columns, *key.overlap),
                    levels,
                    fixed,
                    exempt=self._exempt(key),
                    compare=any(self._varies(unit) for unit in levels),
                    in_order=self._counts_up(last, key),
                    start=self._start(last),
                )
            )
            moved.update(levels)
        return placed

    def _counts_up(self, last: Unit, key: Key) -> bool:
        """Whether each group starts from the first value, such as a line's number; not if two such columns make a key."""
        if not isinstance(last, Plain):
            return isinstance(last, Slots)
        others = [other for other in self._keys if other != key and len(other.columns) > 1]
        return self._kinds[last.column].base in LINEAR and not any(
            last.column in other.columns for other in others
        )

    def _start(self, last: Unit) -> int:
        """For a fresh row: a number that no group can have reached."""
        beyond = self._set.beyond
        if beyond is None:
            return 0
        if isinstance(last, Reference):
            return beyond
        size = min((len(last.choices(_sheet(world), 0)) for world in range(len(self._worlds))), default=0)
        return beyond if size > beyond else self._stream("start").randrange(max(1, size))

    def _levels(self, units: Sequence[Unit], moved: set[Unit]) -> tuple[Unit, ...]:
        """Small choices first; last what no other key has placed, and best something that counts nicely."""

        def rank(unit: Unit) -> tuple[bool, int, int]:
            if isinstance(unit, Reference):
                return (
                    unit not in moved,
                    0 if not unit.shared else 1,
                    max((len(e or ()) for e in unit.eligible), default=0),
                )
            if isinstance(unit, Slots):
                return unit not in moved, 4, 0
            linear = isinstance(unit, Plain) and self._kinds[unit.column].base in LINEAR
            sizes = [space.size for space in self._spaces_of(unit)]
            return unit not in moved, 3 if linear else 0, max(sizes, default=0)

        return tuple(sorted(units, key=rank))

    def _relied_on(self, unit: Unit, levels: Sequence[Unit]) -> bool:
        """Whether a foreign key that is drawn before looks at this unit's columns."""
        return any(
            isinstance(other, Reference) and set(other.shared) & set(unit.columns) and other not in levels
            for other in self._owners.values()
            if other in self._settled
        )

    # Steps.

    def _arrange(self, counted: Mapping[Unit, Counted], placed: Sequence[Placed]) -> None:
        units = list(dict.fromkeys(self._owners.values()))
        lasts = {step.levels[-1] for step in placed if step.levels[-1] not in step.fixed}
        levels = {unit for step in placed for unit in step.levels}
        free = [unit for unit in units if unit not in counted and unit not in lasts]
        conditional = [u for u in free if isinstance(u, Reference) and u.shared and u not in levels]
        self._steps += [step for unit, step in counted.items() if isinstance(unit, Plain)]
        references = [unit for unit in units if isinstance(unit, Reference) and unit not in conditional]
        for unit in references:
            if unit in counted:
                self._steps.append(counted[unit])
            elif unit not in lasts:
                self._steps.append(Drawn(unit))
        self._steps += [step for unit, step in counted.items() if isinstance(unit, Slots)]
        self._steps += [Drawn(unit) for unit in free if not isinstance(unit, Reference)]
        self._steps += placed
        self._steps += [Drawn(unit) for unit in conditional]

    def _worlds_relations(self) -> None:
        settled = {step.unit for step in self._steps if isinstance(step, Counted)}
        settled |= {unit for step in self._steps if isinstance(step, Placed) for unit in step.levels}
        for place, world in enumerate(self._worlds):
            relations = [*sorted(world.relations, key=repr), *self._implied(world)]
            for group in _connected([r for r in relations if self._comparable(r, place)]):
                names = sorted({name for relation in group for name in (relation.left, relation.right)})
                units = {name: self._plain_unit(name) for name in names}
                given = frozenset(name for name, unit in units.items() if unit in settled)
                random = self._stream("order", *names)
                self._steps.append(Ordered(units, tuple(group), place, given, random))
            for relation in relations:
                if relation.comparison in ("<>", "=") and self._both_plain(relation, place):
                    self._steps.append(
                        Differs(
                            self._plain_unit(relation.left),
                            self._plain_unit(relation.right),
                            relation.comparison == "=",
                            place,
                        )
                    )

    def _plain_unit(self, column: str) -> Plain:
        unit = self._owners[column]
        assert isinstance(unit, Plain)
        return unit

    def _both_plain(self, relation: Relation, world: int) -> bool:
        units = [self._owners.get(name) for name in (relation.left, relation.right)]
        return all(isinstance(unit, Plain) and unit.worlds[world] for unit in units) and not (
            set(self._set.pins) & {relation.left, relation.right}
        )

    def _comparable(self, relation: Relation, world: int) -> bool:
        """Whether both columns are free and lie on the same kind of line."""
        if relation.comparison not in ("<", "<="):
            return False
        families: list[frozenset[str]] = []
        for name in (relation.left, relation.right):
            unit = self._owners.get(name)
            choice = unit.worlds[world] if isinstance(unit, Plain) else None
            if choice is None or not isinstance(choice.space, Linear):
                return False
            families.append(next(f for f in _FAMILIES if self._kinds[name].base in f))
        return families[0] == families[1]

    def _implied(self, world: World) -> Iterator[Relation]:
        """Nothing is updated or deleted before it was created, though no check may say so."""
        moments = [name for name in self._columns if self._kinds[name].base in MOMENTS]
        created = next((name for name in moments if _CREATED.fullmatch(name.lower())), None)
        if created is None:
            return
        for name in moments:
            free = all(world.of(column) in (NO_FACTS, Facts(null=False)) for column in (created, name))
            if _LATER.fullmatch(name.lower()) and free:
                yield Relation(created, "<=", name)

    def _refer_back(self) -> None:
        for key in self._back_references():
            nullable = all(self._may_be_null(c) for c in key.columns if c not in self._owners)
            shares = tuple(self._backward_nulls(key, world, nullable) for world in self._worlds)
            alone = any(set(own.columns) == set(key.columns) and not own.where for own in self._keys)
            self._steps.append(
                Backward(
                    key.columns,
                    key.target_columns,
                    shares,
                    self._stream(*key.columns),
                    self._set.own,
                    unique=alone,
                    inside=not self._set.confirmed_only,
                )
            )

    def _backward_nulls(self, key: ForeignKey, world: World, nullable: bool) -> float:
        own = [column for column in key.columns if column not in self._owners]
        if any(world.of(column).null for column in own):
            return 1.0
        if not nullable or any(world.of(column).null is False for column in own):
            return 0.0
        return max((self._null_share(column, world) for column in own), default=0.0)


_NO_HINT = DataHint()
_NARROW = LINEAR | {"boolean", "enum"}
_FAMILIES = (NUMBERS, MOMENTS, CLOCKS, frozenset({"interval"}), frozenset({"oid"}))


def _allowed(value: str, facts: Facts) -> bool:
    """Whether a hinted value obeys what is known; bounds of numbers are left to the server."""
    return not facts.null and text_fits(value, replace(facts, lows=frozenset(), highs=frozenset()))


def _sheet(world: int) -> Sheet:
    return Sheet(world, 1)


def _conditional(unit: Unit) -> bool:
    """Whether what it offers depends on the row."""
    return isinstance(unit, Reference) and bool(unit.shared)


def _ticks(gap: Fraction, tick: Fraction) -> int:
    return max(0, -(-gap.numerator * tick.denominator // (gap.denominator * tick.numerator)))


def _comparison(relation: Relation, kind: Kind, turned: bool) -> Callable[[str, str], bool]:
    """The relation as a test of (own text, other text)."""
    number = kind.base in NUMBERS

    def place(text: str) -> tuple[Decimal, str]:
        try:
            return (Decimal(text), "") if number else (Decimal(0), text)
        except InvalidOperation:
            return Decimal(0), text

    def holds(mine: str, other: str) -> bool:
        a, b = place(mine), place(other)
        a, b = (b, a) if turned else (a, b)
        match relation.comparison:
            case "<":
                return a < b
            case "<=":
                return a <= b
            case "=":
                return a == b
            case _:
                return a != b

    return holds


def _connected(relations: Sequence[Relation]) -> list[list[Relation]]:
    """Relations in groups that share no column."""
    groups: list[tuple[set[str], list[Relation]]] = []
    for relation in relations:
        names, members = {relation.left, relation.right}, [relation]
        for other in [group for group in groups if group[0] & names]:
            groups.remove(other)
            names, members = names | other[0], other[1] + members
        groups.append((names, members))
    return [members for _, members in groups]

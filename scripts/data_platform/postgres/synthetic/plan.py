"""From a table to the units and steps that make its rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from data_platform.model.database import Check, ForeignKey, Table
from data_platform.postgres.synthetic import columns, intervals, parents
from data_platform.postgres.synthetic.facts import NO_FACTS, Derived, Facts, Relation, World
from data_platform.postgres.synthetic.keying import Keying
from data_platform.postgres.synthetic.kinds import CLOCKS, MOMENTS, NUMBERS, Kind
from data_platform.postgres.synthetic.ordering import Ordered
from data_platform.postgres.synthetic.space import Linear
from data_platform.postgres.synthetic.steps import Backward, Counted, Differs, Drawn, Step
from data_platform.postgres.synthetic.subject import Setting, Subject
from data_platform.postgres.synthetic.units import Plain, Reference, Slots, Unit
from data_platform.postgres.synthetic.worlds import derived_columns, possible_worlds, weights_of

_CREATED = re.compile(r"(created|inserted)(_at|_on)?")
_LATER = re.compile(
    r"(updated|modified|changed|deleted|archived|shipped|delivered|paid|closed|resolved|completed|finished|last_\w+)"
    r"(_at|_on)"
)
_FAMILIES = (NUMBERS, MOMENTS, CLOCKS, frozenset({"interval"}), frozenset({"oid"}))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The columns to write, the units that write them, the steps that number the units, and the worlds' weights.

    `derived` columns are computed by the server, and so are those of `computed_keys`, foreign keys with generated
    columns. `deferred` constraints are to be checked when the rows are in.
    `confirmed_only` is the setting's.
    """

    table: Table
    columns: tuple[str, ...]
    kinds: Mapping[str, Kind]
    units: tuple[Unit, ...]
    steps: tuple[Step, ...]
    weights: tuple[float, ...]
    owners: Mapping[str, Unit]
    derived: tuple[Derived, ...]
    deferred: tuple[str, ...]
    computed_keys: tuple[ForeignKey, ...]
    confirmed_only: bool

    @property
    def refers_back(self) -> bool:
        """Whether rows refer to rows of the same table."""
        return any(isinstance(step, Backward) for step in self.steps)

    @property
    def grows(self) -> bool:
        """Whether a row may become valid because another one of the same table came in."""
        return any(key.target == self.table.name for key in self.computed_keys)


def plan_of(table: Table, setting: Setting) -> Plan:
    """The plan for a table; Unfillable if no row can be made."""
    subject = Subject(table, setting)
    worlds, spaces = columns.spaces_of(subject, possible_worlds(subject))
    owners = _owners(subject, worlds, spaces)
    keying = Keying(subject, worlds, owners)
    steps: list[Step] = [
        *_numbering(owners, keying),
        *_relating(subject, worlds, owners, keying),
        *(_backward(subject, worlds, owners, key) for key in subject.back_references()),
    ]
    return Plan(
        table=table,
        columns=tuple(subject.columns),
        kinds=subject.all_kinds,
        units=tuple(dict.fromkeys(owners.values())),
        steps=tuple(steps),
        weights=weights_of(subject, worlds),
        owners=owners,
        derived=derived_columns(subject, worlds),
        deferred=tuple(name for name in _initially_deferred(table) if name not in setting.late),
        computed_keys=tuple(key for key in _computed_keys(table) if key.name not in setting.late),
        confirmed_only=setting.confirmed_only,
    )


def _computed_keys(table: Table) -> Iterator[ForeignKey]:
    generated = {column.name for column in table.columns if column.generated}
    return (key for key in table.foreign_keys if not generated.isdisjoint(key.columns))


def _initially_deferred(table: Table) -> Iterator[str]:
    for constraint in table.constraints:
        if not isinstance(constraint, Check) and constraint.deferral == "initially deferred":
            yield constraint.name


def _owners(subject: Subject, worlds: Sequence[World], spaces: columns.Spaces) -> dict[str, Unit]:
    """The unit that writes each column: foreign keys first, then intervals, then what is left."""
    owners: dict[str, Unit] = {}
    for key in subject.foreign_keys():
        reference = parents.reference(subject, worlds, key, owners)
        # A foreign key whose columns all belong to others writes none, but must still be matched.
        owners.update(dict.fromkeys(reference.columns or (f"\0{key.name}",), reference))
    for own in subject.keys:
        slots = intervals.slots(subject, worlds, own, owners) if own.overlap else None
        owners.update(dict.fromkeys(own.overlap, slots) if slots else {})
    backward = subject.backward_columns()
    for name in subject.columns:
        if name not in owners and name not in backward:
            owners[name] = columns.plain(subject, worlds, spaces, name)
    parents.limit_to_matches(owners)
    return owners


def _numbering(owners: Mapping[str, Unit], keying: Keying) -> Iterator[Step]:
    """What others depend on comes first: counted columns, references, drawn columns, keys, and the references that
    share columns with any of these.
    """
    units = list(dict.fromkeys(owners.values()))
    levels = {unit for step in keying.placed for unit in step.levels}
    last = {step.levels[-1] for step in keying.placed if step.levels[-1] not in step.fixed}
    late = [unit for unit in units if isinstance(unit, Reference) and unit.shared and unit not in levels]
    early = [unit for unit in units if unit not in last and unit not in late]
    for group in (_is_counted_plain, _is_reference, _is_other):
        for unit in early:
            if group(unit, keying.counted):
                yield keying.counted.get(unit) or Drawn(unit)
    yield from keying.placed
    for unit in late:
        yield Drawn(unit)


def _is_counted_plain(unit: Unit, counted: Mapping[Unit, Counted]) -> bool:
    return isinstance(unit, Plain) and unit in counted


def _is_reference(unit: Unit, counted: Mapping[Unit, Counted]) -> bool:
    return isinstance(unit, Reference)


def _is_other(unit: Unit, counted: Mapping[Unit, Counted]) -> bool:
    return isinstance(unit, Slots) or (isinstance(unit, Plain) and unit not in counted)


def _relating(
    subject: Subject, worlds: Sequence[World], owners: Mapping[str, Unit], keying: Keying
) -> Iterator[Step]:
    """Steps for columns that are compared with one another, in each world."""
    settled = {*keying.counted, *(unit for step in keying.placed for unit in step.levels)}
    for place, world in enumerate(worlds):
        relations = [*sorted(world.relations, key=repr), *_implied(subject, world)]
        free = _free_units(owners, place)
        for group in _connected([r for r in relations if _is_comparable(subject, r, free, place)]):
            names = sorted({name for relation in group for name in (relation.left, relation.right)})
            members = {name: free[name] for name in names}
            given = frozenset(name for name, unit in members.items() if unit in settled)
            yield Ordered(members, tuple(group), place, given, subject.stream("\0order", *names))
        for relation in relations:
            ends = {relation.left, relation.right}
            if (
                relation.comparison in ("<>", "=")
                and ends <= free.keys()
                and not ends & set(subject.setting.pins)
            ):
                yield Differs(free[relation.left], free[relation.right], relation.comparison == "=", place)


def _free_units(owners: Mapping[str, Unit], world: int) -> dict[str, Plain]:
    """The plain columns that are not NULL in a world."""
    return {name: unit for name, unit in owners.items() if isinstance(unit, Plain) and unit.worlds[world]}


def _is_comparable(subject: Subject, relation: Relation, free: Mapping[str, Plain], world: int) -> bool:
    """Whether both columns are free and lie on the same kind of line."""
    ends = [free.get(name) for name in (relation.left, relation.right)]
    spaces = [choice.space for unit in ends if unit and (choice := unit.worlds[world])]
    if relation.comparison not in ("<", "<=") or len(spaces) < 2:
        return False
    bases = {subject.kinds[relation.left].base, subject.kinds[relation.right].base}
    return all(isinstance(space, Linear) for space in spaces) and any(bases <= family for family in _FAMILIES)


def _implied(subject: Subject, world: World) -> Iterator[Relation]:
    """Nothing is updated or deleted before it was created, though no check may say so."""
    free = [
        name
        for name, kind in subject.kinds.items()
        if kind.base in MOMENTS and world.of(name) in (NO_FACTS, Facts(null=False))
    ]
    created = next((name for name in free if _CREATED.fullmatch(name.lower())), None)
    if created is not None:
        for name in free:
            if _LATER.fullmatch(name.lower()):
                yield Relation(created, "<=", name)


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


def _backward(
    subject: Subject, worlds: Sequence[World], owners: Mapping[str, Unit], key: ForeignKey
) -> Backward:
    own = [column for column in key.columns if column not in owners]
    return Backward(
        key.columns,
        key.target_columns,
        tuple(_backward_nulls(subject, world, own) for world in worlds),
        subject.stream(*key.columns),
        subject.setting.own,
        unique=any(set(other.columns) == set(key.columns) and not other.where for other in subject.keys),
        inside=not subject.setting.confirmed_only,
    )


def _backward_nulls(subject: Subject, world: World, own: Sequence[str]) -> float:
    """How much of a self reference is NULL; all its own columns must be able to be."""
    if any(world.of(column).null for column in own):
        return 1.0
    if not own or not all(subject.may_be_null(c) and world.of(c).null is None for c in own):
        return 0.0
    return max(columns.null_share(subject, column, world) for column in own)

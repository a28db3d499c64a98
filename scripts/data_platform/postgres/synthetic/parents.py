"""Foreign keys to other tables: which of the parents a row may refer to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from data_platform.model.database import ForeignKey
from data_platform.postgres.synthetic.columns import null_share
from data_platform.postgres.synthetic.facts import Facts, Relation, World, text_fits
from data_platform.postgres.synthetic.kinds import NUMBERS, Kind
from data_platform.postgres.synthetic.subject import Subject, Unfillable
from data_platform.postgres.synthetic.units import Reference, Test, Unit

Lists = Mapping[str, Sequence[str | None]]
"""The parents' values, by the column of ours that refers to them."""


def reference(
    subject: Subject, worlds: Sequence[World], key: ForeignKey, owners: Mapping[str, Unit]
) -> Reference:
    """The unit of a foreign key. Columns that have an owner already are shared with it; Unfillable without parents."""
    parents = subject.setting.parents.get(key.target, {})
    lists = {
        column: parents.get(target, [])
        for column, target in zip(key.columns, key.target_columns, strict=True)
    }
    own = {c: values for c, values in lists.items() if c not in owners and c in subject.columns}
    nullable = _nullable(subject, key, own)
    eligible = tuple(_eligible(subject, world, lists) for world in worlds)
    shares = tuple(
        _null_share(subject, key, world, nullable) if places else float(bool(nullable))
        for world, places in zip(worlds, eligible, strict=True)
    )
    if not any(eligible) and not any(shares):
        raise Unfillable(f"no row in {key.target} that {key.name} could refer to")
    return Reference(
        own=own,
        shared={c: values for c, values in lists.items() if c in owners},
        nullable=nullable,
        eligible=eligible,
        null_share=shares,
        random=subject.stream(*key.columns),
        skew=max((subject.hint(column).skew for column in own), default=0.0),
        tests=_tests(subject, worlds, own, owners),
    )


def _nullable(subject: Subject, key: ForeignKey, own: Lists) -> frozenset[str]:
    """The columns to be NULL where the key is: those that no other foreign key needs, if there are such."""
    nullable = {column for column in own if subject.may_be_null(column)}
    if key.match_full and nullable != set(key.columns):
        return frozenset()
    others = {c for other in subject.table.foreign_keys if other != key for c in other.columns}
    return frozenset(nullable - others or nullable)


def _null_share(subject: Subject, key: ForeignKey, world: World, nullable: frozenset[str]) -> float:
    if any(world.of(column).null for column in key.columns):
        return 1.0
    if not nullable or any(world.of(column).null is False for column in nullable):
        return 0.0
    return max(null_share(subject, column, world) for column in nullable)


def _eligible(subject: Subject, world: World, lists: Lists) -> Sequence[int] | None:
    """The places of parents that can be referred to in a world; None if the key is NULL in it."""
    if any(world.of(column).null for column in lists):
        return None
    places: Sequence[int] = range(len(next(iter(lists.values()), ())))
    for column, values in lists.items():
        hinted = {value for value, _ in subject.hint(column).values}
        facts = Facts(only=world.of(column).only, never=world.of(column).never)
        if facts != Facts() or hinted or None in values:
            places = [place for place in places if _may_refer(values[place], facts, hinted)]
    most = [limit for column in lists if (limit := subject.hint(column).distinct)]
    return places[: min(most)] if most else places


def _may_refer(text: str | None, facts: Facts, hinted: set[str]) -> bool:
    return text is not None and text_fits(text, facts) and (not hinted or text in hinted)


def _tests(
    subject: Subject, worlds: Sequence[World], own: Lists, owners: Mapping[str, Unit]
) -> tuple[Test, ...]:
    """Relations with columns of other units, such as from_id <> to_id, if they hold in all worlds."""
    common = frozenset.intersection(*(world.relations for world in worlds))
    found: list[Test] = []
    for relation in sorted(common, key=repr):
        for mine, other in ((relation.left, relation.right), (relation.right, relation.left)):
            if mine in own and other in owners and not relation.gap:
                holds = _comparison(relation, subject.kinds[mine], turned=mine == relation.right)
                found.append(Test(mine, other, holds))
    return tuple(found)


def _comparison(relation: Relation, kind: Kind, *, turned: bool) -> Callable[[str, str], bool]:
    """The relation as a test of (own text, other text)."""
    compare = _COMPARE[relation.comparison]
    rank = _number if kind.base in NUMBERS else _text
    if turned:
        return lambda mine, other: compare(rank(other), rank(mine))
    return lambda mine, other: compare(rank(mine), rank(other))


Rank = tuple[Decimal, str]
_COMPARE: Mapping[str, Callable[[Rank, Rank], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
}


def _number(text: str) -> Rank:
    try:
        return Decimal(text), ""
    except InvalidOperation:
        return Decimal(0), text


def _text(text: str) -> Rank:
    return Decimal(0), text


def limit_to_matches(owners: Mapping[str, Unit]) -> None:
    """Leave out parents whose shared columns a mandatory foreign key could not match."""
    for unit in dict.fromkeys(owners.values()):
        if not isinstance(unit, Reference) or not unit.shared or any(unit.null_share):
            continue
        owner = owners[next(iter(unit.shared))]
        if isinstance(owner, Reference) and set(unit.shared) <= set(owner.own):
            possible = unit.shared_values()
            lists = [owner.own[column] for column in unit.shared]
            owner.eligible = tuple(
                places and [p for p in places if tuple(values[p] for values in lists) in possible]
                for places in owner.eligible
            )

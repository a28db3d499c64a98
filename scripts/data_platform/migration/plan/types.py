"""Types: new ones and those that are gone, renames told by the author, and types that give way to a new form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.ddl.types import type_kind, type_pieces
from data_platform.migration.plan import composites, domains
from data_platform.migration.plan.access import with_rights
from data_platform.migration.plan.making import makes, needs, statements, united
from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.step import Refusal, Step
from data_platform.migration.plan.text import beside, slug, spoken
from data_platform.migration.plan.uses import columns_of_type, types_over
from data_platform.model.database import Composite, Domain, Enum, Name, Type
from data_platform.sql.references import Reference
from data_platform.sql.text import Sql, identifier, literal, qualified_name


def first(pair: Pair) -> Iterator[Step | Refusal]:
    """What comes before all else; the catalog is read again after it, and the rest planned from there."""
    yield from _type_renames(pair)
    renamed = _after_renames(pair)
    for old, new in changes(renamed.before.types, renamed.after.types).changed:
        yield from _labels_renamed(renamed, old)
        relabelled = _with_labels_of_hints(renamed, old)
        if _gives_way(renamed, relabelled, new):
            yield _aside(relabelled, new)


def steps(pair: Pair) -> Iterator[Step | Refusal]:
    """Types that are new or changed."""
    found = changes(pair.before.types, pair.after.types)
    for type_ in found.added:
        yield _added(type_)
    for old, new in found.changed:
        yield from _changed(pair, old, new)


def gone(pair: Pair) -> Iterator[Step]:
    """Types that are gone, for the end of all: columns have to be done with them."""
    for type_ in reversed(changes(pair.before.types, pair.after.types).removed):
        yield _removed(pair, type_)


# --- before all else ---


def _after_renames(pair: Pair) -> Pair:
    """The pair as it is once types have their new names; what refers to them is of no interest yet."""
    names = {old: new for new, old in pair.hints.types.items()}
    types = tuple(replace(type_, name=names.get(type_.name, type_.name)) for type_ in pair.before.types)
    return replace(pair, before=replace(pair.before, types=types))


def _type_renames(pair: Pair) -> Iterator[Step | Refusal]:
    there = {type_.name: type_ for type_ in pair.before.types}
    wanted = {type_.name for type_ in pair.after.types}
    for new, old in pair.hints.types.items():
        if old in there and new in wanted:
            yield _renamed(there[old], new)
        else:
            where, name = ("old", old) if old not in there else ("new", new)
            yield Refusal(
                what=f"rename of type {spoken(old)} to {spoken(new)}",
                why=f"the {where} schema has no type {spoken(name)}",
                fix="check the names",
            )


def _renamed(type_: Type, new: Name) -> Step:
    old, kind = type_.name, type_kind(type_).upper()
    return Step(
        name=slug("rename_type", old, "to", new),
        phase="expand",
        reason=f"Only the catalog changes; no row is touched. In the same transaction a domain takes the old name, "
        f"so that a "
        f"client may write a cast to {spoken(old)} or to {spoken(new)}; one that looks the type up in the catalog "
        f"finds the domain.",
        up=(*_moves(kind, old, new), Sql(f"CREATE DOMAIN {qualified_name(old)} AS {qualified_name(new)}")),
        down=(Sql(f"DROP DOMAIN IF EXISTS {qualified_name(old)}"), *_moves(kind, new, old)),
        again="a type of the new name is there already (42710); nothing is changed",
    )


def _moves(kind: str, old: Name, new: Name) -> Iterator[Sql]:
    here = old
    if old.schema != new.schema:
        yield Sql(f"ALTER {kind} {qualified_name(old)} SET SCHEMA {identifier(new.schema)}")
        here = Name(new.schema, old.name)
    if old.name != new.name:
        yield Sql(f"ALTER {kind} {qualified_name(here)} RENAME TO {identifier(new.name)}")


def _labels_renamed(pair: Pair, old: Type) -> Iterator[Step]:
    name = qualified_name(old.name)
    for (type_, label), former in pair.hints.labels.items():
        if type_ != old.name or not isinstance(old, Enum) or former not in old.labels:
            continue
        yield Step(
            name=slug("rename_label", old.name, former, "to", label),
            phase="expand",
            reason=f"No row is touched: values keep their number. A client that still writes '{former}' fails "
            f"(22P02), so the "
            "new application is to be deployed at once with it.",
            up=(Sql(f"ALTER TYPE {name} RENAME VALUE {literal(former)} TO {literal(label)}"),),
            down=(Sql(f"ALTER TYPE {name} RENAME VALUE {literal(label)} TO {literal(former)}"),),
            again="there is no label of the old name any more (22023); nothing is changed",
            ends_old=True,
        )


def _with_labels_of_hints(pair: Pair, type_: Type) -> Type:
    if not isinstance(type_, Enum):
        return type_
    names = {former: label for (name, label), former in pair.hints.labels.items() if name == type_.name}
    return replace(type_, labels=tuple(names.get(label, label) for label in type_.labels))


def _gives_way(pair: Pair, old: Type, new: Type) -> bool:
    """Whether no ALTER TYPE leads there, and columns of the old type can live on beside the new one."""
    if isinstance(old, Enum) and isinstance(new, Enum):
        return [label for label in new.labels if label in old.labels] != list(old.labels)
    used = bool(columns_of_type(pair.before, old.name))
    if isinstance(old, Domain) and isinstance(new, Domain):
        return (old.base, old.collation) != (new.base, new.collation) and used
    return type(old) is not type(new) and isinstance(old, Enum | Domain) and used


def _aside(old: Type, new: Type) -> Step:
    name, kind = qualified_name(new.name), type_kind(old).upper()
    aside = Name(old.name.schema, beside(old.name.name, "old"))
    return Step(
        name=slug("aside", old.name),
        phase="expand",
        reason=f"PostgreSQL has no statement for this change. The old type becomes {spoken(aside)}, and columns keep "
        f"it until "
        f"their values are written anew. From here on a cast to {spoken(old.name)} in a client's SQL means the new "
        f"type, and "
        f"does not fit the old columns without one more cast.",
        up=(
            Sql(f"ALTER {kind} {name} RENAME TO {identifier(aside.name)}"),
            *statements(type_pieces(new, frozenset())),
        ),
        down=(
            Sql(f"DROP {type_kind(new).upper()} IF EXISTS {name}"),
            Sql(f"ALTER {kind} {qualified_name(aside)} RENAME TO {identifier(old.name.name)}"),
        ),
        again=f"{spoken(aside)} is there already (42710); nothing is changed",
        ends_old=True,
    )


# --- new and gone ---


def _added(type_: Type) -> Step:
    pieces = list(type_pieces(type_, frozenset()))
    return Step(
        name=slug("create", type_kind(type_), type_.name),
        phase="expand",
        reason="Nothing uses the type yet.",
        up=statements(pieces),
        down=(_drop(type_),),
        again="the type is there already (42710); nothing is changed",
        makes=makes(pieces),
        needs=needs(pieces),
    )


def _drop(type_: Type) -> Sql:
    return Sql(f"DROP {type_kind(type_).upper()} IF EXISTS {qualified_name(type_.name)}")


def _removed(pair: Pair, type_: Type) -> Step:
    pieces = list(type_pieces(type_, frozenset()))
    return Step(
        name=slug("drop", type_kind(type_), type_.name),
        phase="contract",
        reason="No column has the type any more; a client that casts to it fails.",
        up=(_drop(type_),),
        down=with_rights(
            pair.before, type_kind(type_), qualified_name(type_.name), type_, statements(pieces)
        ),
        ends_old=True,
        drops=makes(pieces),
        frees=needs(pieces),
    )


# --- changed ---


def _changed(pair: Pair, old: Type, new: Type) -> Iterator[Step | Refusal]:
    match old, new:
        case Enum(), Enum() if not _gives_way(pair, old, new):
            yield from _labels_added(old, new)
        case Domain(), Domain() if (old.base, old.collation) == (new.base, new.collation):
            yield from domains.steps(pair, old, new)
        case Composite(), Composite() if composites.alike(old, new) or composites.can_be_altered(old, new):
            yield from composites.steps(pair, old, new)
        case _ if _form(old) != _form(new):
            yield _again(pair, old, new)


def _form(type_: Type) -> Type:
    return replace(type_, comment=None, owner=None)


def _labels_added(old: Enum, new: Enum) -> Iterator[Step]:
    there = list(old.labels)
    for place, label in enumerate(new.labels):
        if label in there:
            continue
        before = next((other for other in new.labels[place + 1 :] if other in old.labels), None)
        where = f" BEFORE {literal(before)}" if before is not None else ""
        yield Step(
            name=slug("add_label", new.name, label),
            phase="expand",
            reason="Only the catalog changes. It stands outside a transaction because in the same one the label "
            "could not be used.",
            up=(
                Sql(f"ALTER TYPE {qualified_name(new.name)} ADD VALUE IF NOT EXISTS {literal(label)}{where}"),
            ),
            transaction=False,
            one_way="PostgreSQL cannot take a label away from an enum; one that nobody writes harms nobody",
            makes=(Reference("type", new.name.schema, new.name.name),),
        )


def _again(pair: Pair, old: Type, new: Type) -> Step | Refusal:
    """Dropped and made again, where nothing depends on it."""
    columns = columns_of_type(pair.before, old.name) or tuple(map(spoken, types_over(pair.before, old.name)))
    if columns:
        return Refusal(
            what=f"{type_kind(old)} {spoken(old.name)}",
            why=f"PostgreSQL has no statement for this change, and {', '.join(columns[:3])} would not survive a new "
            f"one",
            fix="make a type of another name, and change the columns to it; drop the old type in a later plan",
        )
    forth, back = list(type_pieces(new, frozenset())), list(type_pieces(old, frozenset()))
    kind = type_kind(new)
    name = qualified_name(new.name)
    return Step(
        name=slug("remake", kind, new.name),
        phase="contract",
        reason="PostgreSQL has no statement for this change; no column has the type, so it is dropped and made "
        "again at once.",
        up=(_drop(old), *with_rights(pair.after, kind, name, new, statements(forth))),
        down=(_drop(new), *with_rights(pair.before, type_kind(old), name, old, statements(back))),
        ends_old=True,
        needs=united(needs(forth)),
        frees=needs(back),
    )

"""What changes of a composite type that stays."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.step import Refusal, Step
from data_platform.migration.plan.text import slug, spoken
from data_platform.migration.plan.uses import columns_of_type
from data_platform.model.database import Attribute, Composite
from data_platform.sql.references import of_type
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name


def alike(old: Composite, new: Composite) -> bool:
    """Whether nothing but comments or the owner differs."""
    return list(map(_form, old.attributes)) == list(map(_form, new.attributes))


def _form(attribute: Attribute) -> tuple[object, ...]:
    return attribute.name, attribute.type, attribute.collation


def can_be_altered(old: Composite, new: Composite) -> bool:
    """Whether new attributes come after those that stay: ALTER TYPE adds only there."""
    there = {attribute.name for attribute in old.attributes}
    wanted = [attribute.name for attribute in new.attributes]
    kept = [attribute.name for attribute in old.attributes if attribute.name in wanted]
    return bool(kept) and kept == wanted[: len(kept)] and there.isdisjoint(wanted[len(kept) :])


def steps(pair: Pair, old: Composite, new: Composite) -> Iterator[Step | Refusal]:
    """Attributes that are new, of another type, or gone."""
    columns = columns_of_type(pair.before, old.name)
    found = changes(old.attributes, new.attributes)
    for attribute in found.added:
        yield _added(new, attribute)
    for before, after in found.changed:
        if _form(before) != _form(after):
            yield _other_type(new, before, after, columns)
    for attribute in found.removed:
        last = attribute == old.attributes[-1]
        yield _removed(pair, old, attribute, columns, last)


def _alter(type_: Composite, action: str) -> Sql:
    return Sql(f"ALTER TYPE {qualified_name(type_.name)} {action}")


def _add(type_: Composite, attribute: Attribute) -> Sql:
    return _alter(type_, f"ADD ATTRIBUTE {render('ddl/attribute.sql.j2', attribute=attribute)}")


def _drop(type_: Composite, attribute: Attribute) -> Sql:
    return _alter(type_, f"DROP ATTRIBUTE IF EXISTS {identifier(attribute.name)}")


def _added(type_: Composite, attribute: Attribute) -> Step:
    return Step(
        name=slug("add_attribute", type_.name, attribute.name),
        phase="expand",
        reason="No row is touched: in values that are there it is NULL. A client that writes the type as a row of "
        "the old number "
        "of fields fails.",
        up=(_add(type_, attribute),),
        down=(_drop(type_, attribute),),
        again="the attribute is there already (42701); nothing is changed",
        ends_old=True,
        needs=of_type(attribute.type),
    )


def _other_type(type_: Composite, old: Attribute, new: Attribute, columns: tuple[str, ...]) -> Step | Refusal:
    if columns:
        return Refusal(
            what=f"attribute {spoken(type_.name, new.name)}",
            why=f"PostgreSQL does not change it while {', '.join(columns[:3])} holds such values",
            fix="add an attribute of another name, or make a type of another name and change the columns to it",
        )
    return Step(
        name=slug("attribute", type_.name, new.name),
        phase="contract",
        reason="No column holds such values; only the catalog changes.",
        up=(_retype(type_, new),),
        down=(_retype(type_, old),),
        ends_old=True,
        needs=of_type(new.type),
        frees=of_type(old.type),
    )


def _retype(type_: Composite, attribute: Attribute) -> Sql:
    text = render("ddl/attribute.sql.j2", attribute=attribute).removeprefix(identifier(attribute.name))
    return _alter(type_, f"ALTER ATTRIBUTE {identifier(attribute.name)} TYPE{text}")


def _removed(
    pair: Pair, type_: Composite, attribute: Attribute, columns: tuple[str, ...], last: bool
) -> Step | Refusal:
    name = spoken(type_.name, attribute.name)
    if columns and not pair.hints.may_lose(type_.name, attribute.name):
        return Refusal(
            what=f"attribute {name}",
            why=f"its values in {', '.join(columns[:3])} would be lost",
            fix=f"--allow-data-loss {name}",
        )
    return Step(
        name=slug("drop_attribute", type_.name, attribute.name),
        phase="contract",
        reason="Only the catalog changes; the space comes back as rows are written anew.",
        up=(_drop(type_, attribute),),
        down=(_add(type_, attribute),) if last else (),
        lost=(f"{type_.name}.{attribute.name}",) if columns else (),
        keep=f"SELECT the values of {', '.join(columns)} into a table of their own" if columns else None,
        one_way=None if last else "an attribute that is added again comes last, not where it was",
        ends_old=True,
        frees=of_type(attribute.type),
    )

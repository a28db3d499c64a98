"""Rules about one foreign key: its index, its types, its actions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_platform.model.database import ForeignKey, Index
from data_platform.schema.rules.cover import all_indexes, conditions_of
from data_platform.schema.rules.remedies import create_index, replace_constraint, retype
from data_platform.schema.rules.rule import Hit, on_column, on_key, rule
from data_platform.schema.rules.subject import Subject

_ON_DELETE = "Foreign keys with appropriate ON DELETE"
_TEXTS = frozenset({"text", "varchar"})
_INTEGERS = ("int2", "int4", "int8")


@rule(
    "foreign-key-without-index",
    "warning",
    "Each DELETE and key change in the referenced table reads the whole referencing table, under a lock.",
    "Proper foreign keys with indexes",
)
def foreign_key_without_index(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        indexes = list(all_indexes(table))
        for key in table.foreign_keys:
            served = any(
                _finds_one(index, key) or supports(index, part)
                for index in indexes
                for part in _enough(subject, key)
            )
            if subject.is_small(table) or not key.enforced or served:
                continue
            listed = ", ".join(key.columns)
            why = next((text for index in indexes if (text := _why_not(index, key))), "there is none")
            message = f"no index finds the rows of `{table.name}` by `({listed})`: {why}"
            fix = f"remove `index: false`, or add `indexes: [[{listed}]]`"
            yield on_key(table, key, message, fix, create_index(table, key.columns))


def _enough(subject: Subject, key: ForeignKey) -> Iterator[ForeignKey]:
    """The key, and those of its columns that name one row of the target already."""
    yield key
    target = subject.by_name.get(key.target)
    for names in (k.columns for k in (target.primary_key, *target.uniques) if k) if target else ():
        if set(names) < set(key.target_columns):
            pairs = [pair for pair in zip(key.columns, key.target_columns, strict=True) if pair[1] in names]
            own, its = zip(*pairs, strict=True)
            yield replace(key, columns=own, target_columns=its)


def supports(index: Index, key: ForeignKey) -> bool:
    """Whether the check of a foreign key can use the index: it leads with its columns, over all its rows."""
    leading = {element.column for element in index.elements[: len(key.columns)]}
    alone = len(key.columns) == 1
    # GiST has equality of scalars from btree_gist: an exclusion constraint serves too.
    by_method = index.method in (("gist",) if key.period else ("btree", "gist", *(["hash"] if alone else [])))
    return by_method and leading == set(key.columns) and not _leaves_out_rows(index, key)


def _finds_one(index: Index, key: ForeignKey) -> bool:
    """Whether some of the key's columns are unique in its own table."""
    columns = {element.column for element in index.elements}
    return index.unique and columns <= set(key.columns) and not _leaves_out_rows(index, key)


def _leaves_out_rows(index: Index, key: ForeignKey) -> bool:
    # A row with a NULL in the key refers to nothing, and the check does not look for it.
    conditions = conditions_of(index.where)
    return any(
        not (text.endswith("IS NOT NULL") and columns <= set(key.columns)) for text, columns in conditions
    )


def _why_not(index: Index, key: ForeignKey) -> str | None:
    held = {element.column for element in index.elements}
    wanted = set(key.columns)
    if wanted <= set(index.include):
        return f"`{index.name}` has it under INCLUDE only, where nothing can be searched"
    if not wanted <= held:
        return None
    if index.method not in ("btree", "gist", "hash"):
        return f"`{index.name}` is a {index.method} index"
    return (
        f"`{index.name}` is partial"
        if _leaves_out_rows(index, key)
        else f"`{index.name}` does not lead with it"
    )


@rule(
    "foreign-key-type",
    "warning",
    "A narrower referencing column overflows before its target; a different type is compared by a cast.",
)
def foreign_key_type(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            target = subject.by_name.get(key.target)
            if target is None:
                continue
            for name, other in zip(key.columns, key.target_columns, strict=True):
                own, its = table.column(name), target.column(other)
                names = {subject.type_name(own), subject.type_name(its)}
                if len(names) > 1 and not names <= _TEXTS and not _is_roomier(names, subject.type_name(own)):
                    message = f"`{name}` is `{own.type}`, but `{key.target}.{other}` is `{its.type}`"
                    fix = "one type in both; without `type:` a column takes its target's"
                    yield on_column(table, name, message, fix, retype(subject, table, own, its.type))


def _is_roomier(names: set[str], own: str) -> bool:
    """Whether both are integers, and the referring column is the wider one: it holds every key, and needs no cast."""
    return names <= set(_INTEGERS) and own == max(names, key=_INTEGERS.index)


@rule(
    "cascade-into-soft-delete",
    "warning",
    "A cascade deletes for good the rows that soft delete is meant to keep.",
    "Soft deletes for audit trail",
)
def cascade_into_soft_delete(subject: Subject) -> Iterator[Hit]:
    soft = subject.design.soft_deleted
    for table in subject.tables:
        for key in table.foreign_keys:
            # Where the parent is soft-deleted too, a real DELETE is a purge and means its children.
            if key.on_delete == "cascade" and table.name in soft and key.target not in soft:
                message = f"a DELETE in `{key.target}` removes rows of `{table.name}` for good"
                yield on_key(
                    table, key, message, f"on_delete: restrict, or soft delete for `{key.target}` too"
                )


@rule(
    "set-default-without-default",
    "warning",
    "SET DEFAULT needs a default that is the key of a row in the referenced table.",
    _ON_DELETE,
)
def set_default_without_default(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            names = [name for name in (key.set_columns or key.columns) if table.column(name).default is None]
            if "set default" in (key.on_delete, key.on_update) and names:
                message = f"`set default` writes NULL: `{', '.join(names)}` has no default"
                plain = {"on_delete": key.on_delete, "on_update": key.on_update}
                milder = {event: "set null" for event, action in plain.items() if action == "set default"}
                remedy = replace_constraint(table, replace(key, **milder))  # type: ignore[arg-type]
                yield on_key(table, key, message, "a `default:`, or on_delete: set null", remedy)

"""Rules about primary, unique and foreign keys and exclusion constraints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from data_platform.model.database import ForeignKey, Index, Name, Table
from data_platform.schema.rules.cover import all_indexes, conditions_of
from data_platform.schema.rules.rule import Hit, Subject, on_column, on_index, on_key, on_table, rule, words

_ON_DELETE = "Foreign keys with appropriate ON DELETE"
_LONGEST_CASCADE = 3
_LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1}
_YEARS = 20
_TEXTS = frozenset({"text", "varchar"})
_NEED_BTREE_GIST = words(
    """bit bool bpchar bytea cidr date float4 float8 inet int2 int4 int8 interval macaddr macaddr8 money
    numeric oid text time timestamp timestamptz timetz uuid varbit varchar"""
)
"""Types that only btree_gist gives a GiST operator class; so it does for enums."""


@rule(
    "table-without-primary-key",
    "error",
    "Without a key no row can be named: no safe change of one row, no foreign key, no logical replication.",
    "UUIDs for distributed systems",
)
def table_without_primary_key(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        if table.primary_key is None:
            fix = "primary_key: [column, …], or conventions: {primary_key: uuid}"
            yield on_table(table, f"`{table.name}` has no primary key", fix)


@rule(
    "integer-primary-key",
    "warning",
    "A counted int4 key ends at 2,147,483,647; bigint later is a rewrite of the table and its references.",
)
def integer_primary_key(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        names = table.primary_key.columns if table.primary_key else ()
        if len(names) != 1 or any(names == key.columns for key in table.foreign_keys):
            continue
        column = table.column(names[0])
        largest = _LARGEST.get(subject.type_name(column), 0)
        counted = column.identity or column.default or column.name == "id" or column.name.endswith("_id")
        roomy = subject.design.rows.get(table.name, largest) * _YEARS <= largest
        if largest and counted and not roomy:
            message = f"the key `{column.name}` is {column.type}: it ends at {largest:,}"
            yield on_column(table, column.name, message, "type: bigint, identity: always")


@rule(
    "nullable-unique-key",
    "warning",
    "NULLs count as different: rows that are equal but for a NULL pass a unique key.",
)
def nullable_unique_key(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for index in all_indexes(table):
            columns = [table.column(element.column) for element in index.elements if element.column]
            # A comment on a nullable column is where the author says what NULL means.
            loose = [
                c.name
                for c in columns
                if c.nullable and not c.comment and not _leaves_out_null(index, c.name)
            ]
            if index.unique and loose and not index.nulls_not_distinct:
                listed = ", ".join(f"`{name}`" for name in loose)
                message = f"the unique key `{index.name}` lets equal rows in when {listed} is NULL"
                new = "nulls_not_distinct: true, or " if subject.design.server_version >= 15 else ""
                hit = on_index(table, index, message, f"{new}nullable: false")
                # One column alone is mostly meant so: unique where it is known.
                yield replace(hit, severity="info") if len(index.elements) == 1 else hit


def _leaves_out_null(index: Index, column: str) -> bool:
    conditions = conditions_of(index.where)
    return any(text.endswith("IS NOT NULL") and columns == {column} for text, columns in conditions)


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
            if subject.is_small(table) or any(supports(index, key) for index in indexes):
                continue
            listed = ", ".join(key.columns)
            why = next((text for index in indexes if (text := _why_not(index, key))), "there is none")
            message = f"no index finds the rows of `{table.name}` by ({listed}): {why}"
            yield on_key(table, key, message, f"remove `index: false`, or add `indexes: [[{listed}]]`")


def supports(index: Index, key: ForeignKey) -> bool:
    """Whether the check of a foreign key can use the index: it leads with its columns, over all its rows."""
    leading = {element.column for element in index.elements[: len(key.columns)]}
    by_method = index.method == "btree" or (index.method == "hash" and len(key.columns) == 1)
    return by_method and leading == set(key.columns) and not _leaves_out_rows(index, key)


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
    if index.method not in ("btree", "hash"):
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
            target = subject.design.database.table(key.target)
            for name, other in zip(key.columns, key.target_columns, strict=True):
                own, its = table.column(name), target.column(other)
                names = {subject.type_name(own), subject.type_name(its)}
                if len(names) > 1 and not names <= _TEXTS:
                    message = f"`{name}` is {own.type}, but `{key.target}.{other}` is {its.type}"
                    yield on_column(
                        table, name, message, "one type in both; without `type:` a column takes its target's"
                    )


@rule(
    "foreign-key-cycle",
    "error",
    "Required keys in a ring leave no table that can be filled first.",
    _ON_DELETE,
)
def foreign_key_cycle(subject: Subject) -> Iterator[Hit]:
    edges = {
        table.name: sorted(
            {key.target for key in table.foreign_keys if _is_required(table, key)} - {table.name}
        )
        for table in subject.tables
    }
    for table in subject.tables:
        ring = _ring(table.name, edges)
        if ring and table.name == min(ring):
            shown = " → ".join(str(name) for name in (*ring, table.name))
            message = (
                f"required foreign keys form a ring, so no INSERT into one table can be the first: {shown}"
            )
            yield on_table(
                table, message, "nullable: true or deferral: initially deferred on one of these keys"
            )


def _is_required(table: Table, key: ForeignKey) -> bool:
    return key.deferral == "not deferrable" and not any(table.column(name).nullable for name in key.columns)


def _ring(start: Name, edges: Mapping[Name, list[Name]]) -> tuple[Name, ...]:
    """The shortest way from `start` back to it; empty if there is none."""
    ways: dict[Name, tuple[Name, ...]] = dict.fromkeys(edges[start], (start,))
    waiting = list(ways)
    for name in waiting:
        if name == start:
            return ways[name]
        for following in edges[name]:
            if following not in ways:
                ways[following] = (*ways[name], name)
                waiting.append(following)
    return ()


@rule(
    "required-self-reference",
    "warning",
    "With a required reference to the same table the first row can refer to itself only.",
)
def required_self_reference(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            if key.target == table.name and key.columns != key.target_columns and _is_required(table, key):
                message = (
                    f"({', '.join(key.columns)}) must refer to a row of the same table: no tree has a root"
                )
                yield on_key(table, key, message, "nullable: true")


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
    "long-cascade",
    "info",
    "One DELETE that cascades through many tables locks and removes more than its author sees.",
    _ON_DELETE,
)
def long_cascade(subject: Subject) -> Iterator[Hit]:
    children: dict[Name, list[Name]] = {table.name: [] for table in subject.tables}
    for table in subject.tables:
        for key in table.foreign_keys:
            if key.on_delete == "cascade" and key.target != table.name:
                children[key.target].append(table.name)
    below = {name for names in children.values() for name in names}
    for table in subject.tables:
        chain = _longest(table.name, children, ()) if table.name not in below else ()
        if len(chain) - 1 > _LONGEST_CASCADE:
            shown = " → ".join(str(name) for name in chain)
            message = f"one DELETE here cascades through {len(chain) - 1} tables: {shown}"
            yield on_table(table, message, "on_delete: restrict somewhere in the chain")


def _longest(name: Name, children: Mapping[Name, list[Name]], seen: tuple[Name, ...]) -> tuple[Name, ...]:
    # A chain longer than this says nothing more, and the limit keeps dense graphs cheap.
    if name in seen or len(seen) > 2 * _LONGEST_CASCADE:
        return seen
    chains = [_longest(child, children, (*seen, name)) for child in children[name]]
    return max(chains, key=len, default=(*seen, name))


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
                yield on_key(table, key, message, "a `default:`, or on_delete: set null")


@rule(
    "exclusion-without-btree-gist",
    "error",
    "GiST compares scalars only with the extension btree_gist; without it the constraint cannot be made.",
)
def exclusion_without_btree_gist(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for exclusion in table.exclusions:
            elements = [item.element for item in exclusion.elements if not item.element.opclass]
            columns = [table.column(element.column) for element in elements if element.column]
            scalars = [c for c in columns if subject.type_name(c) in _NEED_BTREE_GIST or subject.is_enum(c)]
            if scalars and exclusion.method == "gist" and "btree_gist" not in subject.extensions:
                listed = ", ".join(f"`{column.name}` ({column.type})" for column in scalars)
                message = f"`{exclusion.name}` needs the extension btree_gist for {listed}"
                yield on_table(table, message, "extensions: [btree_gist]", "exclude")

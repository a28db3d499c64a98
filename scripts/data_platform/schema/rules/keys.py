"""Rules about primary and unique keys and exclusion constraints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from data_platform.model.database import Column, Index, Table
from data_platform.schema.rules.cover import all_indexes, required
from data_platform.schema.rules.remedies import (
    add_primary_key,
    alter,
    identifying,
    partition_keys,
    replace_constraint,
    replace_index,
    retype,
)
from data_platform.schema.rules.rule import Hit, on_column, on_index, on_table, rule, words
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import identifier, qualified_name

_LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1}
_YEARS = 20
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
    fix = "primary_key: [column, …], or conventions: {primary_key: uuid}"
    for table in subject.tables:
        if table.primary_key is None and not _is_excused(subject, table):
            candidate = identifying(table)
            rest = f", though `({', '.join(candidate)})` is unique and required" if candidate else ""
            message = f"`{table.name}` has no primary key{rest}"
            hit = on_table(table, message, fix, remedy=add_primary_key(subject, table))
            yield replace(hit, severity="info") if candidate else hit


def _is_excused(subject: Subject, table: Table) -> bool:
    """Whether it can have no key, or a rule about inheritance says more."""
    above = (subject.by_name.get(parent) for parent in table.inherits)
    return None in partition_keys(table) or any(parent and parent.primary_key for parent in above)


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
        counted = _is_counted(subject, column)
        roomy = subject.design.rows.get(table.name, largest) * _YEARS <= largest
        if largest and counted and not roomy and not subject.is_from_above(table, column):
            message = f"the key `{column.name}` is `{column.type}`: it ends at {largest:,}"
            remedy = _widen(subject, table, column)
            yield on_column(table, column.name, message, "type: bigint, identity: always", remedy)


def _is_counted(subject: Subject, column: Column) -> bool:
    if subject.is_database:
        return column.identity is not None or "nextval(" in (column.default or "")
    named = column.name == "id" or column.name.endswith("_id")
    return named or column.identity is not None or column.default is not None


def _widen(subject: Subject, table: Table, column: Column) -> str:
    statement = retype(subject, table, column, "bigint")
    if not statement.startswith("ALTER TABLE"):
        return statement
    owned = (s for s in subject.design.database.sequences if s.owned_by == (table.name, column.name))
    sequences = [qualified_name(s.name) for s in owned if s.type != "bigint"]
    return " ".join([*(f"ALTER SEQUENCE {name} AS bigint;" for name in sequences), statement])


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
                remedy = _without_null(subject, table, index, loose)
                hit = on_index(table, index, message, f"{new}nullable: false", remedy)
                # One column alone is mostly meant so: unique where it is known.
                if len(index.elements) > 1:
                    yield hit
                elif not subject.is_database:
                    yield replace(hit, severity="info")


def _without_null(subject: Subject, table: Table, index: Index, loose: Sequence[str]) -> str:
    own = next((key for key in table.uniques if key.name == index.name), None)
    if subject.design.server_version < 15 or _is_referred_to(subject, table, index):
        return alter(table, *(f"ALTER COLUMN {identifier(name)} SET NOT NULL" for name in loose))
    if own is not None:
        return replace_constraint(table, replace(own, nulls_not_distinct=True))
    return replace_index(table, index, replace(index, nulls_not_distinct=True))


def _is_referred_to(subject: Subject, table: Table, index: Index) -> bool:
    names = {element.column for element in index.elements}
    keys = (key for other in subject.tables for key in other.foreign_keys)
    return any(key.target == table.name and names == set(key.target_columns) for key in keys)


def _leaves_out_null(index: Index, column: str) -> bool:
    return column in required(index.where)


@rule(
    "exclusion-without-btree-gist",
    "error",
    "GiST compares scalars only with the extension btree_gist; without it the constraint cannot be made.",
)
def exclusion_without_btree_gist(subject: Subject) -> Iterator[Hit]:
    for table in () if subject.is_database else subject.tables:  # what is there could be made
        for exclusion in table.exclusions:
            elements = [item.element for item in exclusion.elements if not item.element.opclass]
            columns = [table.column(element.column) for element in elements if element.column]
            scalars = [c for c in columns if subject.type_name(c) in _NEED_BTREE_GIST or subject.is_enum(c)]
            if scalars and exclusion.method == "gist" and "btree_gist" not in subject.extensions:
                listed = ", ".join(f"`{column.name}` ({column.type})" for column in scalars)
                message = f"`{exclusion.name}` needs the extension btree_gist for {listed}"
                yield on_table(table, message, "extensions: [btree_gist]", "exclude")

"""Rules about primary, unique and foreign keys and exclusion constraints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data_platform.model.database import ForeignKey, Index, Name, Table
from data_platform.schema.rules.cover import all_indexes, conditions_of
from data_platform.schema.rules.rule import Hit, Subject, on_column, on_index, on_table, rule

_ON_DELETE = "Foreign keys with appropriate ON DELETE"
_INDEXED = "Proper foreign keys with indexes"
_LONGEST_CASCADE = 3
_LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1}
_SAME = frozenset({"text", "varchar"})
_NEED_BTREE_GIST = frozenset(
    """bit bool bpchar bytea char cidr date float4 float8 inet int2 int4 int8 interval macaddr macaddr8 money numeric
    oid text time timestamp timestamptz timetz uuid varbit varchar""".split()
)
"""Types that have no GiST operator class of their own."""


@rule(
    "table-without-primary-key",
    "error",
    "Without a key a row cannot be named: no safe UPDATE of one row, no foreign key, no logical replication.",
    "UUIDs for distributed systems",
)
def table_without_primary_key(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        if table.primary_key is None:
            message = f"`{table.name}` has no primary key"
            yield on_table(table, message, "primary_key: [column, …], or conventions: {primary_key: uuid}")


@rule(
    "integer-primary-key",
    "warning",
    "A generated int4 key ends at 2,147,483,647; the change to bigint later rewrites the table and its references.",
)
def integer_primary_key(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        names = table.primary_key.columns if table.primary_key else ()
        column = table.column(names[0]) if len(names) == 1 else None
        if column is None or any(names == key.columns for key in table.foreign_keys):
            continue
        largest = _LARGEST.get(subject.type_name(column), 0)
        counted = column.identity or column.default or column.name == "id" or column.name.endswith("_id")
        roomy = 20 * subject.design.rows.get(table.name, largest) <= largest
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
            columns = [table.column(e.column) for e in index.elements if e.column]
            loose = [
                column.name for column in columns if column.nullable and not _refused(index, column.name)
            ]
            strict = index.nulls_not_distinct or any(
                u.nulls_not_distinct for u in table.uniques if u.name == index.name
            )
            # One nullable column alone is a common and clear intention: unique where it is known.
            if not index.unique or strict or not loose or len(index.elements) == 1:
                continue
            listed = ", ".join(f"`{name}`" for name in loose)
            message = f"the unique key `{index.name}` lets equal rows in when {listed} is NULL"
            fix = (
                "nulls_not_distinct: true"
                if subject.design.server_version >= 15
                else "make the column NOT NULL"
            )
            yield on_index(table, index, message, f"{fix}; or `where:` … IS NOT NULL if NULL means no key")


def _refused(index: Index, column: str) -> bool:
    return any(text.endswith("IS NOT NULL") and columns == {column} for text, columns in _predicate(index))


def _predicate(index: Index) -> tuple[tuple[str, frozenset[str]], ...]:
    return conditions_of(index.where) if index.where else ()


@rule(
    "foreign-key-without-index",
    "warning",
    "Each DELETE or key change in the referenced table reads the whole referencing table, under a lock.",
    _INDEXED,
)
def foreign_key_without_index(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        indexes = list(all_indexes(table))
        for key in table.foreign_keys:
            if subject.is_small(table) or any(supports(index, key) for index in indexes):
                continue
            columns = ", ".join(key.columns)
            why = next((text for index in indexes if (text := _why_not(index, key))), "there is none")
            message = f"no index finds the rows of `{table.name}` by ({columns}): {why}"
            yield _on_key(table, key, message, "remove `index: false`, or add `indexes: [[" + columns + "]]`")


def supports(index: Index, key: ForeignKey) -> bool:
    """Whether the check of a foreign key can use the index: it leads with the columns, in any order, over all rows."""
    leading = {element.column for element in index.elements[: len(key.columns)]}
    by_method = index.method == "btree" or (index.method == "hash" and len(key.columns) == 1)
    return by_method and leading == set(key.columns) and not _excludes_rows(index, key)


def _excludes_rows(index: Index, key: ForeignKey) -> bool:
    # Rows with a NULL in the key refer to nothing, so the check does not look for them.
    return any(
        not text.endswith("IS NOT NULL") or not columns <= set(key.columns)
        for text, columns in _predicate(index)
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
    if _excludes_rows(index, key):
        return f"`{index.name}` is partial"
    return f"`{index.name}` does not lead with it"


@rule(
    "foreign-key-type",
    "warning",
    "A narrower referencing column overflows before its target does, and a different type compares by a cast.",
)
def foreign_key_type(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            target = subject.design.database.table(key.target)
            for name, other in zip(key.columns, key.target_columns, strict=True):
                own, its = table.column(name), target.column(other)
                names = {subject.type_name(own), subject.type_name(its)}
                if len(names) > 1 and not names <= _SAME:
                    message = f"`{name}` is {own.type}, but `{key.target}.{other}` is {its.type}"
                    yield on_column(table, name, message, f"leave `type:` out, or type: {its.type}")


@rule(
    "foreign-key-cycle",
    "error",
    "Required keys in a ring leave no table whose row can be inserted first.",
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
            shown = " → ".join(str(name) for name in (*ring, ring[0]))
            message = f"required foreign keys form a ring, so no row can be inserted on its own: {shown}"
            yield on_table(
                table, message, "nullable: true or deferral: initially deferred on one of these keys"
            )


def _is_required(table: Table, key: ForeignKey) -> bool:
    return key.deferral == "not deferrable" and not any(table.column(name).nullable for name in key.columns)


def _ring(start: Name, edges: Mapping[Name, list[Name]]) -> tuple[Name, ...]:
    """The shortest way from `start` back to it."""
    ways = {name: (start,) for name in reversed(edges[start])}
    waiting = list(edges[start])
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
    "A required reference to the same table: the first row can only refer to itself.",
)
def required_self_reference(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            if key.target == table.name and key.columns != key.target_columns and _is_required(table, key):
                message = f"({', '.join(key.columns)}) must refer to a row of `{table.name}` itself: no tree has a root"
                yield _on_key(table, key, message, "nullable: true")


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
            # When the parent is soft-deleted too, a real DELETE is a purge and means its children.
            if key.on_delete == "cascade" and table.name in soft and key.target not in soft:
                message = f"a DELETE in `{key.target}` removes rows of `{table.name}` for good, past its soft delete"
                yield _on_key(
                    table, key, message, f"on_delete: restrict, or soft delete for `{key.target}` too"
                )


@rule(
    "long-cascade",
    "info",
    "One DELETE that cascades through many tables locks and rewrites more than its author sees.",
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
    # Depth is what the rule asks for; a chain beyond a handful adds nothing, and the limit keeps wide graphs cheap.
    if name in seen or len(seen) > 2 * _LONGEST_CASCADE:
        return seen
    chains = [_longest(child, children, (*seen, name)) for child in children[name]]
    return max(chains, key=len, default=(*seen, name))


@rule(
    "set-default-without-default",
    "warning",
    "SET DEFAULT needs a default that is a row of the referenced table.",
    _ON_DELETE,
)
def set_default_without_default(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for key in table.foreign_keys:
            names = [name for name in (key.set_columns or key.columns) if table.column(name).default is None]
            if "set default" in (key.on_delete, key.on_update) and names:
                message = f"`set default` writes NULL: `{', '.join(names)}` has no default"
                yield _on_key(table, key, message, "a `default:`, or on_delete: set null")


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
            scalars = [column for column in columns if subject.type_name(column) in _NEED_BTREE_GIST]
            if scalars and exclusion.method == "gist" and "btree_gist" not in subject.extensions:
                listed = ", ".join(f"`{column.name}` ({column.type})" for column in scalars)
                message = f"`{exclusion.name}` needs the extension btree_gist for {listed}"
                yield on_table(table, message, "extensions: [btree_gist]", "exclude")


def _on_key(table: Table, key: ForeignKey, message: str, fix: str) -> Hit:
    path = ("columns", key.columns[0], "references") if len(key.columns) == 1 else ("foreign_keys",)
    return Hit(message=message, fix=fix, table=table.name, path=path, object=f"{table.name}.{key.columns[0]}")

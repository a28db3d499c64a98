"""Rules about access patterns: what they read, and whether an index finds it."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.schema.rules.cover import all_indexes, fits, missing, narrowed, served
from data_platform.schema.rules.reading import Condition, Query, Sorted, Use
from data_platform.schema.rules.rule import Hit, Subject, on_pattern, rule
from data_platform.sql.text import identifier

_INDEXED = "Add indexes for frequently filtered/joined columns"
_ONCE_AN_HOUR = 1 / 3600
_SEARCHED = ("equality", "range", "like", "search")
_EXTRACTS = (" -> ", " ->> ", " #> ", " #>> ")


@rule(
    "access-pattern-without-index",
    "warning",
    "Without an index on anything it asks for, a query reads the whole table each time.",
    _INDEXED,
)
def access_pattern_without_index(subject: Subject) -> Iterator[Hit]:
    for query, use in _uses(subject):
        wanted = list(_wanted(subject, query, use))
        if not wanted or any(served(use, c) for c in wanted) or narrowed(use) or _is_sorted_by_index(use):
            continue
        columns = list(dict.fromkeys(c.key for c in wanted))
        message = f"no index of `{use.table.name}` leads with {_listed(columns)}{_nearly(use, wanted)}"
        yield on_pattern(
            query.pattern, message, f"indexes: {_suggestion(use, wanted)} under `{use.table.name.name}`"
        )
    yield from _unsorted(subject)


def _wanted(subject: Subject, query: Query, use: Use) -> Iterator[Condition]:
    """The conditions by which an index should find the rows; other rules speak about expressions and jsonb."""
    types = {column.name: subject.type_name(column) for column in use.table.columns}
    entered = any(other.level == use.level and _filters(other) for other in query.uses if other is not use)
    for condition in use.conditions:
        kind = types.get(condition.column or "", "")
        if condition.kind not in _SEARCHED or condition.column is None or condition.leading_wildcard:
            continue
        if kind == "bool" or (kind == "jsonb" and condition.kind == "search"):
            continue
        if not condition.joins or (entered and not _filters(use)):
            yield condition


def _filters(use: Use) -> bool:
    return any(c.kind in _SEARCHED and not c.joins for c in use.conditions)


def _nearly(use: Use, wanted: list[Condition]) -> str:
    """Names a partial index that would serve if the query said more."""
    for index in all_indexes(use.table):
        if any(fits(index, condition) for condition in wanted):
            return f" for all rows: `{index.name}` is only for {' AND '.join(missing(index, use))}, which the query does not say"
    return ""


def _suggestion(use: Use, wanted: list[Condition]) -> str:
    special = next((c for c in wanted if c.kind == "search"), None)
    if special is not None and not any(c.kind == "equality" for c in wanted):
        return f"[{{columns: [{special.key}], using: gin}}]"
    first = [c.key for c in wanted if c.kind == "equality"]
    then = [c.key for c in wanted if c.kind != "equality"] or [item.key for item in use.order if item.column]
    return f"[[{', '.join(dict.fromkeys([*first, *then]))}]]"


def _unsorted(subject: Subject) -> Iterator[Hit]:
    """Queries that want the first rows in an order that no index has."""
    for query, use in _uses(subject):
        if (
            use.limited
            and use.order
            and not use.order[0].distance
            and not _filters(use)
            and not _is_sorted_by_index(use)
        ):
            first = use.order[0]
            if first.column is not None and not any(c.joins for c in use.conditions):
                message = f"no index of `{use.table.name}` leads with `{first.column}`, by which the query sorts all rows"
                yield on_pattern(
                    query.pattern, message, f"indexes: [[{first.column}]] under `{use.table.name.name}`"
                )


def _is_sorted_by_index(use: Use) -> bool:
    """Whether an index gives the first rows in order, so that the filters only skip some."""
    if not use.limited or not use.order:
        return False
    condition = Condition(
        kind="range",
        operator="<",
        key=use.order[0].key,
        column=use.order[0].column,
        columns=frozenset(),
        text="",
        certain=True,
        joins=False,
        constant=False,
    )
    return served(use, condition)


def _uses(subject: Subject) -> Iterator[tuple[Query, Use]]:
    """Reads for which an index would matter: of tables that are not small, more often than once an hour."""
    for query in subject.queries:
        rate = query.pattern.per_second
        if rate is None or rate >= _ONCE_AN_HOUR or query.pattern.latency_ms is not None:
            yield from (
                (query, use) for use in query.uses if use.role != "insert" and not subject.is_small(use.table)
            )


@rule(
    "function-on-column",
    "warning",
    "A function around a column hides it from the column's index; every row is computed.",
    _INDEXED,
)
def function_on_column(subject: Subject) -> Iterator[Hit]:
    for query, use in _uses(subject):
        for condition in use.conditions:
            computed = condition.kind in _SEARCHED and condition.column is None and condition.columns
            if not computed or condition.leading_wildcard or _is_extract(condition):
                continue
            if not served(use, condition) and not narrowed(use):
                message = f"`{condition.text}` computes `{condition.key}` for every row of `{use.table.name}`"
                fix = f'indexes: [{{columns: [{{expression: "{condition.key}"}}]}}]; or compare the column itself with a range'
                yield on_pattern(query.pattern, message, fix)


def _is_extract(condition: Condition) -> bool:
    return any(operator in condition.key for operator in _EXTRACTS)


@rule(
    "leading-wildcard",
    "warning",
    "LIKE that begins with a wildcard, and ILIKE, can use a trigram index only.",
    _INDEXED,
)
def leading_wildcard(subject: Subject) -> Iterator[Hit]:
    for query, use in _uses(subject):
        for condition in use.conditions:
            if condition.leading_wildcard and not served(use, condition) and not narrowed(use):
                message = f"`{condition.text}` reads all of `{use.table.name}`: it has no trigram index on `{condition.key}`"
                key = "column" if condition.column else "expression"
                fix = f"extensions: [pg_trgm], and an index {{using: gin, columns: [{{{key}: {condition.key}, opclass: gin_trgm_ops}}]}}"
                yield on_pattern(query.pattern, message, fix)


@rule(
    "jsonb-filter-without-index",
    "warning",
    "A filter on jsonb reads and unpacks every document unless a GIN or expression index holds the answer.",
    "GIN: JSONB, arrays, full-text",
)
def jsonb_filter_without_index(subject: Subject) -> Iterator[Hit]:
    for query, use in _uses(subject):
        jsonb = {column.name for column in use.table.columns if subject.type_name(column) == "jsonb"}
        for condition in use.conditions:
            asks = condition.kind in _SEARCHED and bool(condition.columns & jsonb)
            whole = condition.column is not None and condition.kind == "search"
            if not asks or not (whole or _is_extract(condition)) or served(use, condition) or narrowed(use):
                continue
            message = f"no index of `{use.table.name}` answers `{condition.text}`"
            expression = f'indexes: [{{columns: [{{expression: "{condition.key}"}}]}}]'
            fix = f"indexes: [{{columns: [{condition.key}], using: gin}}]" if whole else expression
            yield on_pattern(query.pattern, message, fix)


@rule(
    "any-of-array-column",
    "warning",
    "`value = ANY (column)` can use no index; `column @> ARRAY[value]` asks the same of a GIN index.",
    "GIN: JSONB, arrays, full-text",
)
def any_of_array_column(subject: Subject) -> Iterator[Hit]:
    for query, use in _uses(subject):
        for condition in use.conditions:
            if (
                condition.operator == "= ANY"
                and condition.column
                and not condition.joins
                and not narrowed(use)
            ):
                message = f"`{condition.text}` can use no index of `{use.table.name}`"
                fix = f"{identifier(condition.column)} @> ARRAY[…], with {{columns: [{condition.column}], using: gin}}"
                yield on_pattern(query.pattern, message, fix)


@rule(
    "select-star",
    "warning",
    "`*` reads columns nobody needs, defeats index-only scans, and changes meaning with each migration.",
    "Avoid `SELECT *` - fetch only needed columns",
)
def select_star(subject: Subject) -> Iterator[Hit]:
    for query in subject.queries:
        if query.stars:
            tables = _listed([str(name) for name in query.stars])
            yield on_pattern(
                query.pattern, f"`*` selects every column of {tables}", "name the columns that are used"
            )


@rule(
    "offset-pagination",
    "warning",
    "OFFSET reads and throws away every row before the page: page 50,000 costs 50,000 pages.",
    "Use cursor-based pagination (not OFFSET)",
)
def offset_pagination(subject: Subject) -> Iterator[Hit]:
    for query in subject.queries:
        if query.paged is not None:
            message = "OFFSET reads every row that it skips, and rows move between pages while one reads"
            yield on_pattern(query.pattern, message, _keyset(query.paged))


def _keyset(order: tuple[Sorted, ...]) -> str:
    keys = [item.key for item in order] or ["id"]
    values = [f":last_{item.column or number}" for number, item in enumerate(order)] or [":last_id"]
    directions = {item.descending for item in order}
    tail = "; ORDER BY the same, its last column unique, all NOT NULL, with an index in that order"
    if len(directions) > 1:
        a, b = keys[0], keys[1]
        first, then = ("<=", "<") if order[0].descending else (">=", ">")
        second = "<" if order[1].descending else ">"
        return f"WHERE {a} {first} {values[0]} AND ({a} {then} {values[0]} OR {b} {second} {values[1]}){tail}"
    sign = "<" if True in directions else ">"
    if len(keys) == 1:
        return f"WHERE {keys[0]} {sign} {values[0]}{tail}"
    return f"WHERE ({', '.join(keys)}) {sign} ({', '.join(values)}){tail}"


@rule(
    "keyset-by-or",
    "warning",
    "`a > x OR (a = x AND b > y)` reads the index from its beginning; a row comparison starts at the page.",
    "Use cursor-based pagination (not OFFSET)",
)
def keyset_by_or(subject: Subject) -> Iterator[Hit]:
    for query in subject.queries:
        for step in query.steps:
            fix = "(a, b) > (:a, :b); in mixed directions a >= :a AND (a > :a OR b < :b)"
            yield on_pattern(
                query.pattern, f"`{step}` filters rows instead of starting behind the last one", fix
            )


@rule(
    "deleted-rows-in-pattern",
    "warning",
    "A query that does not mention deleted_at sees the rows that are soft-deleted.",
    "Soft deletes for audit trail",
)
def deleted_rows_in_pattern(subject: Subject) -> Iterator[Hit]:
    does = {"select": "reads", "update": "changes", "delete": "deletes for good, and does not mark,"}
    for query in subject.queries:
        for use in query.uses:
            soft = use.table.name in subject.design.soft_deleted
            if soft and use.role in does and "deleted_at" not in use.mentioned and not _is_looked_up(use):
                message = f"{does[use.role]} rows of `{use.table.name}` whatever their deleted_at"
                fix = (
                    "SET deleted_at = now()"
                    if use.role == "delete"
                    else f"{identifier(use.alias)}.deleted_at IS NULL"
                )
                yield on_pattern(query.pattern, message, fix)


def _is_looked_up(use: Use) -> bool:
    """Whether another table's row names this one by its key: an order's customer is wanted even when deleted."""
    joined = {c.column for c in use.conditions if c.joins and c.kind == "equality"}
    keys = [key.columns for key in (use.table.primary_key, *use.table.uniques) if key]
    return use.role == "select" and any(set(columns) <= joined for columns in keys) and not _filters(use)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

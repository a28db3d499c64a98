"""Rules about access patterns: what they read, and whether an index finds it."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.schema.rules.cover import SEARCHED, all_indexes, fits, missing, narrowed, served
from data_platform.schema.rules.reading import Condition, Query, Sorted, Use
from data_platform.schema.rules.rule import Hit, on_pattern, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import identifier

_INDEXED = "Add indexes for frequently filtered/joined columns"
_GIN = "GIN: JSONB, arrays, full-text"
_PAGED = "Use cursor-based pagination (not OFFSET)"
_ONCE_AN_HOUR = 1 / 3600
_EXTRACTS = (" -> ", " ->> ", " #> ", " #>> ")


def _uses(subject: Subject) -> Iterator[tuple[Query, Use]]:
    """Each use of a table for which an index matters: it is not small, the query not rarer than hourly."""
    for query in subject.queries:
        rate = query.pattern.per_second
        if rate is None or rate >= _ONCE_AN_HOUR or query.pattern.latency_ms is not None:
            yield from ((query, use) for use in query.uses if _has_own_indexes(subject, use))


def _has_own_indexes(subject: Subject, use: Use) -> bool:
    """Whether rows are looked for, and not so few; a partition has its parent's indexes, a foreign table none."""
    return use.role != "insert" and use.table.holds_rows and not subject.is_small(use.table)


def _unserved(subject: Subject) -> Iterator[tuple[Query, Use, Condition]]:
    """Each condition that no index serves, in a query that no equality narrows to a few rows."""
    for query, use in _uses(subject):
        conditions = [c for c in use.conditions if c.kind in SEARCHED and not served(use, c)]
        yield from ((query, use, condition) for condition in conditions if not narrowed(use))


@rule(
    "access-pattern-without-index",
    "warning",
    "Without an index on anything that it asks for, a query reads the whole table each time.",
    _INDEXED,
)
def access_pattern_without_index(subject: Subject) -> Iterator[Hit]:
    for query, use in _uses(subject):
        searched = [c for c in use.conditions if c.kind in SEARCHED]
        if any(served(use, c) for c in searched) or _is_sorted_by_index(use):
            continue
        if any(_is_special(subject, use, c) for c in searched):
            continue  # the rule for that form says more
        wanted = [c for c in searched if _is_selective(subject, use, c) and _is_entry(query, use, c)]
        if wanted:
            yield on_pattern(query.pattern, *_advice(subject, use, wanted))
        elif not searched and use.limited and use.order and use.order[0].column and not use.order[0].distance:
            message = f"all of `{use.table.name}` is sorted by `{use.order[0].column}` to find the first rows"
            yield on_pattern(query.pattern, message, _index_for(subject, use, []))


def _advice(subject: Subject, use: Use, wanted: list[Condition]) -> tuple[str, str]:
    partial = next((index for index in all_indexes(use.table) if any(fits(index, c) for c in wanted)), None)
    if partial is not None:
        unsaid = " AND ".join(missing(partial, use))
        return (
            f"`{partial.name}` holds only rows with {unsaid}, which the query does not say",
            f"AND {unsaid}",
        )
    keys = ", ".join(f"`{key}`" for key in dict.fromkeys(c.key for c in wanted))
    return f"no index of `{use.table.name}` leads with {keys}", _index_for(subject, use, wanted)


def _is_special(subject: Subject, use: Use, condition: Condition) -> bool:
    """Whether another rule is for this form of condition."""
    computed = condition.column is None and bool(condition.columns)
    return computed or condition.hides_beginning or _asks_jsonb(subject, use, condition)


def _is_selective(subject: Subject, use: Use, condition: Condition) -> bool:
    return condition.column is not None and subject.type_name(use.table.column(condition.column)) != "bool"


def _is_entry(query: Query, use: Use, condition: Condition) -> bool:
    """Whether rows are to be found by it: a join is an entry if filters on another table come first."""
    if not condition.joins:
        return True
    return not _filters(use) and any(_filters(other) for other in query.uses if other is not use)


def _filters(use: Use) -> bool:
    return any(c.kind in SEARCHED and not c.joins for c in use.conditions)


def _is_sorted_by_index(use: Use) -> bool:
    """Whether an index gives the first rows in order, so that the filters only skip some."""
    if not use.limited or not use.order or use.order[0].table != use.table.name:
        return False
    first = use.order[0]
    return served(use, Condition(kind="range", operator="<", key=first.key, column=first.column))


def _index_for(subject: Subject, use: Use, wanted: list[Condition]) -> str:
    found = next((c.column for c in wanted if c.kind == "search" and c.column), None)
    if found is not None:
        return f"{_under(use)}: [{_special_index(subject, use, found)}]"
    equal = [c.key for c in wanted if c.kind == "equality"]
    ranges = [c.key for c in wanted if c.kind != "equality"]
    order = [item.column for item in use.order if item.column and item.table == use.table.name]
    return f"{_under(use)}: [[{', '.join(dict.fromkeys(equal + (ranges[:1] or order)))}]]"


def _under(use: Use) -> str:
    return f"tables.{use.table.name.name}.indexes"


def _special_index(subject: Subject, use: Use, column: str) -> str:
    type_ = subject.type_name(use.table.column(column))
    if type_ in ("text", "varchar", "citext"):
        return f"{{columns: [{{column: {column}, opclass: gin_trgm_ops}}], using: gin}}"
    method = "gin" if type_.endswith("[]") or type_ in ("jsonb", "tsvector") else "gist"
    return f"{{columns: [{column}], using: {method}}}"


@rule(
    "function-on-column",
    "warning",
    "A function around a column hides it from the column's index: it is computed for every row.",
    _INDEXED,
)
def function_on_column(subject: Subject) -> Iterator[Hit]:
    for query, use, condition in _unserved(subject):
        computed = condition.column is None and condition.columns
        if computed and not condition.hides_beginning and not _asks_jsonb(subject, use, condition):
            message = f"`{condition.text}` computes `{condition.key}` for every row of `{use.table.name}`"
            fix = f"compare the column itself, or {_expression_index(use, condition)}"
            yield on_pattern(query.pattern, message, fix)


def _expression_index(use: Use, condition: Condition) -> str:
    return f'{_under(use)}: [{{columns: [{{expression: "{condition.key}"}}]}}]'


@rule(
    "leading-wildcard",
    "warning",
    "LIKE that begins with a wildcard, and ILIKE, can use a trigram index only.",
    _INDEXED,
)
def leading_wildcard(subject: Subject) -> Iterator[Hit]:
    for query, use, condition in _unserved(subject):
        if condition.hides_beginning:
            message = f"`{condition.text}` reads all of `{use.table.name}`"
            element = (
                f"{'column' if condition.column else 'expression'}: {condition.key}, opclass: gin_trgm_ops"
            )
            fix = f"extensions: [pg_trgm] and {_under(use)}: [{{using: gin, columns: [{{{element}}}]}}]"
            yield on_pattern(query.pattern, message, fix)


@rule(
    "jsonb-filter-without-index",
    "warning",
    "A filter on jsonb unpacks every document unless a GIN or expression index holds the answer.",
    _GIN,
)
def jsonb_filter_without_index(subject: Subject) -> Iterator[Hit]:
    for query, use, condition in _unserved(subject):
        if _asks_jsonb(subject, use, condition) and not condition.hides_beginning:
            message = f"no index of `{use.table.name}` answers `{condition.text}`"
            gin = f"{_under(use)}: [{{columns: [{condition.key}], using: gin}}]"
            yield on_pattern(
                query.pattern, message, gin if condition.column else _expression_index(use, condition)
            )


def _asks_jsonb(subject: Subject, use: Use, condition: Condition) -> bool:
    """Whether it is `jsonb @> …` or a comparison of what `->` takes out of jsonb."""
    asks = (
        condition.kind == "search" if condition.column else any(part in condition.key for part in _EXTRACTS)
    )
    return asks and any(subject.type_name(use.table.column(name)) == "jsonb" for name in condition.columns)


@rule(
    "any-of-array-column",
    "warning",
    "`value = ANY (column)` can use no index; `column @> ARRAY[value]` asks the same of a GIN index.",
    _GIN,
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
                column = identifier(condition.column)
                fix = (
                    f"{column} @> ARRAY[…] and {_under(use)}: [{{columns: [{condition.column}], using: gin}}]"
                )
                yield on_pattern(query.pattern, message, fix)


@rule(
    "select-star",
    "warning",
    "`*` reads what nobody needs, rules out index-only scans, and changes with each migration.",
    "Avoid `SELECT *` - fetch only needed columns",
)
def select_star(subject: Subject) -> Iterator[Hit]:
    for query in subject.queries:
        if query.stars:
            tables = ", ".join(f"`{name}`" for name in query.stars)
            yield on_pattern(
                query.pattern, f"`*` selects every column of {tables}", "name the columns that are used"
            )


@rule("offset-pagination", "warning", "OFFSET reads and throws away every row before the page.", _PAGED)
def offset_pagination(subject: Subject) -> Iterator[Hit]:
    for query in subject.queries:
        if query.paged is not None:
            message = "OFFSET reads all rows that it skips, and rows move between pages while one reads"
            yield on_pattern(query.pattern, message, _keyset(query.paged))


def _keyset(order: tuple[Sorted, ...]) -> str:
    """The condition that continues after the last row of a page."""
    keys = [item.key for item in order] or ["id"]
    values = [f":last_{item.column or number}" for number, item in enumerate(order, 1)] or [":last_id"]
    after = ["<" if item.descending else ">" for item in order] or [">"]
    if len(set(after)) > 1:
        (a, b), (x, y), (first, second) = keys[:2], values[:2], after[:2]
        form = f"{a} {first}= {x} AND ({a} {first} {x} OR {b} {second} {y})"
    elif len(keys) > 1:
        form = f"({', '.join(keys)}) {after[0]} ({', '.join(values)})"
    else:
        form = f"{keys[0]} {after[0]} {values[0]}"
    return f"WHERE {form}, the last key unique, all NOT NULL, with an index in the order of ORDER BY"


@rule(
    "keyset-by-or",
    "warning",
    "`a > x OR (a = x AND b > y)` reads the index from its beginning; a row comparison starts at the page.",
    _PAGED,
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
    does = {"select": "reads", "update": "changes", "delete": "removes for good"}
    for query in subject.queries:
        for use in query.uses:
            soft = use.table.name in subject.design.soft_deleted
            if soft and use.role in does and "deleted_at" not in use.mentioned and not _is_looked_up(use):
                message = f"the query {does[use.role]} rows of `{use.table.name}` whatever their deleted_at"
                fix = f"{identifier(use.alias)}.deleted_at IS NULL"
                yield on_pattern(
                    query.pattern, message, "SET deleted_at = now()" if use.role == "delete" else fix
                )


def _is_looked_up(use: Use) -> bool:
    """Whether another table's row names this one by its key: an order's customer, deleted or not."""
    joined = {c.column for c in use.conditions if c.joins and c.kind == "equality"}
    keys = [key.columns for key in (use.table.primary_key, *use.table.uniques) if key]
    return use.role == "select" and any(set(columns) <= joined for columns in keys) and not _filters(use)

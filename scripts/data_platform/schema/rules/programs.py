"""Rules about what runs by itself: trigger functions and rewrite rules, and materialized views that are refreshed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast

from data_platform.model.database import Function, Index, MaterializedView
from data_platform.schema.rules import trees
from data_platform.schema.rules.remedies import unique_index
from data_platform.schema.rules.rule import Hit, on_object, on_table, rule
from data_platform.schema.rules.subject import Subject
from data_platform.sql.text import NotSql, identifier, parse, qualified_name, tokens_of

pb = postgast.pg_query_pb2


@rule(
    "trigger-function-without-return",
    "error",
    "PL/pgSQL ends a trigger function that reaches its END with an error, and with it the statement.",
)
def trigger_function_without_return(subject: Subject) -> Iterator[Hit]:
    called = {trigger.function for table in subject.design.database.tables for trigger in table.triggers}
    called |= {trigger.function for view in subject.design.database.views for trigger in view.triggers}
    for function in subject.design.database.functions:
        is_plain = function.language == "plpgsql" and function.returns == "trigger"
        if is_plain and function.name in called and not _may_end(function):
            message = f"`{function.name}` never returns: every statement that fires it fails"
            yield on_object("functions", function.name, message, "RETURN NEW; or RETURN NULL; before its END")


def _may_end(function: Function) -> bool:
    """Whether the body can end otherwise than at its END: it returns, raises, or waits in a loop."""
    try:
        raw, tokens = tokens_of(function.body or "")
    except NotSql:
        return True
    return any(raw[token.start : token.end].lower() in _ENDING for token in tokens)


_ENDING = frozenset({b"return", b"raise", b"loop"})


@rule(
    "rule-instead-of-trigger",
    "warning",
    "A rule rewrites the query: values are computed twice, row counts are wrong, COPY passes it by.",
)
def rule_instead_of_trigger(subject: Subject) -> Iterator[Hit]:
    for table in subject.tables:
        for found in table.rules:
            message = f"the rule `{found.name}` rewrites statements on `{table.name}`"
            dropped = f"DROP RULE {identifier(found.name)} ON {qualified_name(table.name)};"
            remedy = f"a trigger that does the same, then `{dropped}`"
            yield on_table(table, message, "a trigger", "rules", found.name, remedy=remedy)


@rule(
    "materialized-view-without-unique-index",
    "warning",
    "Without a unique index over all rows REFRESH cannot be CONCURRENTLY: every reader waits until it is done.",
)
def materialized_view_without_unique_index(subject: Subject) -> Iterator[Hit]:
    for view in subject.design.database.materialized_views:
        if not any(_serves_refresh(index) for index in view.indexes):
            columns = _grouped_by(view)
            message = f"`{view.name}` has no unique index over its columns and all its rows"
            listed = ", ".join(columns) or "the columns that name a row"
            remedy = (
                str(unique_index(view, columns))
                if columns
                else "a unique index over the columns that name a row"
            )
            fix = f"indexes: [{{columns: [{listed}], unique: true}}]"
            yield on_object("materialized_views", view.name, message, fix, remedy)


def _serves_refresh(index: Index) -> bool:
    return (
        index.unique and index.where is None and all(element.column is not None for element in index.elements)
    )


def _grouped_by(view: MaterializedView) -> tuple[str, ...]:
    """The output columns that GROUP BY lists, if they are all there: together they name a row."""
    try:
        (statement,) = parse(view.query).stmts
    except (NotSql, ValueError):
        return ()
    select = statement.stmt.select_stmt
    names = {trees.printed(t.res_target.val): _output_name(t.res_target) for t in select.target_list}
    keys = [names.get(trees.printed(trees.output(item, select))) for item in select.group_clause]
    simple = keys and select.op == pb.SETOP_NONE and all(keys)
    return tuple(str(key) for key in keys) if simple else ()


def _output_name(target: Any) -> str | None:
    fields = target.val.column_ref.fields
    return target.name or (str(fields[-1].string.sval) if fields else None)

"""Access patterns: statements whose tables the model has, with numbered, typed parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import postgast

from data_platform.model.database import Name, Table
from data_platform.model.design import AccessPattern, Parameter
from data_platform.spec.document import Path_
from data_platform.spec.model.context import Context, near
from data_platform.sql import statements
from data_platform.sql.text import NotSql

_PER_SECOND = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0}


def read_patterns(
    context: Context, specs: Mapping[str, Any], tables: Mapping[Name, Table]
) -> Iterator[AccessPattern]:
    """Every access pattern that can be read; the others leave their errors in the context."""
    for name, spec in specs.items():
        pattern = _read(context, name, spec, ("access_patterns", name), tables)
        if pattern is not None:
            yield pattern


def _read(
    context: Context, name: str, spec: Mapping[str, Any], path: Path_, tables: Mapping[Name, Table]
) -> AccessPattern | None:
    names = list(spec.get("parameters", {}))
    try:
        sql = statements.number_parameters(spec["sql"], names).strip().rstrip(";").rstrip()
        tree = statements.only_statement(sql)
    except NotSql as problem:
        at = f" (at character {problem.offset + 1})" if problem.offset is not None else ""
        context.error((*path, "sql"), "spec-sql", f"{problem}{at}", "one statement, parameters as :name")
        return None
    used = {reference.number for reference in postgast.find_nodes(tree, postgast.pg_query_pb2.ParamRef)}
    for number in sorted(used - set(range(1, len(names) + 1))):
        context.error(
            (*path, "sql"),
            "spec-sql",
            f"${number} has no entry under `parameters:`",
            "parameters: {name: type}",
        )
    for number, parameter in enumerate(names, 1):
        if number not in used:
            at_parameter = (*path, "parameters", parameter)
            context.error(
                at_parameter, "spec-unused", f"the statement does not use :{parameter}", "remove it"
            )
    scope = dict(_scope(context, tree, (*path, "sql"), tables))
    guesses = _guesses(tree, scope)
    rate, _, unit = spec["frequency"].partition("/") if "frequency" in spec else ("", "", "")
    return AccessPattern(
        name=name,
        sql=sql,
        parameters=tuple(
            _parameter(
                context, parameter, value, (*path, "parameters", parameter), tables, guesses.get(number)
            )
            for number, (parameter, value) in enumerate(spec.get("parameters", {}).items(), 1)
        ),
        per_second=float(rate) / _PER_SECOND[unit.strip()] if rate else None,
        expected_rows=spec.get("expected_rows"),
        latency_ms=spec.get("latency_ms"),
    )


def _scope(
    context: Context, tree: postgast.pg_query_pb2.Node, path: Path_, tables: Mapping[Name, Table]
) -> Iterator[tuple[str, Table]]:
    """The model's tables under the names that the statement gives them."""
    for relation in statements.relations(tree):
        if relation.schema in ("pg_catalog", "information_schema"):
            continue
        schemas = [relation.schema] if relation.schema else [context.default_schema, "public"]
        names = [Name(schema, relation.name) for schema in schemas]
        found = [tables[name] for name in names if name in tables]
        if found:
            yield relation.alias, found[0]
        elif not any(name in context.views for name in names):
            shown = f"{relation.schema}.{relation.name}" if relation.schema else relation.name
            context.error(
                path,
                "spec-unknown-table",
                f"no table `{shown}` in this model",
                near(relation.name, [*_names(tables), *_names(context.views)]) or "add it under `tables:`",
            )


@dataclass(frozen=True)
class _Guess:
    """The column that a parameter is compared with or becomes."""

    column: tuple[Name, str]
    inserted: bool = False


def _guesses(tree: postgast.pg_query_pb2.Node, scope: Mapping[str, Table]) -> dict[int, _Guess]:
    """For each parameter the column that tells what its values are like."""
    guesses: dict[int, _Guess] = {}
    written = next(iter(scope.values()), None)
    for number, name, inserted in statements.assigned_columns(tree):
        if written is not None and name in {column.name for column in written.columns}:
            guesses.setdefault(number, _Guess((written.name, name), inserted))
    for number, parts in statements.compared_columns(tree):
        candidates = [scope[parts[-2]]] if len(parts) > 1 and parts[-2] in scope else list(scope.values())
        for table in candidates:
            if parts[-1] in {column.name for column in table.columns}:
                guesses.setdefault(number, _Guess((table.name, parts[-1])))
    return guesses


def _parameter(
    context: Context,
    name: str,
    spec: Any,
    path: Path_,
    tables: Mapping[Name, Table],
    guess: _Guess | None,
) -> Parameter:
    given: Mapping[str, Any] = {"type": spec} if isinstance(spec, str) else spec
    type_ = context.type(given["type"], path if isinstance(spec, str) else (*path, "type"))
    if "value" in given and "from" in given:
        context.error((*path, "from"), "spec-conflict", "`value` and `from` exclude each other", "keep one")
    if "value" in given:
        value = given["value"]
        text = str(value).lower() if isinstance(value, bool) else None if value is None else str(value)
        return Parameter(name=name, type=type_, fixed=True, value=text)
    if "from" in given:
        return Parameter(
            name=name, type=type_, column=_column(context, given["from"], (*path, "from"), tables)
        )
    if guess is None:
        return Parameter(name=name, type=type_)
    return Parameter(name=name, type=type_, column=guess.column, inserted=guess.inserted)


def _column(
    context: Context, text: str, path: Path_, tables: Mapping[Name, Table]
) -> tuple[Name, str] | None:
    table_text, _, column = text.rpartition(".")
    table = context.name(table_text, path) if table_text else None
    if table is None or table not in tables:
        message = f"`{text}` names no column of this model; expected `table.column`"
        context.error(path, "spec-unknown-column", message, near(table_text, _names(tables)) or "orders.id")
        return None
    names = [c.name for c in tables[table].columns]
    return (table, column) if context.known_column(column, names, path) else None


def _names(tables: Collection[Name]) -> list[str]:
    return [table.name for table in tables]

"""What the page of a diagram says of each table: plain data for its script, every text made harmless to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from data_platform.model.database import (
    Check,
    Column,
    Exclusion,
    Index,
    IndexElement,
    Name,
    PrimaryKey,
    Table,
    Unique,
)
from data_platform.model.design import AccessPattern, Design
from data_platform.report.document import Code, shown, shown_block
from data_platform.schema.diagram.tables import foreign_keys, is_unique, marks, names
from data_platform.sql.statements import only_statement, relations

Facts = dict[str, Any]


def labels(design: Design) -> dict[Name, str]:
    """What each table is called, in the page and in a link to it."""
    return names(design, lambda name: shown(Code(name)))


def tables(design: Design) -> list[Facts]:
    """One entry a table, in the order of the model; tables and access patterns are referred to by number."""
    called = labels(design)
    asked = _asked(design)
    return [
        {
            "label": called[table.name],
            "name": shown(Code(table.name.name)),
            "schema": shown(Code(table.name.schema)),
            "comment": _text(table.comment),
            "rows": design.rows.get(table.name),
            "columns": [_column(table, column) for column in table.columns],
            "rules": [_rule(rule) for rule in _rules(table)],
            "indexes": [_index(index) for index in table.indexes],
            "patterns": asked[table.name],
        }
        for table in design.database.tables
    ]


def references(design: Design) -> list[Facts]:
    """One entry a foreign key whose target is in the model."""
    numbers = {table.name: number for number, table in enumerate(design.database.tables)}
    return [
        {
            "name": shown(Code(key.name)),
            "source": numbers[table.name],
            "target": numbers[key.target],
            "columns": [shown(Code(column)) for column in key.columns],
            "targets": [shown(Code(column)) for column in key.target_columns],
            "deletes": key.on_delete,
            "updates": key.on_update,
            "optional": any(table.column(column).nullable for column in key.columns),
            "single": is_unique(table, key.columns),
        }
        for table, key in foreign_keys(design)
    ]


def patterns(design: Design) -> list[Facts]:
    """One entry an access pattern."""
    return [
        {
            "name": shown(Code(pattern.name)),
            "sql": shown_block(pattern.sql),
            "facts": ", ".join(_pattern_facts(pattern)),
        }
        for pattern in design.access_patterns
    ]


def _pattern_facts(pattern: AccessPattern) -> Iterator[str]:
    if pattern.per_second is not None:
        yield f"{pattern.per_second:,.4g} a second"
    if pattern.expected_rows is not None:
        yield f"{pattern.expected_rows:,} row{'' if pattern.expected_rows == 1 else 's'}"
    if pattern.latency_ms is not None:
        yield f"within {pattern.latency_ms:,g} ms"


def _asked(design: Design) -> Mapping[Name, list[int]]:
    """By table, the numbers of the access patterns that read or write it."""
    known = {table.name for table in design.database.tables}
    asked: defaultdict[Name, list[int]] = defaultdict(list)
    for number, pattern in enumerate(design.access_patterns):
        found = (_named(relation, design, known) for relation in relations(only_statement(pattern.sql)))
        for name in dict.fromkeys(name for name in found if name):
            asked[name].append(number)
    return asked


def _named(relation: Any, design: Design, known: set[Name]) -> Name | None:
    schemas = (relation.schema,) if relation.schema else design.search_path
    return next((n for n in (Name(schema, relation.name) for schema in schemas) if n in known), None)


def _column(table: Table, column: Column) -> list[Any]:
    """Name, type, marks, nullable, where its value comes from, comment."""
    return [
        shown(Code(column.name)),
        shown(Code(column.type)),
        list(marks(table, column.name)),
        column.nullable,
        shown(Code(_origin(column))),
        _text(column.comment),
    ]


def _origin(column: Column) -> str:
    if column.identity:
        return f"identity, {column.identity}"
    if column.generated:
        return f"{'stored' if column.generated.stored else 'virtual'}: {column.generated.expression}"
    return column.default or ""


def _rules(table: Table) -> Iterator[PrimaryKey | Unique | Check | Exclusion]:
    if table.primary_key:
        yield table.primary_key
    yield from table.uniques
    yield from table.checks
    yield from table.exclusions


def _rule(rule: PrimaryKey | Unique | Check | Exclusion) -> list[str]:
    """Name, and what it demands."""
    match rule:
        case PrimaryKey():
            text = f"PRIMARY KEY ({', '.join(rule.columns)})"
        case Unique():
            nulls = " NULLS NOT DISTINCT" if rule.nulls_not_distinct else ""
            text = f"UNIQUE{nulls} ({', '.join(rule.columns)})"
        case Check():
            text = f"CHECK ({rule.expression})"
        case Exclusion():
            parts = (f"{_element(item.element)} WITH {item.operator}" for item in rule.elements)
            text = f"EXCLUDE USING {rule.method} ({', '.join(parts)}){_where(rule.where)}"
    return [shown(Code(rule.name)), shown(Code(text))]


def _index(index: Index) -> list[str]:
    """Name, what it holds, comment."""
    text = f"{'UNIQUE ' if index.unique else ''}{index.method} ({', '.join(map(_element, index.elements))})"
    if index.include:
        text += f" INCLUDE ({', '.join(index.include)})"
    if index.nulls_not_distinct:
        text += " NULLS NOT DISTINCT"
    if index.options:
        text += f" WITH ({_options(index.options)})"
    return [shown(Code(index.name)), shown(Code(text + _where(index.where))), _text(index.comment)]


def _element(element: IndexElement) -> str:
    words = [element.column if element.column is not None else f"({element.expression})"]
    words += [f"COLLATE {element.collation}"] if element.collation else []
    words += [element.opclass] if element.opclass else []
    words += ["DESC"] if element.descending else []
    if element.nulls_first != element.descending:
        words.append("NULLS FIRST" if element.nulls_first else "NULLS LAST")
    return " ".join(words)


def _options(options: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in options)


def _where(predicate: str | None) -> str:
    return f" WHERE {predicate}" if predicate is not None else ""


def _text(comment: str | None) -> str:
    return shown_block((comment or "").strip())

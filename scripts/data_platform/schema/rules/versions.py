"""Rules about what the model's server does not know yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import postgast

from data_platform.model.database import Domain, Index, Table
from data_platform.model.design import AccessPattern
from data_platform.schema.rules import trees
from data_platform.schema.rules.rule import Hit, on_column, on_index, on_pattern, on_table, rule, words
from data_platform.schema.rules.subject import Subject
from data_platform.sql import types
from data_platform.sql.statements import only_statement
from data_platform.sql.text import expression_tree

pb = postgast.pg_query_pb2

_FUNCTIONS: dict[int, frozenset[str]] = {
    14: words(
        "bit_count bit_xor date_bin range_agg range_intersect_agg string_to_table trim_array unistr multirange"
        " int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange"
    ),
    15: words("regexp_count regexp_instr regexp_like regexp_substr"),
    16: words(
        "any_value array_sample array_shuffle date_add date_subtract erf erfc pg_input_error_info"
        " pg_input_is_valid random_normal system_user"
    ),
    17: words("to_bin to_oct unicode_assigned uuid_extract_timestamp uuid_extract_version xmltext"),
    18: words("array_reverse array_sort casefold crc32 crc32c gamma lgamma uuidv4 uuidv7"),
}
"""From the chapters "Functions" of the release notes."""

_TYPES: dict[int, frozenset[str]] = {
    14: words("int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange"),
}

_INSTEAD = {
    "any_value": "min()",
    "casefold": "lower()",
    "date_add": "+ and an interval",
    "date_bin": "date_trunc()",
    "date_subtract": "- and an interval",
    "random_normal": "normal_rand() of the extension tablefunc",
    "regexp_like": "the operator ~",
    "regexp_substr": "substring(text FROM pattern)",
    "string_to_table": "unnest(string_to_array(…))",
    "trim_array": "a slice of the array",
    "uuidv4": "gen_random_uuid()",
    "uuidv7": "gen_random_uuid()",
}
"""How it is done on any server."""


class _Need(NamedTuple):
    """Something that servers before `version` do not read."""

    what: str
    version: int
    instead: str | None = None


def _function(call: Any) -> Iterator[_Need]:
    parts = [part.string.sval for part in call.funcname]
    if len(parts) > 1 and parts[-2] != "pg_catalog":
        return
    name = parts[-1]
    shown = "SYSTEM_USER" if name == "system_user" else f"{name}()"
    for version, names in _FUNCTIONS.items():
        if name in names:
            yield _Need(shown, version, _INSTEAD.get(name))
    if name == "random" and len(call.args) == 2:
        yield _Need("random(min, max)", 17, "min + floor(random() * (max - min + 1))")
    if name == "timezone" and len(call.args) == 1:
        yield _Need("AT LOCAL", 17, "AT TIME ZONE with the name of the zone")


def _type(name: Any) -> Iterator[_Need]:
    parts = [part.string.sval for part in name.names]
    if len(parts) == 1 or parts[0] == "pg_catalog":
        yield from _type_needs(parts[-1])


def _type_needs(name: str) -> Iterator[_Need]:
    for version, names in _TYPES.items():
        if name in names:
            yield _Need(f"the type {name}", version, "an array of ranges")


def _json_function(call: Any) -> Iterator[_Need]:
    name, instead = {
        pb.JSON_EXISTS_OP: ("JSON_EXISTS", "jsonb_path_exists()"),
        pb.JSON_QUERY_OP: ("JSON_QUERY", "jsonb_path_query_first()"),
        pb.JSON_VALUE_OP: ("JSON_VALUE", "jsonb_path_query_first() #>> '{}'"),
    }.get(call.op, ("the SQL/JSON functions", None))
    yield _Need(name, 17, instead)


def _merge(statement: Any) -> Iterator[_Need]:
    yield _Need("MERGE", 15, "INSERT … ON CONFLICT DO UPDATE")
    if statement.HasField("returning_clause"):
        yield _Need("RETURNING of MERGE", 17)
    if any(
        clause.merge_when_clause.match_kind == pb.MERGE_WHEN_NOT_MATCHED_BY_SOURCE
        for clause in statement.merge_when_clauses
    ):
        yield _Need("WHEN NOT MATCHED BY SOURCE", 17, "a DELETE or UPDATE … WHERE NOT EXISTS")


def _returning(statement: Any) -> Iterator[_Need]:
    """OLD and NEW, unless a table of the statement is called so."""
    clause = statement.returning_clause
    aliases = {
        part.alias.aliasname or part.relname
        for part in trees.below(statement)
        if isinstance(part, pb.RangeVar | pb.RangeSubselect)
    }
    pairs = {
        part.fields[0].string.sval
        for item in clause.exprs
        for part in trees.below(item)
        if isinstance(part, pb.ColumnRef) and len(part.fields) == 2
    }
    if clause.options or (pairs & {"old", "new"}) - aliases:
        yield _Need("OLD and NEW in RETURNING", 18)


def _cte(cte: Any) -> Iterator[_Need]:
    if cte.HasField("search_clause"):
        yield _Need("SEARCH", 14, "a column with the path, and ORDER BY")
    if cte.HasField("cycle_clause"):
        yield _Need("CYCLE", 14, "an array of the rows that were visited")


def _always(what: str, version: int, instead: str | None = None) -> Callable[[Any], Iterator[_Need]]:
    return lambda _: iter([_Need(what, version, instead)])


_NEEDS: dict[Any, Callable[[Any], Iterator[_Need]]] = {
    pb.FuncCall: _function,
    pb.TypeName: _type,
    pb.CommonTableExpr: _cte,
    pb.MergeStmt: _merge,
    pb.JsonFuncExpr: _json_function,
    pb.JsonTable: _always("JSON_TABLE", 17, "jsonb_to_recordset()"),
    pb.JsonParseExpr: _always("JSON()", 17, "a cast to json"),
    pb.JsonScalarExpr: _always("JSON_SCALAR", 17, "to_json()"),
    pb.JsonSerializeExpr: _always("JSON_SERIALIZE", 17, "a cast to text"),
    pb.JsonIsPredicate: _always("IS JSON", 16),
    pb.JsonObjectConstructor: _always("JSON_OBJECT(key: value)", 16, "json_build_object()"),
    pb.JsonArrayConstructor: _always("JSON_ARRAY", 16, "json_build_array()"),
    pb.JsonArrayQueryConstructor: _always("JSON_ARRAY", 16, "json_agg()"),
    pb.JsonObjectAgg: _always("JSON_OBJECTAGG", 16, "json_object_agg()"),
    pb.JsonArrayAgg: _always("JSON_ARRAYAGG", 16, "json_agg()"),
}


def _in_tree(root: Any) -> Iterator[_Need]:
    """Everything in a statement or an expression that needs a version, nested statements too."""
    for part in trees.below(root):
        yield from _NEEDS.get(type(part), _nothing)(part)
        if isinstance(part, pb.InsertStmt | pb.UpdateStmt | pb.DeleteStmt | pb.MergeStmt):
            yield from _returning(part)
        if part is not root and (isinstance(part, trees.STATEMENTS) or trees.is_exists(part)):
            yield from _in_tree(part)


def _nothing(_: Any) -> Iterator[_Need]:
    return iter(())


def _in_expressions(*expressions: str | None) -> Iterator[_Need]:
    for expression in expressions:
        if expression is not None:
            yield from _in_tree(trees.inner(expression_tree(expression)))


def _in_index(index: Index) -> Iterator[_Need]:
    return _in_expressions(*(element.expression for element in index.elements), index.where)


_Place = Callable[[str, str], Hit]


def _in_table(table: Table) -> Iterator[tuple[_Need, _Place]]:
    for column in table.columns:
        generated = column.generated.expression if column.generated else None
        own = (*_type_needs(types.reference(column.type).name), *_in_expressions(column.default, generated))
        yield from ((need, _at_column(table, column.name)) for need in own)
    for check in table.checks:
        yield from (
            (need, _at_table(table, "checks", check.name)) for need in _in_expressions(check.expression)
        )
    for exclusion in table.exclusions:
        parts = (item.element.expression for item in exclusion.elements)
        needs = _in_expressions(*parts, exclusion.where)
        yield from ((need, _at_table(table, "exclude")) for need in needs)
    for index in table.indexes:
        yield from ((need, _at_index(table, index)) for need in _in_index(index))


def _at_column(table: Table, name: str) -> _Place:
    return lambda message, fix: on_column(table, name, message, fix)


def _at_table(table: Table, *path: str) -> _Place:
    return lambda message, fix: on_table(table, message, fix, *path)


def _at_index(table: Table, index: Index) -> _Place:
    return lambda message, fix: on_index(table, index, message, fix)


def _at_domain(domain: Domain) -> _Place:
    path = ("types", domain.name.name)
    return lambda message, fix: Hit(message=message, fix=fix, path=path, object=str(domain.name))


def _at_pattern(pattern: AccessPattern) -> _Place:
    return lambda message, fix: on_pattern(pattern, message, fix)


def _everywhere(subject: Subject) -> Iterator[tuple[_Need, _Place]]:
    for type_ in subject.design.database.types:
        if isinstance(type_, Domain):
            base = _type_needs(types.reference(type_.base).name)
            needs = (*base, *_in_expressions(type_.default, *(check.expression for check in type_.checks)))
            yield from ((need, _at_domain(type_)) for need in needs)
    for table in subject.tables:
        yield from _in_table(table)
    for query in subject.queries:
        for need in _in_tree(trees.inner(only_statement(query.pattern.sql))):
            yield need, _at_pattern(query.pattern)


@rule("newer-than-server", "error", "The server refuses a function or a clause that came after its version.")
def newer_than_server(subject: Subject) -> Iterator[Hit]:
    if subject.is_database:
        return  # its server has read all of it
    server = subject.design.server_version
    hits: dict[Hit, None] = {}
    for need, place in _everywhere(subject):
        if need.version > server:
            message = f"{need.what} needs PostgreSQL {need.version}, and the model is for {server}"
            rest = f", or {need.instead}" if need.instead else ""
            hits[place(message, f"server_version: {need.version}{rest}")] = None
    yield from hits

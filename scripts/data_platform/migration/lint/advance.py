"""A state after a statement: what it creates, alters, renames and drops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.alter import alter_table
from data_platform.migration.lint.create import create_index, create_table, define_column, define_constraint
from data_platform.migration.lint.definitions import (
    relation_of,
    strings,
)
from data_platform.migration.lint.expressions import Routine
from data_platform.migration.lint.state import Domain, Kind, Relation, State, Table
from data_platform.migration.lint.types import type_of


def advance(state: State, node: pb.Node, file: str | None) -> None:
    """Change the state as the statement changes the database.

    `file` is the migration's, whose new tables are empty; None while a base schema is read.
    """
    kind = node.WhichOneof("node")
    step = _STEPS.get(kind or "")
    if step is not None:
        step(state, getattr(node, kind), file)


def _create_as(state: State, node: pb.CreateTableAsStmt, file: str | None) -> None:
    name = relation_of(state, node.into.rel)
    kind: Kind = "materialized view" if node.objtype == pb.OBJECT_MATVIEW else "table"
    if node.if_not_exists and name in state.tables:
        return
    temporary = node.into.rel.relpersistence == "t"
    state.put(Table(name, kind, new=file, filled=not node.into.skip_data, temporary=temporary))


def _view(state: State, node: pb.ViewStmt, file: str | None) -> None:
    name = relation_of(state, node.view)
    if name not in state.tables:
        state.put(Table(name, "view", new=file))


def _foreign(state: State, node: pb.CreateForeignTableStmt, file: str | None) -> None:
    create_table(state, node.base_stmt, file)
    name = relation_of(state, node.base_stmt.relation)
    state.put(replace(state.table(name), kind="foreign"))


def _alter(state: State, node: pb.AlterTableStmt, file: str | None) -> None:
    alter_table(state, node, file, define_column, define_constraint)


def _rename(state: State, node: pb.RenameStmt, file: str | None) -> None:
    if node.rename_type in _RELATIONS:
        old = relation_of(state, node.relation)
        _move(state, old, Relation(old.schema, node.newname))
    elif node.rename_type == pb.OBJECT_COLUMN:
        _rename_column(state, state.table(relation_of(state, node.relation)), node.subname, node.newname)
    elif node.rename_type in _NAMED:
        _made(state, _NAMED[node.rename_type], node.newname, file)
    elif node.rename_type == pb.OBJECT_TABCONSTRAINT:
        table = state.table(relation_of(state, node.relation))
        constraints = dict(table.constraints)
        constraint = constraints.pop(node.subname, None)
        if constraint is not None:
            state.put(
                replace(table, constraints=constraints).with_constraint(
                    replace(constraint, name=node.newname)
                )
            )


_NAMED = {
    pb.OBJECT_TYPE: "type",
    pb.OBJECT_DOMAIN: "type",
    pb.OBJECT_FUNCTION: "function",
    pb.OBJECT_PROCEDURE: "procedure",
    pb.OBJECT_SCHEMA: "schema",
}
"""What has a new name after RENAME, which no client knows yet."""
_RELATIONS = frozenset(
    {
        pb.OBJECT_TABLE,
        pb.OBJECT_VIEW,
        pb.OBJECT_MATVIEW,
        pb.OBJECT_INDEX,
        pb.OBJECT_SEQUENCE,
        pb.OBJECT_FOREIGN_TABLE,
    }
)


def _move(state: State, old: Relation, new: Relation) -> None:
    index = state.indexes.pop(old, None)
    if index is not None:
        state.put_index(replace(index, name=new))
        return
    table = state.tables.pop(old, None) or Table(old, known=False)
    state.put(replace(table, name=new))
    for one in list(state.indexes_on(old)):
        state.put_index(replace(one, table=new))
    for other in list(state.tables.values()):
        if other.parent == old:
            state.put(replace(other, parent=new))
        for key in [one for one in other.constraints.values() if one.target == old]:
            state.put(state.table(other.name).with_constraint(replace(key, target=new)))


def _rename_column(state: State, table: Table, old: str, new: str) -> None:
    column = table.column(old)
    if column is None or table.columns is None:
        return
    columns = {
        (new if name == old else name): (replace(one, name=new) if name == old else one)
        for name, one in table.columns.items()
    }
    state.put(replace(table, columns=columns))


def _set_schema(state: State, node: pb.AlterObjectSchemaStmt, file: str | None) -> None:
    if node.object_type in _RELATIONS:
        old = relation_of(state, node.relation)
        _move(state, old, Relation(node.newschema, old.name))


def _drop(state: State, node: pb.DropStmt, file: str | None) -> None:
    for item in node.objects:
        names = dropped_name(item)
        key = state.name(names[-2] if len(names) > 1 else None, names[-1]) if names else None
        if key is None:
            continue
        if node.remove_type == pb.OBJECT_SCHEMA:
            for name in [name for name in state.tables if name.schema == names[-1]]:
                del state.tables[name]
        elif node.remove_type == pb.OBJECT_INDEX:
            state.indexes.pop(key, None)
        elif node.remove_type in _RELATIONS:
            _forget(state, key)
        elif node.remove_type in (pb.OBJECT_TYPE, pb.OBJECT_DOMAIN):
            state.domains.pop(names[-1], None)
            state.enums.pop(names[-1], None)


def _forget(state: State, key: Relation) -> None:
    state.tables.pop(key, None)
    for name in [index.name for index in state.indexes_on(key)]:
        del state.indexes[name]
    for partition in list(state.partitions(key)):
        _forget(state, partition.name)


def dropped_name(item: pb.Node) -> tuple[str, ...]:
    """The parts of a name in DROP, whatever kind of object it drops."""
    kind = item.WhichOneof("node")
    if kind == "list":
        return strings(item.list.items)
    if kind == "string":
        return (item.string.sval,)
    if kind == "type_name":
        return strings(item.type_name.names)
    if kind == "object_with_args":
        return strings(item.object_with_args.objname)
    return ()


def _domain(state: State, node: pb.CreateDomainStmt, file: str | None) -> None:
    kinds = {one.constraint.contype for one in node.constraints}
    constrained = bool(kinds & {pb.CONSTR_CHECK, pb.CONSTR_NOTNULL})
    state.domains[node.domainname[-1].string.sval] = Domain(type_of(node.type_name), constrained)
    _made(state, "type", node.domainname[-1].string.sval, file)


def _alter_domain(state: State, node: pb.AlterDomainStmt, file: str | None) -> None:
    name = node.type_name[-1].string.sval
    domain = state.domains.get(name)
    if domain is not None and node.subtype in ("C", "O"):
        state.domains[name] = replace(domain, constrained=True)


def _enum(state: State, node: pb.CreateEnumStmt, file: str | None) -> None:
    state.enums[node.type_name[-1].string.sval] = file is not None
    _made(state, "type", node.type_name[-1].string.sval, file)


def _routine(state: State, node: pb.CreateFunctionStmt, file: str | None) -> None:
    options = {option.def_elem.defname: option.def_elem.arg for option in node.options}
    name = node.funcname[-1].string.sval
    language = options["language"].string.sval.lower() if "language" in options else "sql"
    body = options["as"].list.items[0].string.sval if "as" in options else ""
    volatility = options["volatility"].string.sval[:1] if "volatility" in options else "v"
    inlinable = language == "sql" and not {"set", "security"} & options.keys() and bool(body)
    state.routines[name] = Routine(name, volatility, language, body, inlinable)
    _made(state, "function", name, file)


def _made(state: State, kind: str, name: str, file: str | None) -> None:
    if file is not None:
        state.made.add((kind, name))


def _insert(state: State, node: pb.InsertStmt, file: str | None) -> None:
    _fill(state, relation_of(state, node.relation))


def _copy(state: State, node: pb.CopyStmt, file: str | None) -> None:
    if node.is_from and node.HasField("relation"):
        _fill(state, relation_of(state, node.relation))


def _fill(state: State, name: Relation) -> None:
    table = state.tables.get(name)
    if table is not None and not table.filled:
        state.put(replace(table, filled=True))


def _policy(state: State, node: pb.CreatePolicyStmt, file: str | None) -> None:
    table = state.table(relation_of(state, node.table))
    state.put(replace(table, policies=table.policies + 1))


def _set(state: State, node: pb.VariableSetStmt, file: str | None) -> None:
    if node.name == "search_path" and node.kind == pb.VAR_SET_VALUE:
        names = tuple(argument.a_const.sval.sval for argument in node.args)
        path = tuple(name for name in names if name not in ("$user", "pg_catalog", ""))
        state.search_path = path or ("public",)


_STEPS: dict[str, Callable[[State, Any, str | None], None]] = {
    "alter_domain_stmt": _alter_domain,
    "alter_object_schema_stmt": _set_schema,
    "alter_table_stmt": _alter,
    "copy_stmt": _copy,
    "create_domain_stmt": _domain,
    "create_enum_stmt": _enum,
    "create_foreign_table_stmt": _foreign,
    "create_function_stmt": _routine,
    "create_policy_stmt": _policy,
    "create_schema_stmt": lambda state, node, file: _made(state, "schema", node.schemaname, file),
    "create_stmt": create_table,
    "create_table_as_stmt": _create_as,
    "drop_stmt": _drop,
    "index_stmt": create_index,
    "insert_stmt": _insert,
    "rename_stmt": _rename,
    "variable_set_stmt": _set,
    "view_stmt": _view,
}

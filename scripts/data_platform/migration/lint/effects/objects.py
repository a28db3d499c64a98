"""What statements about whole objects do: indexes, triggers, views, partitions, maintenance."""

from __future__ import annotations

from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.advance import dropped_name
from data_platform.migration.lint.definitions import relation_of
from data_platform.migration.lint.effects.alter import lock_default, scan_default
from data_platform.migration.lint.effects.collect import Effects
from data_platform.migration.lint.locks import Mode
from data_platform.migration.lint.state import Relation, Table


def create_table(effects: Effects, node: pb.CreateStmt) -> None:
    """A new table is nobody's yet, but its parents and the targets of its keys are locked."""
    for parent in node.inh_relations:
        table = _table(effects, parent.range_var)
        partition = node.HasField("partbound")
        effects.lock(table, Mode.ACCESS_EXCLUSIVE if partition else Mode.SHARE_UPDATE_EXCLUSIVE)
        if partition:
            scan_default(effects, table, node)
    for element in node.table_elts:
        if element.HasField("constraint") and element.constraint.contype == pb.CONSTR_FOREIGN:
            effects.lock(_table(effects, element.constraint.pktable), Mode.SHARE_ROW_EXCLUSIVE)
        elif element.HasField("column_def"):
            for one in element.column_def.constraints:
                if one.constraint.contype == pb.CONSTR_FOREIGN:
                    effects.lock(_table(effects, one.constraint.pktable), Mode.SHARE_ROW_EXCLUSIVE)


def create_index(effects: Effects, node: pb.IndexStmt) -> None:
    """With writes kept out, or beside them."""
    table = _table(effects, node.relation)
    mode = Mode.SHARE_UPDATE_EXCLUSIVE if node.concurrent else Mode.SHARE
    effects.lock(table, mode)
    if node.if_not_exists and Relation(table.name.schema, node.idxname) in effects.state.indexes:
        return
    if node.concurrent:
        effects.add("index online", "create index", table, mode, node)
    elif node.relation.inh or table.kind != "partitioned":
        effects.add("index", "create index", table, Mode.SHARE, node)


def drop(effects: Effects, node: pb.DropStmt) -> None:
    """ACCESS EXCLUSIVE on what is dropped and on what it hangs on."""
    for item in node.objects:
        names = dropped_name(item)
        if node.remove_type in (pb.OBJECT_TABLE, pb.OBJECT_MATVIEW, pb.OBJECT_FOREIGN_TABLE, pb.OBJECT_VIEW):
            _drop_table(effects, effects.state.name(names[-2] if len(names) > 1 else None, names[-1]), node)
        elif node.remove_type == pb.OBJECT_INDEX:
            _drop_index(effects, effects.state.name(names[-2] if len(names) > 1 else None, names[-1]), node)
        elif node.remove_type in (pb.OBJECT_TRIGGER, pb.OBJECT_POLICY, pb.OBJECT_RULE):
            table = effects.state.name(names[-3] if len(names) > 2 else None, names[-2])
            effects.lock(effects.state.table(table), Mode.ACCESS_EXCLUSIVE)
        elif node.remove_type == pb.OBJECT_SCHEMA and node.behavior == pb.DROP_CASCADE:
            for one in effects.state.tables.values():
                if one.name.schema == names[-1]:
                    effects.lock(one, Mode.ACCESS_EXCLUSIVE)


def _drop_table(effects: Effects, name: Relation, node: pb.DropStmt) -> None:
    if node.missing_ok and effects.state.missing(name):
        return
    table = effects.state.table(name)
    effects.lock(table, Mode.ACCESS_EXCLUSIVE)
    for constraint in table.constraints.values():
        if constraint.target is not None and constraint.target != name:
            effects.lock(effects.state.table(constraint.target), Mode.ACCESS_EXCLUSIVE)
    if table.parent is not None:
        effects.lock(effects.state.table(table.parent), Mode.ACCESS_EXCLUSIVE)
        lock_default(effects, effects.state.table(table.parent))


def _drop_index(effects: Effects, name: Relation, node: pb.DropStmt) -> None:
    index = effects.state.indexes.get(name)
    if node.missing_ok and effects.state.missing(name):
        return
    table = effects.state.table(index.table) if index else Table(name, known=False)
    effects.lock(table, Mode.SHARE_UPDATE_EXCLUSIVE if node.concurrent else Mode.ACCESS_EXCLUSIVE)


def reindex(effects: Effects, node: pb.ReindexStmt) -> None:
    """The table's writes wait, and its readers that would use the index too, unless it goes on beside them."""
    online = has_option(node.params, "concurrently")
    table = _reindexed(effects, node)
    mode = Mode.SHARE_UPDATE_EXCLUSIVE if online else Mode.SHARE
    effects.lock(table, mode)
    effects.add("index online" if online else "index", "reindex", table, mode, node)


def _reindexed(effects: Effects, node: pb.ReindexStmt) -> Table:
    if node.kind == pb.REINDEX_OBJECT_INDEX:
        index = effects.state.indexes.get(relation_of(effects.state, node.relation))
        if index is not None:
            return effects.state.table(index.table)
    if node.HasField("relation"):
        return _table(effects, node.relation)
    return Table(Relation(node.name or "the database", "*"), known=False)


def cluster(effects: Effects, node: pb.ClusterStmt) -> None:
    """A sorted copy of the table."""
    table = _table(effects, node.relation) if node.HasField("relation") else _EVERYTHING
    effects.lock(table, Mode.ACCESS_EXCLUSIVE)
    effects.add(
        "rewrite", "cluster", table, Mode.ACCESS_EXCLUSIVE, node, reason="CLUSTER copies the table in order"
    )


def vacuum(effects: Effects, node: pb.VacuumStmt) -> None:
    """VACUUM FULL is a copy of the table; the others go on beside clients."""
    if not has_option(node.options, "full"):
        return
    named = [_table(effects, item.vacuum_relation.relation) for item in node.rels] or [_EVERYTHING]
    for table in named:
        effects.lock(table, Mode.ACCESS_EXCLUSIVE)
        reason = "VACUUM FULL copies the table and builds its indexes again"
        effects.add("rewrite", "vacuum full", table, Mode.ACCESS_EXCLUSIVE, node, reason=reason)


_EVERYTHING = Table(Relation("every table of the database", "*"), known=False)


def refresh(effects: Effects, node: pb.RefreshMatViewStmt) -> None:
    """The query runs under the view's lock."""
    view = _table(effects, node.relation)
    mode = Mode.EXCLUSIVE if node.concurrent else Mode.ACCESS_EXCLUSIVE
    effects.lock(view, mode)
    if not node.skip_data:
        effects.add("rewrite" if not node.concurrent else "rows", "refresh", view, mode, node)


def truncate(effects: Effects, node: pb.TruncateStmt) -> None:
    """ACCESS EXCLUSIVE on every table of the list."""
    for item in node.relations:
        effects.lock(_table(effects, item.range_var), Mode.ACCESS_EXCLUSIVE)


def lock_table(effects: Effects, node: pb.LockStmt) -> None:
    """LOCK TABLE in its mode; the numbers are the server's."""
    for item in node.relations:
        effects.lock(_table(effects, item.range_var), Mode(node.mode))


def rename(effects: Effects, node: pb.RenameStmt) -> None:
    """Names change under ACCESS EXCLUSIVE, those of indexes under less."""
    if node.HasField("relation") and node.rename_type != pb.OBJECT_INDEX:
        effects.lock(_table(effects, node.relation), Mode.ACCESS_EXCLUSIVE)


def set_schema(effects: Effects, node: pb.AlterObjectSchemaStmt) -> None:
    """The move of a table takes ACCESS EXCLUSIVE."""
    if node.HasField("relation"):
        effects.lock(_table(effects, node.relation), Mode.ACCESS_EXCLUSIVE)


def comment(effects: Effects, node: pb.CommentStmt) -> None:
    """Comments on tables and columns wait for other schema changes."""
    if node.objtype in (
        pb.OBJECT_TABLE,
        pb.OBJECT_COLUMN,
        pb.OBJECT_VIEW,
        pb.OBJECT_MATVIEW,
    ):
        names = dropped_name(node.object)
        names = names if node.objtype in (pb.OBJECT_TABLE, pb.OBJECT_VIEW, pb.OBJECT_MATVIEW) else names[:-1]
        if names:
            name = effects.state.name(names[-2] if len(names) > 1 else None, names[-1])
            effects.lock(effects.state.table(name), Mode.SHARE_UPDATE_EXCLUSIVE)


def view(effects: Effects, node: pb.ViewStmt) -> None:
    """CREATE OR REPLACE of a view that is there."""
    name = relation_of(effects.state, node.view)
    if node.replace and name in effects.state.tables:
        effects.lock(effects.state.table(name), Mode.ACCESS_EXCLUSIVE)


def trigger(effects: Effects, node: pb.CreateTrigStmt) -> None:
    """Writes wait while a trigger is made."""
    effects.lock(_table(effects, node.relation), Mode.SHARE_ROW_EXCLUSIVE)


def exclusive(effects: Effects, node: Any) -> None:
    """Policies and rules: ACCESS EXCLUSIVE on their table."""
    effects.lock(
        _table(effects, node.table if hasattr(node, "table") else node.relation), Mode.ACCESS_EXCLUSIVE
    )


def statistics(effects: Effects, node: pb.CreateStatsStmt) -> None:
    """Extended statistics disturb no client."""
    for item in node.relations:
        effects.lock(_table(effects, item.range_var), Mode.SHARE_UPDATE_EXCLUSIVE)


def domain(effects: Effects, node: pb.AlterDomainStmt) -> None:
    """A new constraint of a domain is checked in every table that has a column of it, while writes wait."""
    name = node.type_name[-1].string.sval
    constraint = getattr(node, "def").constraint if node.subtype in ("C", "O") else None
    if node.subtype not in ("C", "O", "V") or (constraint is not None and constraint.skip_validation):
        return
    for table in effects.state.tables.values():
        if any(column.type.name == name for column in (table.columns or {}).values()):
            effects.lock(table, Mode.SHARE)
            effects.add("verify", "domain check", table, Mode.SHARE, node)


def has_option(options: Any, name: str) -> bool:
    """Whether `(name)` is among the options, and not switched off."""
    for item in options:
        option = item.def_elem
        if option.defname == name:
            return not option.HasField("arg") or option.arg.string.sval.lower() not in ("false", "off", "0")
    return False


def _table(effects: Effects, node: pb.RangeVar) -> Table:
    return effects.state.table(relation_of(effects.state, node))

"""Rules about indexes: built, dropped and rebuilt beside clients, and what CONCURRENTLY needs for that."""

from __future__ import annotations

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint import remedy
from data_platform.migration.lint.advance import dropped_name
from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.definitions import relation_of
from data_platform.migration.lint.effects import Work
from data_platform.migration.lint.effects.objects import has_option
from data_platform.migration.lint.rules.rule import Context, Hit, on, rule, shown

CONCURRENT_REINDEX_SINCE = 12


@rule(
    "index-not-concurrent",
    "error",
    "Without CONCURRENTLY an index is built while writes wait, and dropped while everybody waits.",
    "index_stmt",
    "drop_stmt",
    "reindex_stmt",
)
def not_concurrent(context: Context) -> Iterator[Hit]:
    """CREATE INDEX, DROP INDEX and REINDEX that keep clients out."""
    for work in context.work("index", "create index", "reindex"):
        if context.kind == "index_stmt":
            yield _created(context, work)
        else:
            yield _rebuilt(context, work)
    if (
        context.kind == "drop_stmt"
        and context.node.remove_type == pb.OBJECT_INDEX
        and not context.node.concurrent
    ):
        yield from _dropped(context)


def _created(context: Context, work: Work) -> Hit:
    message = f"the index is built under SHARE on {shown(work.table)}: writes wait until it is done"
    if context.state.table(work.table).kind == "partitioned":
        advice = (
            "a partitioned table takes no CONCURRENTLY: create it ON ONLY the parent, then CONCURRENTLY on each"
            " partition, and attach each with ALTER INDEX … ATTACH PARTITION"
        )
        return on(work, message, advice=advice)
    return on(work, message, (remedy.concurrent_index(context.node),), fits=True, advice=_OUTSIDE)


_OUTSIDE = "CONCURRENTLY runs outside a transaction"


def _rebuilt(context: Context, work: Work) -> Hit:
    message = f"the rebuild holds SHARE on {shown(work.table)} and ACCESS EXCLUSIVE on the index: writes wait"
    if context.version < CONCURRENT_REINDEX_SINCE:
        return on(work, message, advice="create a second index CONCURRENTLY, drop the old one, rename")
    if context.node.kind == pb.REINDEX_OBJECT_SYSTEM:
        return on(work, message, advice="system catalogs cannot be rebuilt CONCURRENTLY")
    node = pb.ReindexStmt()
    node.CopyFrom(context.node)
    node.params.add().def_elem.defname = "concurrently"
    return on(work, message, (remedy.printed("reindex_stmt", node),), fits=True, advice=_OUTSIDE)


def _dropped(context: Context) -> Iterator[Hit]:
    for lock in context.effects.locks:
        index = dropped_name(context.node.objects[0])[-1]
        known = context.state.table(lock.table).known and lock.table in context.state.tables
        on_table = f"on {shown(lock.table)}" if known else "on its table"
        message = f"dropping {index} takes ACCESS EXCLUSIVE {on_table}: it waits for every query, and all wait for it"
        node = pb.DropStmt()
        node.CopyFrom(context.node)
        node.concurrent = True
        one = len(context.node.objects) == 1 and context.node.behavior != pb.DROP_CASCADE
        safe = (remedy.printed("drop_stmt", node),) if one else ()
        suffix = "" if known else "; which table that is, no schema given here says"
        yield Hit(message + suffix, index, safe, _OUTSIDE, fits=bool(safe), certain=known)
        return


@rule(
    "concurrently-in-transaction",
    "error",
    "What commits in between cannot run in a transaction: the server refuses it (25001).",
    "index_stmt",
    "drop_stmt",
    "reindex_stmt",
    "alter_table_stmt",
    "vacuum_stmt",
    "createdb_stmt",
    "dropdb_stmt",
    "alter_system_stmt",
    "create_table_space_stmt",
    "drop_table_space_stmt",
    "cluster_stmt",
    "alter_enum_stmt",
    commands=(pb.AT_DetachPartition,),
)
def in_transaction(context: Context) -> Iterator[Hit]:
    """CONCURRENTLY, VACUUM and their like where a transaction is open."""
    if not context.in_transaction:
        return
    what = _refused(context)
    if what:
        message = f"{what} cannot run in a transaction, and a transaction is open here"
        advice = "run it outside: in a file of its own without BEGIN, or by the way that the migration tool has for it"
        yield Hit(message, advice=advice)


def _refused(context: Context) -> str:
    kind, node = context.kind, context.node
    if kind == "index_stmt":
        return "CREATE INDEX CONCURRENTLY" if node.concurrent else ""
    if kind == "drop_stmt":
        return "DROP INDEX CONCURRENTLY" if node.concurrent else ""
    if kind == "reindex_stmt":
        if has_option(node.params, "concurrently"):
            return "REINDEX CONCURRENTLY"
        whole = (pb.REINDEX_OBJECT_SCHEMA, pb.REINDEX_OBJECT_SYSTEM, pb.REINDEX_OBJECT_DATABASE)
        return "REINDEX of a whole schema or database" if node.kind in whole else ""
    if kind == "alter_table_stmt":
        commands = (item.alter_table_cmd for item in node.cmds)
        detached = any(
            command.subtype == pb.AT_DetachPartition and definition(command).partition_cmd.concurrent
            for command in commands
        )
        return "DETACH PARTITION CONCURRENTLY" if detached else ""
    if kind == "vacuum_stmt":
        return "VACUUM" if node.is_vacuumcmd else ""
    if kind == "cluster_stmt":
        return "" if node.HasField("relation") else "CLUSTER of every table"
    if kind == "alter_enum_stmt":
        old = context.version < _ENUM_IN_TRANSACTION_SINCE and bool(node.new_val) and not node.old_val
        return "ALTER TYPE … ADD VALUE before PostgreSQL 12" if old else ""
    return _WHOLE.get(kind, "")


_ENUM_IN_TRANSACTION_SINCE = 12
_WHOLE = {
    "createdb_stmt": "CREATE DATABASE",
    "dropdb_stmt": "DROP DATABASE",
    "alter_system_stmt": "ALTER SYSTEM",
    "create_table_space_stmt": "CREATE TABLESPACE",
    "drop_table_space_stmt": "DROP TABLESPACE",
}


@rule(
    "concurrently-on-partitioned",
    "error",
    "A partitioned table's indexes are not built or dropped CONCURRENTLY: the server refuses it.",
    "index_stmt",
)
def on_partitioned(context: Context) -> Iterator[Hit]:
    """CREATE INDEX CONCURRENTLY on a partitioned table."""
    table = context.table
    if context.node.concurrent and table.kind == "partitioned":
        advice = "create it ON ONLY the parent, CONCURRENTLY on each partition, and attach each to the parent's index"
        yield Hit(
            f"{shown(table.name)} is partitioned: the server refuses this", str(table.name), advice=advice
        )


@rule(
    "invalid-index-left",
    "warning",
    "A CREATE INDEX CONCURRENTLY that failed leaves an index that is not used; IF NOT EXISTS then passes it by.",
    "index_stmt",
)
def invalid_left(context: Context) -> Iterator[Hit]:
    """IF NOT EXISTS on an index that is built CONCURRENTLY."""
    if not (context.node.concurrent and context.node.if_not_exists and context.node.idxname):
        return
    table = relation_of(context.state, context.node.relation)
    index = remedy.name(table._replace(name=context.node.idxname))
    message = f"a run after a failed one finds {context.node.idxname} there, invalid, and leaves it so"
    node = pb.IndexStmt()
    node.CopyFrom(context.node)
    node.if_not_exists = False
    safe = (f"DROP INDEX CONCURRENTLY IF EXISTS {index}", remedy.concurrent_index(node))
    yield Hit(message, str(table), safe)

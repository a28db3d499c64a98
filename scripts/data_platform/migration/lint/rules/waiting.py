"""Rules about how long a transaction keeps clients out, and what stands in line behind its locks."""

from __future__ import annotations

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint import remedy
from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.effects import Work
from data_platform.migration.lint.locks import Mode
from data_platform.migration.lint.rules.rule import ASSUMED, Context, Hit, on, rule, shown
from data_platform.migration.lint.state import Relation
from data_platform.report.finding import Severity

_SPLIT = "COMMIT before it: each blocking lock in a transaction of its own, last in it"


@rule(
    "access-exclusive-long",
    "error",
    "While a strong lock is held every client waits, and whoever waits makes those behind it wait too.",
    "alter_table_stmt",
    "cluster_stmt",
    "copy_stmt",
    "create_table_as_stmt",
    "delete_stmt",
    "index_stmt",
    "insert_stmt",
    "merge_stmt",
    "refresh_mat_view_stmt",
    "reindex_stmt",
    "select_stmt",
    "update_stmt",
    "vacuum_stmt",
    "create_stmt",
    "alter_domain_stmt",
)
def access_exclusive_long(context: Context) -> Iterator[Hit]:
    """Work that grows with the rows while a strong lock is held, by this statement or by an earlier one."""
    yield from _own(context)
    yield from _since_before(context)
    if context.kind == "alter_table_stmt":
        yield from _detached(context)


def _own(context: Context) -> Iterator[Hit]:
    seen: set[Relation] = set()
    for work in context.effects.work:
        least = Mode.SHARE if work.cause == "validate" else Mode.ACCESS_EXCLUSIVE
        if work.mode < least or work.table in seen:
            continue
        seen.add(work.table)
        alone = work.cause in ("refresh", "attach", "default partition", "validate")
        message = f"{work.mode} on {shown(work.table)} lasts as long as {_TAKES[work.kind]}: {work.mode.blocks} wait"
        safe = _form(context, work)
        yield on(work, message, safe, fits=bool(safe) and work.certain, severity=None if alone else "warning")


_TAKES = {
    "rewrite": "it takes to write every row",
    "verify": "it takes to look at every row",
    "validate": "it takes to look up every row",
    "index": "it takes to build the index",
}


def _form(context: Context, work: Work) -> tuple[str, ...]:
    if work.cause != "refresh":
        return ()
    unique = any(index.unique and not index.partial for index in context.state.indexes_on(work.table))
    if not unique and context.state.table(work.table).known:
        return ()
    node = pb.RefreshMatViewStmt()
    node.CopyFrom(context.node)
    node.concurrent = True
    return (remedy.printed("refresh_mat_view_stmt", node),)


def _since_before(context: Context) -> Iterator[Hit]:
    """Work of this statement that keeps earlier statements' locks waiting; told once a transaction."""
    held = [(table, lock) for table, lock in context.session.held.items() if lock.mode > Mode.SHARE]
    if not held or not context.effects.work:
        return
    slow = [work for work in context.effects.work if not (work.kind == "rows" and work.cause == "few")]
    work = (slow or context.effects.work)[0]
    table, lock = max(held, key=lambda one: one[1].mode)
    others = f" (and locks on {len(held) - 1} more tables)" if len(held) > 1 else ""
    message = (
        f"{lock.mode} on {shown(table)}, taken in line {lock.line}{others}, is kept while"
        f" {_DOES[work.kind].format(shown(work.table))}: {lock.mode.blocks} wait"
    )
    known = work.known and context.state.table(table).known
    yield Hit(
        message + ("" if known else ASSUMED),
        str(table),
        advice=_SPLIT,
        certain=known and work.certain,
        severity=None if slow else "info",
        once=f"transaction {context.statement.transaction}",
    )


_DOES = {
    "rewrite": "{} is written anew",
    "verify": "the rows of {} are looked at",
    "validate": "the rows of {} are looked up",
    "index": "an index of {} is built",
    "index online": "an index of {} is built",
    "rows": "rows of {} are changed",
    "read": "rows of {} are read",
}


def _detached(context: Context) -> Iterator[Hit]:
    for item in context.node.cmds:
        command = item.alter_table_cmd
        if command.subtype != pb.AT_DetachPartition or definition(command).partition_cmd.concurrent:
            continue
        table = context.table
        if context.effects.quiet(table):
            return
        message = (
            f"DETACH PARTITION takes ACCESS EXCLUSIVE on all of {shown(table.name)}: it waits for every query"
        )
        safe = remedy.one_command(context.node, command)
        fits = context.version >= _CONCURRENT_DETACH_SINCE
        concurrent = (safe + " CONCURRENTLY",) if fits else ()
        yield Hit(message, str(table.name), concurrent, fits=fits, certain=table.known, severity="warning")


_CONCURRENT_DETACH_SINCE = 14


@rule(
    "multiple-access-exclusive",
    "warning",
    "Locks are kept to the end of the transaction: the first table waits for the second one's queries too, and clients"
    " that take the tables in the other order deadlock.",
    "alter_table_stmt",
    "drop_stmt",
    "truncate_stmt",
    "rename_stmt",
    "lock_stmt",
    "create_stmt",
    "create_policy_stmt",
    "rule_stmt",
    "alter_object_schema_stmt",
    "refresh_mat_view_stmt",
    needs="locks",
)
def several_locked(context: Context) -> Iterator[Hit]:
    """A second table under ACCESS EXCLUSIVE in one transaction."""
    before = {name: held for name, held in context.session.held.items() if held.mode == Mode.ACCESS_EXCLUSIVE}
    if not before:
        return
    families = {_family(context, name) for name in before}
    for lock in context.effects.locks:
        if lock.mode == Mode.ACCESS_EXCLUSIVE and _family(context, lock.table) not in families:
            first, held = next(iter(before.items()))
            message = f"{shown(lock.table)} is locked ACCESS EXCLUSIVE, and so is {shown(first)} since line {held.line}"
            known = context.state.table(lock.table).known
            once = f"transaction {context.statement.transaction}"
            yield Hit(message, str(lock.table), advice=_SPLIT, certain=known, once=once)
            return


def _family(context: Context, name: Relation) -> Relation:
    """A partition belongs to its parent: one lock of a tree counts once."""
    table = context.state.table(name)
    for _ in range(8):
        if table.parent is None:
            break
        table = context.state.table(table.parent)
    return table.name


@rule(
    "missing-lock-timeout",
    "warning",
    "A statement that waits for a lock makes every later client wait behind it, for as long as one old query runs.",
    "alter_table_stmt",
    "alter_object_schema_stmt",
    "alter_policy_stmt",
    "cluster_stmt",
    "comment_stmt",
    "create_policy_stmt",
    "create_stats_stmt",
    "create_stmt",
    "create_trig_stmt",
    "drop_stmt",
    "index_stmt",
    "lock_stmt",
    "refresh_mat_view_stmt",
    "reindex_stmt",
    "rename_stmt",
    "rule_stmt",
    "truncate_stmt",
    "vacuum_stmt",
    "view_stmt",
    needs="locks",
)
def no_lock_timeout(context: Context) -> Iterator[Hit]:
    """A blocking lock that is waited for without end."""
    if context.session.lock_timeout or not context.effects.locks:
        return
    lock = max(context.effects.locks, key=lambda one: one.mode)
    if lock.mode < Mode.SHARE and not _instant(context):
        return
    if lock.mode < Mode.SHARE_UPDATE_EXCLUSIVE:
        return
    blocking = lock.mode >= Mode.SHARE
    behind = "whatever comes after it waits too" if blocking else "the migration hangs, though no client does"
    message = f"{lock.mode} on {shown(lock.table)} is waited for without a lock_timeout: {behind}"
    setting = "SET LOCAL" if context.in_transaction else "SET"
    certain = context.state.table(lock.table).known
    severity: Severity | None = None if blocking else "info"
    safe = (f"{setting} lock_timeout = '400ms'",)
    advice = "and retry when it runs out"
    yield Hit(message, str(lock.table), safe, advice, certain=certain, severity=severity, once="file")


def _instant(context: Context) -> bool:
    """Whether the statement would be over at once if nobody stood in its way; long ones that block nobody may wait."""
    return not any(work.kind in ("index online", "verify", "validate") for work in context.effects.work) and (
        context.kind not in ("index_stmt", "reindex_stmt", "drop_stmt")
    )

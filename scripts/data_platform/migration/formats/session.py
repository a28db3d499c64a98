"""What is sent to the server for a unit: its statements, and how long they may wait and run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from postgast import pg_query_pb2 as pb

from data_platform.migration.formats.context import Patience
from data_platform.migration.lint.alter import definition
from data_platform.migration.lint.effects.objects import has_option
from data_platform.sql.text import NotSql, Sql, body, literal, parse, tokens_of

_SHORT = (
    *("alter_table_stmt", "alter_seq_stmt", "alter_domain_stmt", "alter_enum_stmt", "alter_owner_stmt"),
    *("alter_policy_stmt", "alter_object_schema_stmt", "alter_default_privileges_stmt", "comment_stmt"),
    *("composite_type_stmt", "create_domain_stmt", "create_enum_stmt", "create_extension_stmt"),
    *("create_function_stmt", "create_policy_stmt", "create_schema_stmt", "create_seq_stmt", "create_stmt"),
    *("create_trig_stmt", "drop_stmt", "grant_stmt", "grant_role_stmt", "lock_stmt", "rename_stmt"),
    *("rule_stmt", "view_stmt"),
)
"""Statements that touch the catalog only, but for the ALTER TABLE commands below."""
_SCANS = (pb.AT_ValidateConstraint, pb.AT_AttachPartition)
_ALONE = ("vacuum_stmt", "call_stmt", "createdb_stmt", "dropdb_stmt", "alter_system_stmt")
_FREE = (Sql("SET lock_timeout = 0"), Sql("SET statement_timeout = 0"))


def sent(
    statements: Sequence[Sql], patience: Patience, *, transaction: bool, blocks: bool = False
) -> list[Sql]:
    """The statements with what sets their limits; outside a transaction those are set back in the end."""
    if not statements:
        return []
    if transaction:
        endless = blocks or not all(map(is_short, statements))
        return [*_limits(patience, endless, "SET LOCAL"), *statements]
    return [
        *_each_by_itself(statements, patience, blocks),
        Sql("RESET lock_timeout"),
        Sql("RESET statement_timeout"),
    ]


def _each_by_itself(statements: Sequence[Sql], patience: Patience, blocks: bool) -> Iterator[Sql]:
    """CONCURRENTLY waits for older transactions, keeps nobody waiting, and is half done where it stops: no limits."""
    current: tuple[Sql, ...] = ()
    for statement in statements:
        limits = (
            _FREE if stands_alone(statement) else _limits(patience, blocks or not is_short(statement), "SET")
        )
        yield from (limit for limit in limits if limit not in current)
        yield statement
        current = limits


def _limits(patience: Patience, endless: bool, how: str) -> tuple[Sql, Sql]:
    longest = Sql("0") if endless else literal(patience.statement_timeout)
    return (
        Sql(f"{how} lock_timeout = {literal(patience.lock_timeout)}"),
        Sql(f"{how} statement_timeout = {longest}"),
    )


def refusal(reason: str) -> Sql:
    """A statement that fails and says why: what takes back a step that cannot be taken back."""
    return Sql(f"DO {body(f'BEGIN RAISE EXCEPTION USING MESSAGE = {literal(reason)}; END')}")


@lru_cache(maxsize=1024)
def is_short(statement: str) -> bool:
    """Whether it takes no longer on a big table than on a small one, as far as its kind says."""
    node = _node(statement)
    if node is None or node.WhichOneof("node") not in _SHORT:
        return False
    return not any(item.alter_table_cmd.subtype in _SCANS for item in node.alter_table_stmt.cmds)


@lru_cache(maxsize=1024)
def stands_alone(statement: str) -> bool:
    """Whether the server refuses it in a transaction, or it commits by itself."""
    node = _node(statement)
    kind = node.WhichOneof("node") if node is not None else None
    if node is None or kind in _ALONE:
        return node is not None
    if kind in ("index_stmt", "drop_stmt"):
        return bool(getattr(node, kind).concurrent)
    if kind == "reindex_stmt":
        return has_option(node.reindex_stmt.params, "concurrently")
    if kind == "alter_table_stmt":
        return any(_detaches(item.alter_table_cmd) for item in node.alter_table_stmt.cmds)
    return kind == "do_stmt" and any(_commits(item.def_elem.arg.string.sval) for item in node.do_stmt.args)


def _detaches(command: pb.AlterTableCmd) -> bool:
    return command.subtype == pb.AT_DetachPartition and bool(definition(command).partition_cmd.concurrent)


def _commits(code: str) -> bool:
    """Whether a DO block has COMMIT or ROLLBACK in it, as far as words can tell."""
    try:
        raw, tokens = tokens_of(code)
    except NotSql:
        return True
    return any(raw[token.start : token.end].lower() in (b"commit", b"rollback") for token in tokens)


def _node(statement: str) -> pb.Node | None:
    """The tree of one statement; None where it is nested too deeply for us, which DDL is not."""
    try:
        trees = parse(statement).stmts
    except NotSql:
        return None
    return trees[0].stmt if len(trees) == 1 else None

"""What becomes of one statement of a file: decided by its parse tree, without a server.

Whatever is not named here runs as the scratch owner, who may do nothing beyond the database but make roles; so a kind
of statement that we forgot is at worst refused by PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from postgast import pg_query_pb2 as pb


class Way(Enum):
    """How a statement is treated."""

    RUN = auto()
    """As the scratch owner; in the admin session only when that fails and the allow-list has it."""
    PRIVILEGED = auto()
    """In the admin session at once: PostgreSQL never lets anybody else."""
    ROWS = auto()
    """Left out unless rows are wanted."""
    SKIP = auto()
    """Left out and noted."""
    NOTHING = auto()
    """Left out: it has no meaning statement by statement, or is done elsewhere."""
    REFUSE = auto()
    """The file cannot be loaded."""
    SETTING = auto()
    EXTENSION = auto()
    ROLE = auto()
    COMMIT = auto()


@dataclass(frozen=True)
class Decision:
    """The way, and the reason to show where there is one."""

    way: Way
    why: str = ""


_WHOLE_CLUSTER = "it concerns the whole cluster, not this database"
_MAINTENANCE = "maintenance changes no schema"

_SKIPPED = {
    **dict.fromkeys(
        (
            *("createdb_stmt", "dropdb_stmt", "alter_database_stmt", "alter_database_set_stmt"),
            *("alter_database_refresh_coll_stmt", "alter_system_stmt", "create_table_space_stmt"),
            *("drop_table_space_stmt", "alter_table_space_options_stmt", "alter_table_move_all_stmt"),
            *("drop_role_stmt", "alter_role_set_stmt"),
        ),
        _WHOLE_CLUSTER,
    ),
    **dict.fromkeys(("vacuum_stmt", "check_point_stmt", "reindex_stmt"), _MAINTENANCE),
    "load_stmt": "no library of a file's choice is loaded",
    "sec_label_stmt": "its provider is a library that is not here",
    "create_subscription_stmt": "it would connect to another server, and holds a password",
    "alter_subscription_stmt": "subscriptions are left out",
    "drop_subscription_stmt": "subscriptions are left out",
    "import_foreign_schema_stmt": "it would connect to another server",
}
_ROWS = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "truncate_stmt")
_PRIVILEGED = (
    *(
        "create_event_trig_stmt",
        "alter_event_trig_stmt",
        "create_fdw_stmt",
        "alter_fdw_stmt",
        "create_foreign_server_stmt",
    ),
    *("create_op_class_stmt", "create_op_family_stmt", "alter_op_family_stmt"),
)
_ONE_BY_ONE = "statements are loaded one by one, so there is nothing to roll back to"
_ROW_FUNCTIONS = frozenset(
    {"setval", "nextval", "lo_create", "lowrite", "lo_open", "lo_close", "lo_unlink", "lo_from_bytea"}
    | {"pg_restore_relation_stats", "pg_restore_attribute_stats", "pg_clear_relation_stats"}
)
_NO_OWNER = {
    pb.OBJECT_DATABASE: _WHOLE_CLUSTER,
    pb.OBJECT_TABLESPACE: _WHOLE_CLUSTER,
    pb.OBJECT_EVENT_TRIGGER: "only superusers own event triggers, and no role of a file is one",
    pb.OBJECT_FDW: "only superusers own foreign-data wrappers, and no role of a file is one",
    pb.OBJECT_SUBSCRIPTION: "subscriptions are left out",
    pb.OBJECT_LARGEOBJECT: "large objects are rows",
}
_NO_GRANT = {
    pb.OBJECT_DATABASE: _WHOLE_CLUSTER,
    pb.OBJECT_TABLESPACE: _WHOLE_CLUSTER,
    pb.OBJECT_PARAMETER_ACL: _WHOLE_CLUSTER,
    pb.OBJECT_LARGEOBJECT: "large objects are rows",
}
_NO_COMMENT = {
    pb.OBJECT_DATABASE: _WHOLE_CLUSTER,
    pb.OBJECT_TABLESPACE: _WHOLE_CLUSTER,
    pb.OBJECT_SUBSCRIPTION: "subscriptions are left out",
    pb.OBJECT_LARGEOBJECT: "large objects are rows",
}
_COMMENT_PRIVILEGED = (
    *(pb.OBJECT_EXTENSION, pb.OBJECT_EVENT_TRIGGER, pb.OBJECT_FDW, pb.OBJECT_LANGUAGE),
    *(pb.OBJECT_ROLE, pb.OBJECT_ACCESS_METHOD),
)


def kind_of(node: pb.Node) -> str:
    """The kind of a statement, such as "create_stmt"."""
    return str(node.WhichOneof("node"))


def decide(node: pb.Node) -> Decision:
    """What to do with a statement when rows are left out."""
    kind = kind_of(node)
    if kind in _SKIPPED:
        return Decision(Way.SKIP, _SKIPPED[kind])
    if kind in _ROWS:
        return Decision(Way.ROWS)
    if kind in _PRIVILEGED:
        return Decision(Way.PRIVILEGED)
    special = _SPECIAL.get(kind)
    return special(getattr(node, kind)) if special else Decision(Way.RUN)


def _transaction(stmt: Any) -> Decision:
    if stmt.kind in (pb.TRANS_STMT_ROLLBACK, pb.TRANS_STMT_ROLLBACK_TO, pb.TRANS_STMT_ROLLBACK_PREPARED):
        return Decision(Way.REFUSE, f"ROLLBACK: {_ONE_BY_ONE}")
    return Decision(Way.COMMIT if stmt.kind == pb.TRANS_STMT_COMMIT else Way.NOTHING)


def _owner(stmt: Any) -> Decision:
    if stmt.object_type in _NO_OWNER:
        return Decision(Way.SKIP, _NO_OWNER[stmt.object_type])
    named = stmt.newowner.roletype == pb.ROLESPEC_CSTRING
    return Decision(Way.PRIVILEGED if named else Way.RUN)


def _alter_table(stmt: Any) -> Decision:
    return Decision(Way.PRIVILEGED if new_owner(stmt) else Way.RUN)


def new_owner(stmt: Any) -> str:
    """The role of ALTER TABLE … OWNER TO role, when the statement does nothing else; or ""."""
    commands = [command.alter_table_cmd for command in stmt.cmds]
    if [command.subtype for command in commands] != [pb.AT_ChangeOwner]:
        return ""
    role = commands[0].newowner
    return str(role.rolename) if role.roletype == pb.ROLESPEC_CSTRING else ""


def _comment(stmt: Any) -> Decision:
    if stmt.objtype in _NO_COMMENT:
        return Decision(Way.SKIP, _NO_COMMENT[stmt.objtype])
    return Decision(Way.PRIVILEGED if stmt.objtype in _COMMENT_PRIVILEGED else Way.RUN)


def _grant(stmt: Any) -> Decision:
    why = _NO_GRANT.get(stmt.objtype)
    return Decision(Way.SKIP, why) if why else Decision(Way.RUN)


def _select(stmt: Any) -> Decision:
    """A SELECT of nothing but setval() and the like is about rows; any other may call what makes tables."""
    targets = [target.res_target.val for target in stmt.target_list]
    calls = [target.func_call.funcname[-1].string.sval for target in targets if target.HasField("func_call")]
    rows = len(calls) == len(targets) > 0 and _ROW_FUNCTIONS.issuperset(calls) and not stmt.from_clause
    restores = [item.range_function for item in stmt.from_clause if item.HasField("range_function")]
    return Decision(Way.ROWS if rows or _restores_statistics(restores) else Way.RUN)


def _restores_statistics(functions: list[Any]) -> bool:
    names = [
        item.list.items[0].func_call.funcname[-1].string.sval
        for function in functions
        for item in function.functions
        if item.list.items[0].HasField("func_call")
    ]
    return bool(names) and _ROW_FUNCTIONS.issuperset(names)


def _copy(stmt: Any) -> Decision:
    if stmt.is_program or stmt.filename:
        return Decision(Way.SKIP, "files and programs are out of reach")
    return Decision(Way.ROWS)


def _alter_extension(_stmt: Any) -> Decision:
    return Decision(Way.SKIP, "extensions stay as the server's own files make them")


_SPECIAL: dict[str, Callable[[Any], Decision]] = {
    "transaction_stmt": _transaction,
    "alter_owner_stmt": _owner,
    "alter_table_stmt": _alter_table,
    "comment_stmt": _comment,
    "grant_stmt": _grant,
    "select_stmt": _select,
    "copy_stmt": _copy,
    "alter_extension_stmt": _alter_extension,
    "alter_extension_contents_stmt": _alter_extension,
    "variable_set_stmt": lambda _stmt: Decision(Way.SETTING),
    "create_extension_stmt": lambda _stmt: Decision(Way.EXTENSION),
    **dict.fromkeys(
        ("create_role_stmt", "alter_role_stmt", "grant_role_stmt"), lambda _stmt: Decision(Way.ROLE)
    ),
    **dict.fromkeys(("lock_stmt", "constraints_set_stmt"), lambda _stmt: Decision(Way.NOTHING)),
}

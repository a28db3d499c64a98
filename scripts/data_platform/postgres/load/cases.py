"""One statement of a file, and what an error of the server means for it: what decides on the next step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg
from postgast import pg_query_pb2 as pb

from data_platform.postgres.load.decide import kind_of
from data_platform.sql.script import Piece

INSUFFICIENT_PRIVILEGE = "42501"
DUPLICATE_SCHEMA = "42P06"
DUPLICATE_OBJECT = "42710"
UNDEFINED_OBJECT = "42704"

_MISSING = re.compile(
    r'(collation) "(.+)" for encoding "UTF8" does not exist\Z|'
    r'(role|tablespace|extension) "(.+)" (?:does not exist|is not available)\Z'
    r'|permission denied to create (extension) "(.+)"\Z'
    r"|permission denied for (tablespace) (.+)\Z"
)
"""In the server's English, as the embedded one talks. A file can say it too (RAISE), and gets a harmless role.

A tablespace that nobody may use yet is one that another load in the cluster is making.
"""

NAME_ROLES = (
    *("grant_stmt", "create_policy_stmt", "alter_policy_stmt", "alter_default_privileges_stmt"),
    *("create_schema_stmt", "create_user_mapping_stmt", "reassign_owned_stmt", "drop_owned_stmt"),
    "alter_owner_stmt",
)
FOR_SUPERUSERS = (
    *("create_function_stmt", "alter_function_stmt", "define_stmt", "create_cast_stmt", "create_plang_stmt"),
    *("create_am_stmt", "create_transform_stmt", "create_publication_stmt", "alter_publication_stmt"),
    *("comment_stmt", "grant_stmt", "drop_stmt", "alter_object_schema_stmt", "alter_type_stmt"),
    "alter_default_privileges_stmt",
)
SAY_MORE = ("comment_stmt", "grant_stmt", "alter_owner_stmt", "rename_stmt", "alter_object_schema_stmt")
"""What is said of an object that may have been left out."""
MAKE = {
    "create_function_stmt": "function",
    "define_stmt": "definition",
    "create_cast_stmt": "cast",
    "create_plang_stmt": "procedural language",
    "create_am_stmt": "access method",
    "create_transform_stmt": "transform",
    "create_conversion_stmt": "conversion",
    "create_op_class_stmt": "operator class",
    "create_op_family_stmt": "operator family",
    "alter_op_family_stmt": "operator family",
    "create_fdw_stmt": "foreign data wrapper",
    "create_foreign_server_stmt": "server",
    "create_event_trig_stmt": "event trigger",
    "create_publication_stmt": "publication",
    "sec_label_stmt": "security label",
}
"""What a database lacks when such a statement is left out."""
KEEP_SEARCH_PATH = (
    *("create_stmt", "index_stmt", "alter_table_stmt", "comment_stmt", "view_stmt", "create_seq_stmt"),
    *("alter_seq_stmt", "create_function_stmt", "create_trig_stmt", "create_enum_stmt", "create_domain_stmt"),
    *("create_policy_stmt", "composite_type_stmt", "create_stats_stmt", "rule_stmt"),
)
_CALL_NOTHING = frozenset({*KEEP_SEARCH_PATH, "grant_stmt"}) - {"alter_table_stmt"}
BEFORE_OWNERS = frozenset(KEEP_SEARCH_PATH) - {"alter_seq_stmt"}
"""Statements for which it makes no difference who owns what another one has just made."""


@dataclass(frozen=True)
class Statement:
    """One statement of a file with its parse tree, which is empty for one too deep to be read."""

    file: str
    piece: Piece
    node: pb.Node

    @property
    def kind(self) -> str:
        """The kind of its tree."""
        return kind_of(self.node)


def said(error: psycopg.Error) -> str:
    """The server's message."""
    return error.diag.message_primary or str(error).strip()


def missing(error: psycopg.Error) -> tuple[str, str] | None:
    """What an error says is not there: its kind (role, tablespace, extension, collation) and its name."""
    found = _MISSING.match(said(error))
    if found is None:
        return None
    kind, name = (group for group in found.groups() if group is not None)
    return kind, name


def needs_its_own_transaction(node: pb.Node) -> bool:
    """Whether a statement cannot share a transaction, may end it, or has its effect only after one."""
    kind = kind_of(node)
    concurrent: Any = kind in ("index_stmt", "drop_stmt") and getattr(node, kind).concurrent
    return bool(concurrent) or kind in ("alter_enum_stmt", "do_stmt", "call_stmt")


def may_call(statement: Statement) -> bool:
    """Whether it may call functions, which may change any setting of the session."""
    bounds = statement.kind == "create_stmt" and statement.node.create_stmt.HasField("partbound")
    return bounds or statement.kind not in _CALL_NOTHING


def only_drops(statement: Statement) -> bool:
    """What a dump with --clean begins with: in an empty database there is nothing of it."""
    dropping = (pb.AT_DropConstraint, pb.AT_DropIdentity, pb.AT_ColumnDefault, pb.AT_DropNotNull)
    commands = statement.node.alter_table_stmt.cmds if statement.kind == "alter_table_stmt" else []
    alters = commands and all(
        command.alter_table_cmd.subtype in dropping and not command.alter_table_cmd.HasField("def")
        for command in commands
    )
    return bool(alters) or statement.kind.startswith("drop_")


def only_switches_triggers(statement: Statement) -> bool:
    """ALTER TABLE … DISABLE TRIGGER ALL, which a data dump does around its rows."""
    switches = (pb.AT_DisableTrigAll, pb.AT_EnableTrigAll, pb.AT_DisableTrigUser, pb.AT_EnableTrigUser)
    commands = statement.node.alter_table_stmt.cmds if statement.kind == "alter_table_stmt" else []
    return bool(commands) and all(command.alter_table_cmd.subtype in switches for command in commands)

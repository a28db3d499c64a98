"""What a file's statement becomes on a server that cannot do just that: the nearest that it can, with a note.

An embedded server has no locales but C and no ICU, and the scratch owner may not call a function leakproof.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.postgres.load.cases import INSUFFICIENT_PRIVILEGE, Statement
from data_platform.sql.text import Sql, identifier, qualified, tokens_of

_FEATURE_NOT_SUPPORTED = "0A000"
_INVALID_PARAMETER = "22023"
_LOCALE = re.compile(
    r"(?:pg_catalog\.)?((?:[a-z]{2,3}(?:[_-][\w@.-]+)?|und-x-icu|unicode|POSIX))\Z", re.ASCII
)
_BY_CODE_POINT = Sql("(provider = builtin, locale = 'C.UTF-8')")
SORTS_BY_CODE_POINT = "a stand-in that sorts by code point: the locale is not on this server"


@dataclass(frozen=True)
class Substitute:
    """What to run instead, as the scratch owner ("" for nothing) and then in the admin session, and what to note."""

    text: str
    why: str
    afterwards: pb.Node | None = None


def substitute(statement: Statement, sqlstate: str | None) -> Substitute | None:
    """What to run in place of a statement that failed with an SQLSTATE, if there is something."""
    kind = statement.kind
    if kind == "define_stmt" and sqlstate in (_FEATURE_NOT_SUPPORTED, _INVALID_PARAMETER):
        return _collation(statement.node.define_stmt)
    if kind == "create_function_stmt" and sqlstate == INSUFFICIENT_PRIVILEGE:
        return _without_leakproof(statement)
    if kind == "alter_table_stmt" and sqlstate == _FEATURE_NOT_SUPPORTED:
        commands = [command.alter_table_cmd.subtype for command in statement.node.alter_table_stmt.cmds]
        only_compression = commands == [pb.AT_SetCompression]
        return Substitute("", "this server cannot compress so") if only_compression else None
    return None


def missing_collation(name: str) -> Sql | None:
    """What makes a collation of the operating system or ICU that a message says does not exist; None for others."""
    found = _LOCALE.match(name)
    return Sql(f"CREATE COLLATION pg_catalog.{identifier(found[1])} {_BY_CODE_POINT}") if found else None


def _collation(stmt: Any) -> Substitute | None:
    if stmt.kind != pb.OBJECT_COLLATION:
        return None
    name = qualified(*(part.string.sval for part in stmt.defnames))
    exists = " IF NOT EXISTS" if stmt.if_not_exists else ""
    return Substitute(f"CREATE COLLATION{exists} {name} {_BY_CODE_POINT}", SORTS_BY_CODE_POINT)


def _without_leakproof(statement: Statement) -> Substitute | None:
    """The function without the word, which the admin session then adds: it calls nothing."""
    stmt = statement.node.create_function_stmt
    places = [option.def_elem.location for option in stmt.options if option.def_elem.defname == "leakproof"]
    if not places:
        return None
    raw, tokens = tokens_of(statement.piece.text)
    spans = [(token.start, token.end) for token in tokens if token.start in places]
    for start, end in spans:
        raw = raw[:start] + b" " * (end - start) + raw[end:]
    return Substitute(raw.decode(), "", _leakproof(stmt))


def _leakproof(stmt: Any) -> pb.Node:
    (template,) = postgast.parse("ALTER ROUTINE f() LEAKPROOF").stmts
    alter = template.stmt.alter_function_stmt
    alter.func.ClearField("objname")
    alter.func.objname.extend(stmt.funcname)
    for parameter in stmt.parameters:
        if parameter.function_parameter.mode not in (pb.FUNC_PARAM_OUT, pb.FUNC_PARAM_TABLE):
            alter.func.objargs.add().type_name.CopyFrom(parameter.function_parameter.arg_type)
    return template.stmt


def text_of(node: pb.Node) -> str:
    """The SQL of a tree that was made here."""
    return str(postgast.deparse(pb.ParseResult(stmts=[pb.RawStmt(stmt=node)])))

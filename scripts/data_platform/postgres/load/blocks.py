"""DO blocks that make roles when they are not there: what they would make, read without running them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.sql.text import NotSql, parse


def makes_roles(text: str) -> bool:
    """Whether the block may make roles; a quick look, so that other blocks are not read."""
    words = text.upper()
    return any(
        f"{verb} {kind}" in words for verb in ("CREATE", "ALTER") for kind in ("ROLE", "USER", "GROUP")
    )


def role_statements(text: str) -> Iterator[pb.Node]:
    """The CREATE ROLE and ALTER ROLE that a DO block in PL/pgSQL may run; none where it cannot be read."""
    try:
        block = postgast.parse_plpgsql(text)
    except postgast.PgQueryError:
        return
    for query in _queries(block):
        try:
            statements = parse(query).stmts
        except NotSql:
            continue
        for statement in statements:
            if statement.stmt.HasField("create_role_stmt") or statement.stmt.HasField("alter_role_stmt"):
                yield statement.stmt


def _queries(node: Any) -> Iterator[str]:
    """The statements of a block, as they stand in it."""
    if isinstance(node, list):
        for part in node:
            yield from _queries(part)
    elif isinstance(node, dict):
        executed = node.get("PLpgSQL_stmt_execsql")
        if executed:
            yield executed["sqlstmt"]["PLpgSQL_expr"]["query"]
        for part in node.values():
            yield from _queries(part)

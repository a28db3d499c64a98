"""The statements as files: one script, or one file a table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from data_platform import __version__
from data_platform.ddl.order import Ordered
from data_platform.ddl.piece import Section, Statement
from data_platform.ddl.pieces import ordered_pieces, statements
from data_platform.model.database import Name
from data_platform.model.design import Design
from data_platform.sql.templates import render
from data_platform.sql.text import Sql


def script(design: Design, again: str) -> str:
    """One file with everything. `again` is the command that makes it."""
    return _file(design, again, statements(design))


def files(design: Design, again: str) -> dict[str, str]:
    """Several files, to be run in the order of their names: set-up, types, functions, one a table, late keys.

    Where a table's later statements need what is made after it, it has a second file.
    """
    ordered = ordered_pieces(design)
    settings = [s for s in (piece.statement for piece in ordered.pieces) if s.section == "settings"]
    groups = _groups(ordered)
    digits = max(2, len(str(len(groups))))
    made: dict[str, str] = {}
    for number, group in enumerate(groups, 1):
        section, table = group[0].section, group[0].table
        name = f"{number:0{digits}}_{_slug(section, table)}.sql"
        made[name] = _file(design, again, [*(settings if section == "functions" else ()), *group])
    return made


def _groups(ordered: Ordered) -> list[list[Statement]]:
    """The statements of each file: with others of their section and table, if what they need is not made later."""
    groups: list[list[Statement]] = []
    last: dict[tuple[Section, Name | None], int] = {}
    group_of: list[int] = []
    for piece, needs in zip(ordered.pieces, ordered.needs, strict=True):
        key = (piece.statement.section, piece.statement.table)
        if piece.statement.section == "settings":  # each file has its own
            group_of.append(0)
            continue
        earliest = max((group_of[other] for other in needs if other < len(group_of)), default=0)
        if last.get(key, -1) < earliest:
            last[key] = len(groups)
            groups.append([])
        groups[last[key]].append(piece.statement)
        group_of.append(last[key])
    return groups


def header(design: Design, again: str) -> str:
    """What made the file, from what, for which server, and how to make it again; safe whatever the names are."""
    lines = (
        f"{design.store}: made by data-platform-engineer {__version__} for PostgreSQL {design.server_version}.",
        f"Source: {design.file} (SHA-256 {design.sha256})",
        f"Again: {again}",
    )
    return "".join(f"-- {_one_line(line)}\n" for line in lines)


def _file(design: Design, again: str, made: Sequence[Statement]) -> str:
    # Every file stands alone, so each sets the path; the statements that make the schemas come before it.
    setup = [statement for statement in made if statement.section == "setup"]
    rest = [statement for statement in made if statement.section != "setup"]
    body = [*(s.sql for s in setup), *_search_path(design), *(s.sql for s in rest)]
    return header(design, again) + "\n" + "\n\n".join(body) + "\n"


def _search_path(design: Design) -> list[Sql]:
    if design.search_path == ("public",):
        return []
    # public first: what is left unqualified in the DDL itself is in public.
    return [render("ddl/search_path.sql.j2", schemas=dict.fromkeys(("public", *design.search_path)))]


def _slug(section: Section, table: Name | None) -> str:
    if table is None:
        return section
    name = table.name if table.schema == "public" else f"{table.schema}.{table.name}"
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:60].strip(".") or "table"


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

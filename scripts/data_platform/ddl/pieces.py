"""Every statement of a design: first kind after kind, then in an order in which each finds what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import chain

from data_platform.ddl import rights, tables, types, views, whole
from data_platform.ddl.around import Around, around
from data_platform.ddl.functions import checks_body, function_pieces, raw_piece
from data_platform.ddl.older import for_server
from data_platform.ddl.order import Ordered, in_order, parts_in_cycles
from data_platform.ddl.piece import PartKey, Piece, Statement
from data_platform.model.database import Database
from data_platform.model.design import Design
from data_platform.model.order import Ordered as OrderedTables
from data_platform.model.order import in_dependency_order
from data_platform.sql.templates import render


def statements(design: Design) -> tuple[Statement, ...]:
    """Every statement, in an order in which each finds what it needs."""
    return tuple(piece.statement for piece in ordered_pieces(design).pieces)


def ordered_pieces(design: Design) -> Ordered:
    """The same with what each needs.

    Foreign keys that point forward come after all tables. So do defaults, checks and the bodies of functions in
    SQL-standard form where they close a cycle.
    """
    database = for_server(design.database, design.server_version)
    order = in_dependency_order(database.tables)
    late: Set[PartKey] = {("constraint", str(table), key) for table, key in order.forward}
    path = tuple(dict.fromkeys(("public", *design.search_path)))
    while True:
        surroundings = around(database, late, design.server_version)
        made = tuple(_pieces(database, order, surroundings))
        more = parts_in_cycles(made, path) - late
        if not more:
            return in_order(made, path)
        late |= more


def _pieces(database: Database, order: OrderedTables, surroundings: Around) -> Iterator[Piece]:
    yield from _setup(database, surroundings.late)
    yield from _programs(database, surroundings.late)
    for table in order.tables:
        yield from tables.table_pieces(table, surroundings)
    for table in order.tables:
        yield from tables.late_pieces(table, surroundings)
    yield from _views(database)
    for table in order.tables:
        yield from tables.hanging_pieces(table, surroundings)
    for view in database.views:
        yield from views.view_hanging_pieces(view)
    yield from _last(database)


def _setup(database: Database, late: Set[PartKey]) -> Iterator[Piece]:
    yield from chain.from_iterable(map(whole.role_pieces, database.roles))
    yield from chain.from_iterable(map(whole.membership_pieces, database.roles))
    yield from map(whole.schema_piece, database.schemas)
    yield from map(whole.extension_piece, database.extensions)
    yield from chain.from_iterable(map(whole.schema_comments, database.schema_details))
    has_empty_bodies = any(key[0] == "body" for key in late)
    if has_empty_bodies or any(map(checks_body, database.functions)):
        setting = render("ddl/settings.sql.j2")
        yield Piece(statement=Statement(setting, "setting check_function_bodies", "settings"))


def _programs(database: Database, late: Set[PartKey]) -> Iterator[Piece]:
    yield from chain.from_iterable(map(types.collation_pieces, database.collations))
    for type_ in database.types:
        yield from types.type_pieces(type_, late)
    yield from chain.from_iterable(map(types.sequence_pieces, database.sequences))
    for function in database.functions:
        yield from function_pieces(function, late)
    yield from (piece for piece in map(raw_piece, database.raw) if piece.makes)
    yield from chain.from_iterable(map(whole.server_pieces, database.servers))


def _views(database: Database) -> Iterator[Piece]:
    yield from chain.from_iterable(map(views.view_pieces, database.views))
    yield from chain.from_iterable(map(views.materialized_view_pieces, database.materialized_views))


def _last(database: Database) -> Iterator[Piece]:
    """Event triggers come last of all: what follows them would fire them."""
    yield from (piece for piece in map(raw_piece, database.raw) if not piece.makes)
    for publication in database.publications:
        yield from whole.publication_pieces(publication, database)
    yield from rights.owner_pieces(database)
    yield from rights.grant_pieces(database)
    yield from chain.from_iterable(map(whole.event_trigger_pieces, database.event_triggers))

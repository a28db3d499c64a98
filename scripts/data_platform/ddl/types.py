"""Collations, types and sequences."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import replace
from itertools import chain

from data_platform.ddl.clauses import (
    collation_needs,
    constraint_clause,
    constraint_needs,
    function,
    optional_needs,
    relation,
    sequence_options,
    with_rows,
)
from data_platform.ddl.piece import Part, PartKey, Piece, Statement
from data_platform.ddl.small import alter, comment
from data_platform.model.database import (
    Check,
    CollationObject,
    Composite,
    Domain,
    Enum,
    Name,
    Range,
    Sequence,
    Type,
)
from data_platform.sql.phrases import default
from data_platform.sql.references import Reference, References, of_type
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name


def type_kind(type_: Type) -> str:
    """What ALTER and COMMENT ON call it."""
    return "domain" if isinstance(type_, Domain) else "type"


def collation_pieces(collation: CollationObject) -> Iterator[Piece]:
    """CREATE COLLATION and its comment."""
    made = f"collation {collation.name}"
    statement = Statement(render("ddl/collation.sql.j2", collation=collation), made, "types")
    yield Piece(
        statement=statement, makes=(Reference("collation", collation.name.schema, collation.name.name),)
    )
    if collation.comment is not None:
        yield comment("collation", qualified_name(collation.name), collation.comment, made, "types")


def type_pieces(type_: Type, late: Set[PartKey]) -> Iterator[Piece]:
    """CREATE TYPE or DOMAIN with what belongs to it, and its comments."""
    match type_:
        case Enum():
            sql = render("ddl/enum.sql.j2", type=type_)
            yield Piece(statement=Statement(sql, f"type {type_.name}", "types"), makes=_made(type_.name))
        case Domain():
            yield from _domain(type_, late)
        case Composite():
            yield from _composite(type_)
        case Range():
            yield from _range(type_)
    kind = type_kind(type_)
    if type_.comment is not None:
        yield comment(kind, qualified_name(type_.name), type_.comment, f"{kind} {type_.name}", "types")


def _made(name: Name) -> References:
    return (Reference("type", name.schema, name.name),)


def _domain(domain: Domain, late: Set[PartKey]) -> Iterator[Piece]:
    parts = _domain_parts(domain)
    at_once = [check for check in domain.checks if (_key(domain, check) not in late and not _added(check))]
    shown = domain if _default_key(domain) not in late else replace(domain, default=None)
    sql = render("ddl/domain.sql.j2", type=shown, checks=[constraint_clause(check) for check in at_once])
    yield Piece(
        statement=Statement(sql, f"domain {domain.name}", "types"),
        makes=_made(domain.name),
        needs=of_type(domain.base) + collation_needs(domain.collation),
        parts=tuple(part for part in parts if part.key not in late),
    )
    for check in domain.checks:
        if check not in at_once:
            yield _added_check(domain, check)
        if check.comment is not None:
            object_ = Sql(f"{identifier(check.name)} ON DOMAIN {qualified_name(domain.name)}")
            yield comment("constraint", object_, check.comment, f"constraint {check.name}", "types")
    if domain.default is not None and shown.default is None:
        action = Sql(f"SET DEFAULT {default(domain.default)}")
        made = f"default of domain {domain.name}"
        needs = _made(domain.name) + optional_needs(domain.default)
        yield alter("domain", qualified_name(domain.name), action, made, "types", needs=needs)


def _domain_parts(domain: Domain) -> Iterator[Part]:
    for check in domain.checks:
        if not _added(check):
            yield Part(key=_key(domain, check), needs=constraint_needs(check))
    if domain.default is not None:
        yield Part(key=_default_key(domain), needs=optional_needs(domain.default))


def _key(domain: Domain, check: Check) -> PartKey:
    return ("constraint", str(domain.name), check.name)


def _default_key(domain: Domain) -> PartKey:
    return ("default", str(domain.name))


def _added(check: Check) -> bool:
    """CREATE DOMAIN cannot say NOT VALID."""
    return not check.validated


def _added_check(domain: Domain, check: Check) -> Piece:
    clause = constraint_clause(check)
    sql = render(
        "ddl/add_constraint.sql.j2", kind="domain", object=qualified_name(domain.name), constraint=clause
    )
    statement = Statement(sql, f"constraint {check.name} on domain {domain.name}", "types")
    return Piece(statement=statement, needs=_made(domain.name) + constraint_needs(check), runs=True)


def _composite(type_: Composite) -> Iterator[Piece]:
    attributes = [render("ddl/attribute.sql.j2", attribute=item) for item in type_.attributes]
    sql = render("ddl/composite.sql.j2", type=type_, attributes=attributes)
    needs = (of_type(item.type) + collation_needs(item.collation) for item in type_.attributes)
    yield Piece(
        statement=Statement(sql, f"type {type_.name}", "types"),
        makes=with_rows(type_.name),
        needs=tuple(chain.from_iterable(needs)),
    )
    for item in type_.attributes:
        if item.comment is not None:
            object_ = Sql(f"{qualified_name(type_.name)}.{identifier(item.name)}")
            yield comment("column", object_, item.comment, f"attribute {item.name}", "types")


def _range(type_: Range) -> Iterator[Piece]:
    """A range whose canonical function takes the range itself begins as a shell, which that function can name."""
    if type_.canonical is not None:
        shell = render("ddl/shell_type.sql.j2", type=type_.name)
        yield Piece(statement=Statement(shell, f"type {type_.name}", "types"), makes=_made(type_.name))
    multirange = type_.multirange or _multirange(type_.name)
    functions = (name for name in (type_.canonical, type_.difference) if name is not None)
    opclass = type_.opclass.rpartition(".") if type_.opclass else None
    yield Piece(
        statement=Statement(render("ddl/range.sql.j2", type=type_), f"type {type_.name}", "types"),
        makes=_made(type_.name) + _made(multirange),
        needs=(
            *of_type(type_.subtype),
            *collation_needs(type_.collation),
            *map(function, functions),
            *((Reference("operator class", opclass[0] or None, opclass[2]),) if opclass else ()),
        ),
    )


def _multirange(name: Name) -> Name:
    """The name that PostgreSQL makes up."""
    text = name.name
    made = text.replace("range", "multirange", 1) if "range" in text else f"{text}_multirange"
    return Name(name.schema, made)


def sequence_pieces(sequence: Sequence) -> Iterator[Piece]:
    """CREATE SEQUENCE and its comment; to whom it belongs comes after that table."""
    made = f"sequence {sequence.name}"
    sql = render("ddl/sequence.sql.j2", sequence=sequence, options=sequence_options(sequence.sequence))
    yield Piece(statement=Statement(sql, made, "sequences"), makes=(relation(sequence.name),))
    if sequence.comment is not None:
        yield comment("sequence", qualified_name(sequence.name), sequence.comment, made, "sequences")


def owned_by(sequence: Sequence, table: Name, column: str) -> Piece:
    """ALTER SEQUENCE OWNED BY."""
    action = Sql(f"OWNED BY {qualified_name(table)}.{identifier(column)}")
    made = f"owner of sequence {sequence.name}"
    needs = (relation(sequence.name), relation(table))
    return alter("sequence", qualified_name(sequence.name), action, made, "tables", table, needs)

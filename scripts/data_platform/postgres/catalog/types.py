"""Types and collations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from data_platform.model.database import (
    Attribute,
    Check,
    CollationObject,
    Composite,
    Domain,
    Enum,
    Name,
    NotNull,
    Options,
    Range,
    Type,
)
from data_platform.postgres.catalog.rows import Owners, Query, Row, maybe_named, named
from data_platform.sql.naming import default_name

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def types(query: Query, owners: Owners) -> tuple[Type, ...]:
    """Enums, domains, composite types and ranges, by name."""
    made: list[Type] = [_enum(row, owners) for row in query("enums")]
    made += [_domain(row, owners) for row in query("domains")]
    made += [_composite(row, owners) for row in query("composites")]
    made += [_range(row, owners) for row in query("ranges")]
    return tuple(sorted(made, key=lambda type_: type_.name))


def _enum(row: Row, owners: Owners) -> Enum:
    labels = tuple(row["labels"] or ())
    return Enum(name=named(row), labels=labels, comment=row["comment"], owner=owners.named(row["owner"]))


def _domain(row: Row, owners: Owners) -> Domain:
    usual = default_name(row["name"], "", "not_null")
    name = row["not_null_name"]
    return Domain(
        name=named(row),
        base=row["base"],
        nullable=not row["not_null"],
        default=row["default_expression"],
        collation=row["collation"],
        checks=tuple(Check(**check) for check in row["checks"] or ()),
        not_null=NotNull(name=name) if name not in (None, usual) else None,
        comment=row["comment"],
        owner=owners.named(row["owner"]),
    )


def _composite(row: Row, owners: Owners) -> Composite:
    return Composite(
        name=named(row),
        attributes=tuple(Attribute(**part) for part in row["attributes"] or ()),
        comment=row["comment"],
        owner=owners.named(row["owner"]),
    )


def _range(row: Row, owners: Owners) -> Range:
    multirange = maybe_named(row, "multirange_")
    usual = Name(row["schema"], _multirange_name(row["name"]))
    return Range(
        name=named(row),
        subtype=row["subtype"],
        opclass=row["opclass"],
        collation=row["collation"],
        canonical=maybe_named(row, "canonical_"),
        difference=maybe_named(row, "difference_"),
        multirange=None if multirange == usual else multirange,
        comment=row["comment"],
        owner=owners.named(row["owner"]),
    )


def _multirange_name(range_name: str) -> str:
    """Source: makeMultirangeTypeName in PostgreSQL's src/backend/catalog/pg_type.c."""
    if "range" in range_name:
        made = range_name.replace("range", "multirange", 1)
    else:
        made = range_name.encode()[: 63 - len("_multirange")].decode(errors="ignore") + "_multirange"
    return made.encode()[:63].decode(errors="ignore")


def collations(rows: Iterable[Row], owners: Owners) -> tuple[CollationObject, ...]:
    """Collations from the rows of the query of that name."""
    return tuple(
        CollationObject(
            name=named(row),
            options=_collation_options(row),
            comment=row["comment"],
            owner=owners.named(row["owner"]),
        )
        for row in rows
    )


def _collation_options(row: Row) -> Options:
    return tuple(sorted(_collation_pairs(row)))


def _collation_pairs(row: Row) -> Iterator[tuple[str, str]]:
    yield "provider", _PROVIDERS[row["provider"]]
    if not row["deterministic"]:
        yield "deterministic", "false"
    if row["provider"] == "c":
        yield "lc_collate", row["lc_collate"]
        yield "lc_ctype", row["lc_ctype"]
    else:
        # Up to PostgreSQL 14 the locale of an ICU collation is in these two columns.
        yield "locale", row["locale"] or row["lc_collate"]
    if row["rules"]:
        yield "rules", row["rules"]

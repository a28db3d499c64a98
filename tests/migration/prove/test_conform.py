"""Rows that the new schema takes, too: which of its rules can be asked of the old one's columns."""

from __future__ import annotations

from data_platform.migration.prove.conform import conformed, hints
from data_platform.model.database import (
    Check,
    Column,
    Database,
    ForeignKey,
    Index,
    IndexElement,
    Name,
    Table,
    Unique,
)

ORDERS, CUSTOMERS = Name("public", "orders"), Name("public", "customers")
NOTE = Column(name="note", type="text", nullable=True)
AMOUNT = Column(name="amount", type="integer")
OLD = Database(
    tables=(
        Table(name=CUSTOMERS, columns=(Column(name="id", type="bigint"),)),
        Table(name=ORDERS, columns=(NOTE, AMOUNT)),
    )
)


def later(**changes: object) -> Database:
    orders = {"columns": (NOTE, AMOUNT), **changes}
    return Database(tables=(OLD.tables[0], Table(name=ORDERS, **orders)))  # type: ignore[arg-type]


def of(after: Database) -> Table:
    return conformed(OLD, after).table(ORDERS)


def test_nothing_new_changes_nothing() -> None:
    assert conformed(OLD, OLD) == OLD


def test_a_new_not_null_is_kept() -> None:
    table = of(later(columns=(Column(name="note", type="text"), AMOUNT)))
    assert not table.column("note").nullable


def test_a_new_check_is_kept_where_its_columns_are_the_old_ones() -> None:
    known = Check(name="c", expression="amount > 0")
    unknown = Check(name="d", expression="amount > discount")
    assert of(later(checks=(known, unknown))).checks == (known,)


def test_a_check_over_a_column_of_another_type_is_not() -> None:
    check = Check(name="c", expression="amount > 0")
    assert of(later(columns=(NOTE, Column(name="amount", type="text")), checks=(check,))).checks == ()


def test_keys_and_unique_indexes_are_kept_once() -> None:
    unique = Unique(name="u", columns=("amount",))
    index = Index(name="i", elements=(IndexElement(column="note"),), unique=True)
    partial = Index(name="p", elements=(IndexElement(column="amount"),), unique=True, where="amount > 3")
    found = of(later(uniques=(unique,), indexes=(index, partial))).uniques
    assert {key.columns for key in found} == {("amount",), ("note",)}


def test_a_foreign_key_needs_a_table_that_was_there() -> None:
    key = ForeignKey(name="k", columns=("amount",), target=CUSTOMERS, target_columns=("id",))
    new = ForeignKey(name="n", columns=("amount",), target=Name("public", "new"), target_columns=("id",))
    assert of(later(foreign_keys=(key, new))).foreign_keys == (key,)


def test_a_partition_has_rows_within_its_bounds() -> None:
    table = conformed(OLD, OLD, {ORDERS: "amount >= 10"}).table(ORDERS)
    assert [check.expression for check in table.checks] == ["amount >= 10"]


def test_texts_that_become_another_type_can_be_read_as_it() -> None:
    after = later(columns=(Column(name="note", type="integer"), AMOUNT))
    assert hints(OLD, after).keys() == {(ORDERS, "note")}
    assert hints(OLD, OLD) == {}

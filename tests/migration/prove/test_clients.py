"""What clients ask of a table, and what their errors mean."""

from __future__ import annotations

import pytest

from data_platform.migration.prove.clients import asked, effect, errors
from data_platform.model.database import Column, Name, PrimaryKey, Table, Unique
from data_platform.postgres.traffic import Client, Failure, Operation, Sample, Script

TABLE = Table(
    name=Name("public", "orders"),
    columns=(
        Column(name="id", type="bigint", identity="always"),
        Column(name="code", type="text"),
        Column(name="note", type="text", nullable=True),
    ),
    primary_key=PrimaryKey(name="pk", columns=("id",)),
    uniques=(Unique(name="u", columns=("code",)),),
)


def test_rows_are_looked_up_by_the_primary_key() -> None:
    look = asked(TABLE, ())
    assert (look.columns, look.key, look.where) == (("id", "code", "note"), ("id",), "id = $1")


def test_columns_that_are_not_named_any_more_are_no_key() -> None:
    look = asked(TABLE, ("id",))
    assert (look.columns, look.key) == (("code", "note"), ("code",))


def test_without_a_key_any_row_will_do() -> None:
    look = asked(Table(name=TABLE.name, columns=TABLE.columns), ())
    assert look.key == ()
    assert "LIMIT 1" in look.where


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure("42703", 'column "note" does not exist'), "broken"),
        (Failure("42P01", 'relation "orders" does not exist'), "broken"),
        (Failure("23502", "null value", "tenant"), "broken"),
        (Failure("23502", "null value", "note"), "refused"),
        (Failure("23514", "violates check"), "refused"),
        (Failure("0A000", "cached plan must not change result type"), "planned again"),
        (Failure("40P01", "deadlock detected"), "broken"),
    ],
)
def test_what_an_error_does_to_an_application(failure: Failure, expected: str) -> None:
    assert effect(failure, ("id", "code", "note")) == expected


def test_errors_of_one_kind_are_told_once_with_the_statement_before_them() -> None:
    gone = Failure("42703", 'column "note" does not exist')
    client = Client(Script(TABLE.name, "reader", (Operation("select", "SELECT", columns=("note",)),)), "")
    client.samples += [
        Sample("select", 1.0, 1.1),
        Sample("select", 2.4, 2.5, gone),
        Sample("select", 2.6, 2.7, gone),
        Sample("select", 3.0, 3.1),
    ]
    (error,) = errors([client], [(1, 0.5, 0.6), (2, 2.0, 2.2), (3, 2.9, 3.0)])
    assert (error.statement, error.count, error.effect, error.passed) == (2, 2, "broken", True)

"""The server's debug messages, as it spells them."""

from __future__ import annotations

import pytest

from data_platform.migration.prove.messages import Work, read


@pytest.mark.parametrize(
    ("message", "work"),
    [
        ('rewriting table "orders"', Work("rewrite", "orders")),
        ('rewriting table "we ""quoted"" it"', Work("rewrite", 'we ""quoted"" it')),
        ('verifying table "orders"', Work("verify", "orders")),
        ('validating foreign key constraint "fk"', Work("validate", "", "fk")),
        ('building index "i" on table "orders" serially', Work("build", "orders", "i")),
        (
            'building index "i" on table "orders" with request for 1 parallel worker',
            Work("build", "orders", "i"),
        ),
        (
            'building index "i" on table "orders" with request for 4 parallel workers',
            Work("build", "orders", "i"),
        ),
        (
            'existing constraints on column "orders.note" are sufficient to prove that it does not contain nulls',
            Work("proven", "", "orders.note"),
        ),
    ],
)
def test_work_is_read_from_messages(message: str, work: Work) -> None:
    assert read([message]) == (work,)


@pytest.mark.parametrize(
    "message",
    [
        'building index "pg_toast_16494_index" on table "pg_toast_16494" serially',
        'index "i" can safely use deduplication',
        'I was rewriting table "orders"',
        "",
    ],
)
def test_other_messages_are_left_out(message: str) -> None:
    assert read([message]) == ()

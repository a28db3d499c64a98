"""Whatever a statement holds, it comes out of a file as the same statement."""

from __future__ import annotations

import ast
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_platform.migration import formats
from data_platform.migration.formats import Start
from data_platform.migration.formats.quoting import plain, python
from data_platform.migration.plan.step import Plan, Step
from data_platform.sql.text import NotSql, Sql, body, literal, parse
from migration.formats.reading import SQL_FORMATS, runs, written

PIECES = st.sampled_from(
    [
        *(
            "a",
            " ",
            "\n",
            ";",
            ";\n",
            "'",
            '"',
            "\\",
            "%",
            "%s",
            "%(a)s",
            "#{x}",
            "${x}",
            "`",
            "$$",
            "$do$",
            "{x}",
        ),
        *(
            ":name",
            "\\:x",
            "{{ x }}",
            "\t",
            "é",
            "\u2028",
            "\u202e",
            "\U0001f600",
            "--",
            "/*",
            "*/",
            "-- x\n",
        ),
        *("\n-- migrate:down\n", "\n-- +goose Down\n", "\n-- +goose StatementEnd\n", "\n--changeset a:b\n"),
        *(
            "\n--rollback x\n",
            "\nSQL\n",
            "\nEND\n",
            '"""',
            "'''",
            "\nGO\n",
            "\n/\n",
            "\n\\.\n",
            "\n-- @UNDO\n",
        ),
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def holding(text: str, form: str) -> Sql | None:
    """A statement with the text in it; None where that is none."""
    written_as = {
        "body": f"DO {body('BEGIN PERFORM ' + literal(text) + '; /* x */ END')}",
        "constant": f"COMMENT ON TABLE orders IS {literal(text)}",
        "dollar": f"SELECT {body(text)}",
        "comment": "SELECT 1 -- " + text.replace("\n", " "),
        "block": f"SELECT 1 /* {text.replace('*/', '').replace('/*', '')} */ + 1",
        "name": 'SELECT 1 AS "' + (text.replace('"', '""')[:12] or "x") + '"',
    }[form]
    try:
        return Sql(written_as) if len(parse(written_as).stmts) == 1 else None
    except NotSql:
        return None


def meaning(statement: str) -> str:
    """The tree, without places in the text."""
    import postgast

    return postgast.fingerprint(statement).hex + postgast.deparse(parse(statement))


FORMS = st.sampled_from(["body", "constant", "dollar", "comment", "block", "name"])


@pytest.mark.parametrize("tool", SQL_FORMATS)
@given(text=TEXTS, form=FORMS, transaction=st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_statement_comes_out_as_it_went_in(tool: str, text: str, form: str, transaction: bool) -> None:
    statement = holding(text, form)
    if statement is None:
        return
    step = Step(
        name="one", phase="expand", reason="x", up=(statement,), down=(statement,), transaction=transaction
    )
    files = formats.files(Plan(steps=(step,)), tool, start=Start(version="20260101000000"))
    with TemporaryDirectory() as folder:
        root = written(files, Path(folder))
        for direction in ("up", "down"):
            ((_, (found,)),) = runs(files, tool, root, direction)
            assert meaning(found) == meaning(statement)


@given(text=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")))
def test_strings_of_python(text: str) -> None:
    value = ast.literal_eval(python(text))
    assert value in (text, f"\n{text}\n")
    assert "\r" not in python(text)


def test_orders_to_tools_leave_a_statement_but_not_its_meaning() -> None:
    statement = Sql("DO $$BEGIN\n-- migrate:down\nNULL;\nEND$$ -- changeset a:b")
    written_as = plain(statement)
    assert "\n" not in written_as
    assert meaning(written_as) == meaning(statement)
    kept = Sql("DO $$BEGIN\n-- why it is so\nNULL;\nEND$$")
    assert plain(kept) is kept

"""A spec of kind `change`: what is read, what is refused with its place, and any legal name in an operation."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.migration.operations.prove import wanted
from data_platform.model.database import Name
from data_platform.postgres.load import Script
from data_platform.postgres.server import Server
from data_platform.spec import document, validate
from data_platform.spec.change import Change, read_change
from data_platform.spec.document import SpecProblem
from data_platform.sql.text import identifier

HEAD = "kind: change\nstore: Shop\n"


def read(tmp_path: Path, text: str) -> Change:
    path = tmp_path / "change.yaml"
    path.write_text(text)
    found = document.read(path)
    validate.check(found, "change")
    return read_change(found)


def test_the_example_is_read(tmp_path: Path) -> None:
    change = read(tmp_path, validate.example_text("change"))
    assert change.store == "Customer DB"
    assert change.operations[0].name == "rename_column"
    assert dict(change.rows) == {Name("public", "orders"): 40_000_000}


@pytest.mark.parametrize(
    ("operations", "line", "message"),
    [
        ("  - rename_colum: {table: t, column: a, to: b}", 4, "rename_column"),
        ("  - rename_column: {table: t, colum: a, to: b}", 4, "column"),
        ("  - rename_column: {table: t, column: a}", 4, "to"),
        ("  - {}", 4, ""),
        ("  - add_index: {table: t, columns: []}", 4, "columns"),
        ("  - set_options:\n      table: t\n      options: {fillfactor: [1]}", 6, ""),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, operations: str, line: int, message: str
) -> None:
    with pytest.raises(SpecProblem) as told:
        read(tmp_path, f"{HEAD}operations:\n{operations}\n")
    found = told.value.findings
    assert any(message in f"{one.message} {one.fix}" for one in found), found
    assert found[0].line == line


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    two = "  - drop_column: {table: t}\n  - drop_table: {tabel: t}\n"
    with pytest.raises(SpecProblem) as told:
        read(tmp_path, f"{HEAD}operations:\n{two}")
    assert {one.line for one in told.value.findings} == {4, 5}


names = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn"), exclude_characters="."),
    min_size=1,
    max_size=12,
).filter(lambda name: len(name.encode()) <= 63)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=names, new=names)
def test_any_legal_name_goes_through(server: Server, tmp_path: Path, old: str, new: str) -> None:
    operations = [
        {"add_column": {"table": "t", "column": old, "type": "text"}},
        {"add_index": {"table": "t", "columns": [str(identifier(old))], "name": "i"}},
    ]
    if new != old:
        operations.append({"rename_column": {"table": "t", "column": old, "to": new}})
    text = yaml.safe_dump(
        {"kind": "change", "store": "Shop", "operations": operations}, allow_unicode=True, default_style='"'
    )
    base = (Script("base.sql", "CREATE TABLE t (dpe_id integer PRIMARY KEY)"),)
    made = wanted(server, base, read(tmp_path, text))
    (table,) = made.after.tables
    assert [column.name for column in table.columns] == ["dpe_id", new]
    assert table.indexes[0].elements[0].column == new

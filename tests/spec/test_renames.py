"""`renamed_from:`: an intention that is read and checked, and is no part of the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.model.database import Name
from data_platform.model.design import Design
from data_platform.spec import document, validate
from data_platform.spec.document import SpecProblem
from data_platform.spec.model import read_model


def read(tmp_path: Path, tables: str) -> Design:
    path = tmp_path / "model.yaml"
    path.write_text(f"kind: model\nstore: Shop\ntables:\n{tables}")
    found = document.read(path)
    validate.check(found, "model")
    return read_model(found)


def read_types(tmp_path: Path, types: str) -> Design:
    path = tmp_path / "model.yaml"
    path.write_text(f"kind: model\nstore: Shop\ntypes:\n{types}\ntables: {{}}\n")
    found = document.read(path)
    validate.check(found, "model")
    return read_model(found)


def test_types_and_labels_say_what_they_were(tmp_path: Path) -> None:
    state = "  state: {enum: [open, done], renamed_from: status, renamed_labels: {done: closed}}"
    design = read_types(tmp_path, state)
    name = Name("public", "state")
    assert design.renamed_types == {name: Name("public", "status")}
    assert design.renamed_labels == {(name, "done"): "closed"}
    assert design.database == read_types(tmp_path, "  state: {enum: [open, done]}").database


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ("  a: {enum: [x], renamed_from: a}", "is still there"),
        ("  a: {enum: [x], renamed_labels: {y: z}}", "`y` is no label of `public.a`"),
        ("  a: {enum: [x, z], renamed_labels: {x: z}}", "`z` is still there"),
        ("  a: {enum: [x, y], renamed_labels: {x: o, y: o}}", "renamed from `o`, too"),
        ("  a: {domain: text, renamed_labels: {x: z}}", "`renamed_labels` is for enums only"),
    ],
)
def test_types_that_cannot_be_are_told(tmp_path: Path, types: str, message: str) -> None:
    with pytest.raises(SpecProblem) as told:
        read_types(tmp_path, types)
    assert any(message in finding.message for finding in told.value.findings), told.value.findings


MODEL = """
  accounts:
    renamed_from: app.users
    columns:
      id: bigint
      full_name: {type: text, renamed_from: name}
    primary_key: [id]
"""


def test_tables_and_columns_say_what_they_were(tmp_path: Path) -> None:
    design = read(tmp_path, MODEL)
    accounts = Name("public", "accounts")
    assert design.renamed_tables == {accounts: Name("app", "users")}
    assert design.renamed_columns == {(accounts, "full_name"): "name"}
    plain = MODEL.replace("    renamed_from: app.users\n", "").replace(", renamed_from: name", "")
    assert design.database == read(tmp_path, plain).database


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (MODEL.replace("renamed_from: name", "renamed_from: id"), "`id` is still there"),
        (MODEL.replace("app.users", "accounts"), "is still there"),
        (MODEL + MODEL.replace("accounts", "people"), "something else was renamed from `app.users`"),
        (MODEL.replace("app.users", "a.b.c"), "expected `name` or `schema.name`"),
        (MODEL.replace("app.users", "[1]"), "expected"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, tables: str, message: str) -> None:
    with pytest.raises(SpecProblem) as told:
        read(tmp_path, tables)
    assert any(message in finding.message for finding in told.value.findings), told.value.findings
    assert all(finding.line for finding in told.value.findings)

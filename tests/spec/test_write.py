"""What is written reads back as the same database, and is written the same again."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.model.database import Check, Database, Extension, Name, Table
from data_platform.model.design import Design
from data_platform.spec import validate
from data_platform.spec.document import parse
from data_platform.spec.model import read_model
from data_platform.spec.model.write import write
from spec.databases import databases


def back(text: str) -> Design:
    document = parse(text.encode(), "model.yaml")
    validate.check(document)
    return read_model(document)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(databases(), st.sampled_from(["public", "app"]))
def test_any_database_comes_back(database: Database, default_schema: str) -> None:
    design = Design(store="Shop DB", server_version=18, database=database, default_schema=default_schema)
    text = write(design)
    read = back(text)
    assert read.database == database
    assert write(read) == text


def test_what_is_too_deep_to_look_into_is_taken_from_a_database_that_has_it() -> None:
    deep = "NOT " * 100 + "true"
    table = Table(name=Name("public", "a"), columns=(), checks=(Check(name="c", expression=deep),))
    design = Design(store="S", server_version=18, database=Database(tables=(table,)))
    assert "imported: true" in write(design)
    assert back(write(design)).database == design.database


def test_the_heading_is_a_comment_whatever_it_says() -> None:
    design = Design(store="S", server_version=17, database=Database(extensions=(Extension(name="hstore"),)))
    text = write(design, "made by\nkind: other")
    assert text.splitlines()[:2] == ["# made by", "# kind: other"]
    assert back(text).database == design.database
    assert back(text).server_version == 17


def test_short_forms_lose_nothing_and_say_little() -> None:
    text = "kind: model\nstore: S\ntables:\n"
    text += "  a:\n    columns:\n      id: {type: uuid, default: gen_random_uuid(), primary_key: true}\n"
    text += "      n: {type: integer, nullable: true, unique: true, check: n > 0}\n"
    text += "  b:\n    columns:\n      a_id: {type: uuid, references: {table: a, on_delete: cascade}}\n"
    text += "      note: text\n    indexes: [[a_id]]\n"
    text += "  log:\n    columns:\n      at: timestamptz\n    partition_by: {range: [at]}\n    partitions:\n"
    text += "      log_1: FROM ('2026-01-01') TO ('2026-02-01')\n      log_rest: default\n"
    text += "views:\n  v: SELECT id FROM a\n"
    assert write(back(text.replace("      n:", "      'n':"))) == text.replace("      n:", "      'n':")


def test_patterns_rows_and_hints_come_back_too() -> None:
    read = back(validate.example_text("model"))
    again = back(write(read))
    assert (again.access_patterns, again.rows, again.hints) == (read.access_patterns, read.rows, read.hints)
    assert again.soft_deleted == read.soft_deleted


def test_an_owner_of_everything_is_said_once() -> None:
    text = (
        "kind: model\nstore: Customer DB\nowner: shop\n"
        "tables:\n  a: {columns: {id: int}}\n  b: {columns: {id: int}, owner: other}\nviews: {v: SELECT 1 AS x}\n"
    )
    parsed = parse(text.encode(), "model.yaml")
    validate.check(parsed)
    made = read_model(parsed)
    assert [part.owner for part in (*made.database.tables, *made.database.views)] == ["shop", "other", "shop"]
    written = write(made)
    assert written.count("shop") == 1
    again = parse(written.encode(), "model.yaml")
    assert read_model(again).database == made.database

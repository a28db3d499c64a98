"""What is written reads back as the same database, and is written the same again."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_platform.model.database import Database
from data_platform.model.design import Design
from data_platform.spec import validate
from data_platform.spec.document import parse
from data_platform.spec.model import read_model, write
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

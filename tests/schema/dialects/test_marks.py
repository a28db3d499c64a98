"""A finding points to the line of the object that it is about."""

from __future__ import annotations

import pytest

from data_platform.model.database import Name
from data_platform.schema.dialects import TARGETS, Dialect, render
from data_platform.schema.dialects.marks import Marks
from schema.designs import design

SPEC = """extensions:
  - pg_trgm
  - btree_gist
schemas:
  shop: {comment: things}
roles:
  app: {}
types:
  shop.state: {enum: [new, paid]}
sequences:
  numbers: {}
functions:
  twice(x integer): {language: sql, arguments: x integer, returns: integer, body: "SELECT 2 * x"}
  twice(x numeric): {language: sql, arguments: x numeric, returns: numeric, body: "SELECT 2 * x"}
  half(of it): {language: sql, arguments: x numeric, returns: numeric, body: "SELECT x / 2"}
tables:
  people:
    columns:
      id: {type: integer, primary_key: true}
      name: {type: text, unique: true}
      age:
        type: integer
        check: age > 0
      email: text
      boss:
        type: integer
        nullable: true
        references: {table: people, on_delete: set null}
    unique:
      - [email, name]
      - [age, name, boss]
    checks:
      adult: age > 17
    foreign_keys:
      - {columns: [age], references: {table: people, columns: [id]}, on_delete: restrict}
    exclude:
      - {elements: [{column: age, with: "="}], name: alone}
    indexes:
      - [email]
    policies:
      own: {using: "true"}
    partition_by: {hash: [id]}
    partitions:
      people_0:
        bound: WITH (modulus 1, remainder 0)
        checks:
          old: age > 30
views:
  odd: {query: "SELECT DISTINCT ON (id) id FROM people"}
materialized_views:
  counted: {query: "SELECT DISTINCT ON (id) id FROM people"}
grants:
  - {on: table people, to: app, privileges: [select]}
  - {on: table odd, to: app, privileges: [select]}
raw: []
""".replace("raw: []\n", "").replace("{on:", "{'on':")
LINES = SPEC.splitlines()


def line(text: str) -> int:
    """Of the spec as `design` reads it, which begins with kind and store."""
    return next(number for number, one in enumerate(LINES, 3) if text in one)


PLACES = {
    "people.people_pkey": "id: {",
    "people.people_name_key": "name: {",
    "people.people_age_check": "check: age > 0",
    "people.people_boss_fkey": "references: {table: people, on_delete: set null}",
    "people.people_email_name_key": "- [email, name]",
    "people.people_age_name_boss_key": "- [age, name, boss]",
    "people.adult": "adult:",
    "people.people_age_fkey": "- {columns: [age], ref",
    "people.alone": "name: alone",
}


def test_a_constraint_stands_where_it_is_written() -> None:
    subject = design(SPEC)
    marks = Marks(subject)
    table = next(one for one in subject.database.tables if one.name.name == "people")
    assert {f"people.{one.name}" for one in table.constraints} == set(PLACES)
    for name, text in PLACES.items():
        mark = marks.of_table(Name("public", "people"), ("constraints", name.removeprefix("people.")))
        assert mark is not None
        assert mark.line == line(text), name


OBJECTS = {
    "extension pg_trgm": "extensions:",
    "function public.half": "half(of it)",
    "role app": "app: {}",
    "public.people": "  people:",
    "public.people_0": "people_0:",
    "public.people_0.old": "old: age > 30",
    "public.people.own": "own: {using",
    "public.odd": "odd: {query",
    "public.counted": "counted: {query",
    "grant people table app": "on': table people",
    "grant odd table app": "on': table odd",
}


@pytest.mark.parametrize("dialect", TARGETS)
def test_a_finding_has_the_line_of_its_object(dialect: Dialect) -> None:
    made = render(design(SPEC), dialect, "dpe")
    for name, text in OBJECTS.items():
        found = {f.line for f in made.findings if f.object == name}
        assert found == {line(text)}, name
    twice = {f.line for f in made.findings if f.object == "function public.twice"}
    assert twice == {line("twice(x integer)"), line("twice(x numeric)")}


@pytest.mark.parametrize("dialect", TARGETS)
def test_only_what_is_written_nowhere_has_no_line(dialect: Dialect) -> None:
    made = render(design(SPEC), dialect, "dpe")
    assert {f.object for f in made.findings if f.line is None} <= {"Customer DB"}

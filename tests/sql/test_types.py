"""What a type's text refers to."""

from __future__ import annotations

import postgast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.postgres.connect import connect
from data_platform.postgres.server import Server
from data_platform.sql import types
from data_platform.sql.text import NotSql, identifier
from data_platform.sql.types import TypeReference, reference, with_schema

NAMES = st.text(
    # Cc and Cf: in an author's type those are written as escapes
    st.characters(exclude_categories=["Cs", "Cc", "Cf"]),
    min_size=1,
    max_size=15,
).filter(lambda name: name != "pg_catalog")
MODIFIERS = st.lists(st.integers(0, 2**31 - 1), max_size=3)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("text", TypeReference(None, "text", (), False)),
        ("integer", TypeReference(None, "int4", (), False)),
        ("INT", TypeReference(None, "int4", (), False)),
        ("pg_catalog.int4", TypeReference(None, "int4", (), False)),
        ("double precision", TypeReference(None, "float8", (), False)),
        ("numeric(10, -2)", TypeReference(None, "numeric", ("10", "-2"), False)),
        ("timestamp(3) with time zone[]", TypeReference(None, "timestamptz", ("3",), True)),
        ("vector(384)", TypeReference(None, "vector", ("384",), False)),
        ("shop.status[][]", TypeReference("shop", "status", (), True)),
        ('"Shop"."St.atus"', TypeReference("Shop", "St.atus", (), False)),
        ("geometry(Point, 4326)", TypeReference(None, "geometry", ("point", "4326"), False)),
    ],
)
def test_reads(text: str, found: TypeReference) -> None:
    assert reference(text) == found


@pytest.mark.parametrize("text", ["", "a.b.c", "int x", "setof int", "int) FROM (t", "\0"])
def test_refuses(text: str) -> None:
    with pytest.raises(NotSql):
        reference(text)


@given(NAMES, NAMES, MODIFIERS, st.booleans())
def test_any_name_comes_back(schema: str, name: str, modifiers: list[int], array: bool) -> None:
    try:
        bare, home = identifier(name), identifier(schema)
    except NotSql:
        return
    numbers = tuple(str(modifier) for modifier in modifiers)
    tail = (f"({', '.join(numbers)})" if numbers else "") + ("[]" if array else "")
    # quoted, so that `int` is a name and not the word of the grammar
    quoted = '"' + name.replace('"', '""') + '"'
    assert reference(f"{quoted}{tail}") == TypeReference(None, name, numbers, array)
    assert reference(f"{home}.{quoted}{tail}") == TypeReference(schema, name, numbers, array)
    assert reference(with_schema(f"{quoted}{tail}", schema)) == TypeReference(schema, name, numbers, array)
    assert bare


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_any_text_is_a_type_or_refused(text: str) -> None:
    try:
        found = reference(text)
    except NotSql:
        return
    assert found.name
    assert len(postgast.parse(f"CREATE TABLE t (a {text})").stmts) == 1


def test_the_list_of_built_in_types_is_the_servers(server: Server) -> None:
    query = """
        SELECT typname FROM pg_type AS t
        WHERE typnamespace = 'pg_catalog'::regnamespace
          AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A' AND typname <> 'unknown'
          AND typname NOT LIKE 'pg\\_%' OR typname IN ('pg_lsn', 'pg_snapshot', 'oidvector', 'int2vector')"""
    with connect(server.conninfo, read_only=True) as connection:
        found = {row[0] for row in connection.execute(query)}
    assert found == types.BUILT_IN


INTERNAL = {"ghstore", "intbig_gkey", "ltree_gist"}
"""What indexes keep inside; no column has such a type."""


def test_the_types_of_extensions_are_the_servers(server: Server) -> None:
    here = ["citext", "cube", "hstore", "intarray", "isn", "lo", "ltree", "seg", "vector"]
    query = """
        SELECT e.extname, t.typname
        FROM pg_depend AS d
        JOIN pg_extension AS e ON e.oid = d.refobjid
        JOIN pg_type AS t ON t.oid = d.objid
        WHERE d.deptype = 'e' AND d.classid = 'pg_type'::regclass
          AND t.typcategory <> 'A' AND t.typtype IN ('b', 'd')"""
    with (
        server.scratch_database(extensions=here) as database,
        connect(database.conninfo, read_only=True) as connection,
    ):
        rows = connection.execute(query).fetchall()
    found = {name: {t for e, t in rows if e == name} - INTERNAL for name in here}
    assert found == {name: set(types.OF_EXTENSIONS[name]) for name in here}

"""A store with row security: who cannot see all rows is refused, and another model's table is closed as the first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from data_platform.errors import UsageProblem
from data_platform.postgres.server import Database, Server
from data_platform.postgres.vectors.ask import session
from data_platform.retrieval.changing import back, change, drop, prepare
from data_platform.retrieval.embedding import embedder
from data_platform.retrieval.evaluation.run import Extent, evaluate, store_of
from data_platform.retrieval.filling import Filling, fill
from data_platform.retrieval.proof import prove
from data_platform.spec.retrieval import Retrieval, Source, Tenants
from retrieval.test_changing import NOTHING, folder, spec_of

__all__ = ["folder"]


def secured(width: int) -> Retrieval:
    sources = (
        Source(path="d1*.md", metadata={"category": "a", "org": "one"}),
        Source(path="d2*.md", metadata={"category": "a", "org": "two"}),
    )
    settings = {"type": "bit", "rerank": 20} if width == 24 else {}
    tenants = Tenants(column="org", type="text", count=2)
    return replace(spec_of(width), sources=sources, tenants=tenants, settings=settings)


@pytest.fixture
def filled(vectors: Database, folder: Path, tmp_path: Path) -> Database:
    done = fill(vectors.conninfo, Filling(secured(8), folder, tmp_path / "m.db", create=True), NOTHING)
    assert done.new == 22
    return vectors


@pytest.fixture
def application(filled: Database) -> Iterator[str]:
    """A role that may search, and no more."""
    name = f"{filled.name}_application"
    with psycopg.connect(filled.admin_conninfo, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'a'".encode())
        admin.execute(f"GRANT USAGE ON SCHEMA help TO {name}".encode())
        admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA help TO {name}".encode())
        yield make_conninfo(filled.admin_conninfo, user=name, password="a")
        admin.execute(f"DROP OWNED BY {name}".encode())
        admin.execute(f"DROP ROLE {name}".encode())


def test_a_role_that_does_not_see_all_rows_is_refused(filled: Database, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="row security hides rows"):
        fill(filled.conninfo, Filling(secured(8), folder, tmp_path / "m.db"), NOTHING)
    with pytest.raises(UsageProblem, match="row security hides rows"):
        prepare(filled.conninfo, secured(24), folder, tmp_path / "n.db", NOTHING)


def test_it_measures_nothing_and_searches_as_one_tenant(filled: Database, folder: Path) -> None:
    spec = secured(8)
    with pytest.raises(UsageProblem, match="row security hides rows"):
        evaluate(filled.conninfo, spec, folder, None, Extent(5, 1, 0.1), NOTHING)
    vector = embedder(spec.model, folder).embed(["more words"])[0]
    with session(filled.conninfo, store_of(spec), tenant="one") as one:
        assert len(one.ask("vector", vector, "", 50)) == 11
    assert evaluate(filled.admin_conninfo, spec, folder, None, Extent(5, 1, 0.1), NOTHING).rows == 22


def test_a_proof_sees_every_tenant(server: Server, folder: Path, tmp_path: Path) -> None:
    proof = prove(server, secured(8), folder, tmp_path / "m.db", None, Extent(5, 1, 0.1), NOTHING)
    assert (proof.loaded, proof.again, proof.evaluation.rows) == (22, 0, 22)


def test_one_that_does_loads_again(filled: Database, folder: Path, tmp_path: Path) -> None:
    (folder / "d10.md").unlink()
    done = fill(filled.admin_conninfo, Filling(secured(8), folder, tmp_path / "m.db"), NOTHING)
    assert (done.unchanged, done.changed, done.vanished) == (21, 0, 1)


def test_a_document_that_changes_hands_is_the_new_tenants(
    filled: Database, folder: Path, tmp_path: Path
) -> None:
    spec = secured(8)
    one, two = spec.sources
    theirs = replace(two, path="d10.md")
    rest = replace(one, path="d1[1-9].md")
    both = (replace(one, path="d1.md"), rest, theirs, two)
    done = fill(
        filled.admin_conninfo, Filling(replace(spec, sources=both), folder, tmp_path / "m.db"), NOTHING
    )
    assert (done.changed, done.embedded) == (1, 0)
    with psycopg.connect(filled.admin_conninfo) as connection:
        for table in ("documents d", "chunks c JOIN help.documents d ON d.id = c.document_id"):
            owner = connection.execute(
                f"SELECT {table[0]}.org FROM help.{table} WHERE d.uri LIKE '%d10.md'".encode()
            ).fetchall()
            assert owner == [("two",)], table


def test_another_models_table_is_as_closed_and_as_open_as_the_first(
    filled: Database, application: str, folder: Path, tmp_path: Path
) -> None:
    assert found(application, 8, folder, None) == []
    assert len(found(application, 8, folder, "one")) == 11
    prepare(filled.admin_conninfo, secured(24), folder, tmp_path / "n.db", NOTHING)
    change(filled.admin_conninfo, secured(24), folder, tmp_path / "n.db", NOTHING)
    assert found(application, 24, folder, None) == []
    assert len(found(application, 24, folder, "one")) == 11
    with psycopg.connect(application) as connection:
        direct = connection.execute("SELECT count(*) FROM help.embeddings_static_24").fetchone()
    assert direct == (0,)
    back(filled.admin_conninfo, secured(24))
    drop(filled.admin_conninfo, secured(8), "static 24")


def found(conninfo: str, width: int, folder: Path, tenant: str | None) -> list[Any]:
    vector = embedder(secured(width).model, folder).embed(["more words"])[0].tolist()
    with psycopg.connect(conninfo) as connection:
        if tenant:
            connection.execute("SELECT set_config('app.tenant', %s, false)", [tenant])
        search = f"SELECT * FROM help.search_static_{width}(%s::vector, 50)"
        return connection.execute(search.encode(), [str(vector)]).fetchall()

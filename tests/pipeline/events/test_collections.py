"""Collections of Qdrant that follow tables: the real engine behind its REST interface, and a PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.pipeline import relaying
from data_platform.pipeline.prove import qdrant
from data_platform.pipeline.prove.faults import Truth
from data_platform.pipeline.prove.living import LivingTrials
from data_platform.pipeline.prove.qdrant import Engine
from data_platform.pipeline.prove.trial import Made
from data_platform.pipeline.run import Ran, run
from data_platform.pipeline.status import status
from data_platform.pipeline.streams import Place
from data_platform.postgres.pipelines.sessions import Passing
from data_platform.postgres.server import Database, embedded_server
from data_platform.qdrant import points
from data_platform.spec.document import SpecProblem
from pipeline.running import ask, do, spec_of

SPEC = """
pattern: cqrs
retries: 0
sources: [{name: things, dsn: target, table: things, key: [id], columns: {id: int, name: text, v: "real[]"}}]
collections:
  - {name: found, store: Search, url: env:NOWHERE, collection: things, from: things, vector: {column: v, dimensions: 2}}
"""
TRUTH = Truth({}, 0.2)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with qdrant.running() as one:
        yield one


@pytest.fixture
def shop(database: Database) -> Database:
    ask(database, "CREATE TABLE things (id int PRIMARY KEY, name text, v real[])")
    ask(database, "INSERT INTO things VALUES (1, 'a', '{1,0}'), (2, 'b', '{0,1}'), (3, 'c', NULL)")
    return database


def go(shop: Database, folder: Path, engine: Engine, text: str = SPEC, **how: Any) -> Ran:
    return do(shop, folder, text, **{"addresses": {"collection found": engine.url}, **how})


def there(engine: Engine, name: str = "things") -> Mapping[int, str]:
    """Names by id of the points that are not gone."""
    found = [one.payload for one in engine.points(name) if "gone_at" not in one.payload[points.OWN]]
    assert len({one["id"] for one in found}) == len(found)
    return {one["id"]: one["name"] for one in found}


def counted(ran: Ran) -> list[tuple[str, int, int, int]]:
    return [(one.way, one.counts.read, one.counts.inserted, one.counts.deleted) for one in ran.steps]


def test_what_was_there_and_what_comes(shop: Database, tmp_path: Path, engine: Engine) -> None:
    assert counted(go(shop, tmp_path, engine, dry_run=True)) == [("filled", 3, 2, 0)]
    assert engine.collections == {}
    assert counted(go(shop, tmp_path, engine)) == [("filled", 3, 2, 0)]
    assert there(engine) == {1: "a", 2: "b"}
    assert go(shop, tmp_path, engine).steps == ()
    ask(shop, "UPDATE things SET name = 'A' WHERE id = 1; UPDATE things SET v = '{1,1}' WHERE id = 3")
    ask(shop, "UPDATE things SET v = NULL WHERE id = 1; DELETE FROM things WHERE id = 2")
    ask(shop, "UPDATE things SET id = 5 WHERE id = 3")
    ran = go(shop, tmp_path, engine)
    assert (ran.counts.read, ran.counts.inserted, ran.counts.deleted) == (6, 1, 3)
    assert there(engine) == {5: "c"}
    kept = status(spec_of(tmp_path, SPEC), shop.conninfo).standing
    assert [(one.name, one.told) for one in kept] == [("found", "0 events not read")]


def test_nobody_waits_for_a_filling_and_nothing_is_purged_meanwhile(
    shop: Database, tmp_path: Path, engine: Engine
) -> None:
    writing = (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = current_database()"
    )
    readers = "SELECT name, window_from::text FROM p_outbox.readers"
    seen = []
    engine.before = lambda number: seen.append((ask(shop, writing), ask(shop, readers)))
    go(shop, tmp_path, engine)
    assert seen == [([(0,)], [("found", "0")])]


def test_nobody_waits_for_what_is_sent_and_a_run_ends_though_they_write_on(
    shop: Database, tmp_path: Path, engine: Engine
) -> None:
    """Each write to Qdrant meets one more to the table, which is not held up, while it is filled and after."""

    def before(number: int) -> None:
        ask(shop, f"SET lock_timeout = '2s'; INSERT INTO things VALUES ({number + 100}, 'new', '{{1,1}}')")
        ask(shop, "SET lock_timeout = '2s'; UPDATE things SET name = name || '!' WHERE id = 1")

    engine.before = before
    assert [one.way for one in go(shop, tmp_path, engine).steps] == ["filled", "sent", "sent"]
    engine.before = lambda number: None
    go(shop, tmp_path, engine)
    assert there(engine) == dict(ask(shop, "SELECT id, name FROM things WHERE v IS NOT NULL"))


def test_tombstones_go_once_nothing_older_can_come(
    shop: Database, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(shop, tmp_path, engine)
    ask(shop, "DELETE FROM things WHERE id = 1")
    go(shop, tmp_path, engine)
    assert len(engine.points("things")) == 2
    monkeypatch.setattr(points, "TOMBSTONE_SECONDS", -10)
    go(shop, tmp_path, engine)
    assert len(engine.points("things")) == 1


def test_it_is_filled_anew_where_the_spec_or_the_collection_is_another(
    shop: Database, tmp_path: Path, engine: Engine
) -> None:
    go(shop, tmp_path, engine)
    changed = SPEC.replace("from: things", "from: things, payload: [name]")
    assert counted(go(shop, tmp_path, engine, changed)) == [("filled", 3, 2, 0)]
    del engine.collections["things"]
    assert counted(go(shop, tmp_path, engine, changed)) == [("filled", 3, 2, 0)]
    ask(
        shop,
        "ALTER TABLE things DISABLE TRIGGER ALL; DELETE FROM things WHERE id = 1; UPDATE things SET name = 'B'",
    )
    assert counted(go(shop, tmp_path, engine, changed)) == [("filled", 2, 1, 0)]
    assert there(engine) == {2: "B"}
    for name, body in reversed(engine.writes[:]):  # late, of runs before
        engine.write(name, body)
    assert there(engine) == {2: "B"}
    assert counted(go(shop, tmp_path, engine, changed, resnapshot=True)) == [("filled", 2, 1, 0)]


def test_points_of_others_in_the_collection_are_left_alone(
    shop: Database, tmp_path: Path, engine: Engine
) -> None:
    go(shop, tmp_path, engine)
    other = {"id": 7, "vector": [1.0, 1.0], "payload": {"id": 7, "name": "other", points.OWN: {"version": 0}}}
    engine.write("things", {"points": [other]})
    go(shop, tmp_path, engine, SPEC.replace("from: things", "from: things, payload: [name]"))
    assert there(engine) == {1: "a", 2: "b", 7: "other"}


def test_a_row_that_makes_no_point_is_named_and_what_came_before_is_there(
    shop: Database, tmp_path: Path, engine: Engine
) -> None:
    go(shop, tmp_path, engine)
    ask(shop, "INSERT INTO things VALUES (4, 'd', '{1,1}'), (5, 'e', '{1,1,1}'), (6, 'f', '{1,1}')")
    with pytest.raises(
        UsageProblem, match=r"stands before event \d+ \(things.insert\): `v` of things \[5\] has 3"
    ):
        go(shop, tmp_path, engine)
    assert there(engine) == {1: "a", 2: "b", 4: "d"}
    ask(shop, "DELETE FROM things WHERE id = 5")
    go(shop, tmp_path, engine, resnapshot=True)
    assert there(engine) == {1: "a", 2: "b", 4: "d", 6: "f"}
    ask(shop, "INSERT INTO things VALUES (8, 'h', '{NaN,1}')")
    with pytest.raises(UsageProblem, match="is no list of numbers"):
        go(shop, tmp_path, engine)


def test_servers_and_collections_that_do_not_do(
    shop: Database, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageProblem, match="is no address"):
        do(shop, tmp_path, SPEC)
    monkeypatch.setattr(qdrant, "VERSION", "1.15.5")
    with pytest.raises(UsageProblem, match=r"this is Qdrant 1\.15"):
        go(shop, tmp_path, engine)
    monkeypatch.undo()
    go(shop, tmp_path, engine)
    with pytest.raises(UsageProblem, match="has other vectors"):
        go(shop, tmp_path, engine, SPEC.replace("dimensions: 2", "dimensions: 3"))
    engine.before = lambda number: 503
    ask(shop, "UPDATE things SET name = 'x'")
    with pytest.raises(EnvironmentProblem, match="HTTP 503"):
        go(shop, tmp_path, engine)
    engine.before = lambda number: None
    go(shop, tmp_path, engine)
    assert there(engine) == {1: "x", 2: "x"}


def test_a_named_vector_of_pgvector(shop: Database, tmp_path: Path, engine: Engine) -> None:
    text = SPEC.replace("column: v,", "column: v, name: words, distance: dot,").replace('"real[]"', "text")
    ask(shop, "ALTER TABLE things ALTER v TYPE text USING translate(v::text, '{}', '[]')")
    go(shop, tmp_path, engine, text)
    assert sorted(one.vector["words"] for one in engine.points("things")) == [[0.0, 1.0], [1.0, 0.0]]


TWO = SPEC + SPEC[SPEC.index("  - {name: found") :].replace("name: found", "name: other")


def test_a_collection_that_is_let_go_takes_its_points_along(
    shop: Database, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {"addresses": {"collection found": engine.url, "collection other": engine.url}}
    do(shop, tmp_path, TWO, **both)
    assert len(engine.points("things")) == 4, "two relays share a collection"
    (fix,) = [one.fix for one in status(spec_of(tmp_path, SPEC), shop.conninfo).findings]
    assert "its points go" in str(fix)
    monkeypatch.setenv("NOWHERE", "http://127.0.0.1:9")
    with pytest.raises(Passing, match="the points of the collection other cannot be taken away") as raised:
        go(shop, tmp_path, engine, drop_removed=True)
    assert "DELETE FROM p_outbox.readers WHERE name = 'other';" in str(raised.value.try_)
    assert [step.way for step in go(shop, tmp_path, engine, drop_removed=True, **both).steps] == [
        "let go with its points"
    ]
    assert there(engine) == {1: "a", 2: "b"}
    assert status(spec_of(tmp_path, SPEC), shop.conninfo).findings == ()
    assert ask(shop, "SELECT name FROM p_outbox.readers") == [("found",)]
    # One whose collection is gone has no points; nor is anything kept of a password.
    secret = TWO.replace("env:NOWHERE", "http://me:word@127.0.0.1:9/under?key=word")
    do(shop, tmp_path, secret, **both)
    assert "word" not in str(ask(shop, "SELECT position FROM dpe_pipeline.checkpoints"))
    del engine.collections["things"]
    assert "let go with its points" in [
        step.way for step in go(shop, tmp_path, engine, drop_removed=True, **both).steps
    ]


def test_positions_that_went_back_are_no_older_than_the_points(
    shop: Database, tmp_path: Path, engine: Engine
) -> None:
    """PostgreSQL restored, or its outbox made anew: else all that is sent would be refused as older, unsaid."""
    go(shop, tmp_path, engine)
    for _ in range(3):
        ask(shop, "UPDATE things SET name = name || '!'")
    go(shop, tmp_path, engine)
    ask(
        shop,
        "DELETE FROM p_outbox.outbox; SELECT setval(pg_get_serial_sequence('p_outbox.outbox', 'position'), 2)",
    )
    ask(shop, "UPDATE things SET name = 'restored' WHERE id = 1; DELETE FROM things WHERE id = 2")
    assert [one.way for one in go(shop, tmp_path, engine).steps][:1] == ["filled"]
    assert there(engine) == {1: "restored"}
    assert go(shop, tmp_path, engine).steps == ()
    ask(shop, "DROP SCHEMA p_outbox CASCADE; UPDATE things SET name = 'new' WHERE id = 1")
    go(shop, tmp_path, engine)
    ask(shop, "UPDATE things SET name = 'newer' WHERE id = 1")
    go(shop, tmp_path, engine)
    assert there(engine) == {1: "newer"}


def test_two_pipelines_with_a_collection_of_one_name(shop: Database, tmp_path: Path, engine: Engine) -> None:
    """In one outbox they would share a place; in one collection of Qdrant their points are apart."""
    place = Place(shop.conninfo, tmp_path, addresses={"collection found": engine.url})
    go(shop, tmp_path, engine)
    other = replace(spec_of(tmp_path, SPEC + "outbox: p_outbox\n"), name="other")
    with pytest.raises(
        UsageProblem, match="the pipeline p has a collection found that follows the outbox p_outbox"
    ):
        run(other, place)
    run(replace(spec_of(tmp_path, SPEC + "outbox: mine\n"), name="other"), place)
    assert sorted(one.payload["name"] for one in engine.points("things")) == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("from: things, vector", "from: nothing, vector", "no source `nothing`"),
        ("{column: v,", "{column: w,", "no column `w`"),
        ("from: things,", "from: things, payload: [v],", "the vector is in the point anyway"),
        ("pattern: cqrs", "pattern: events", "`collections` means nothing to the pattern events"),
        ("collections:\n  - {name: found", "collections:\n  - {name: f", None),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, was: str, now: str, told: str | None) -> None:
    text = SPEC.replace(was, now)
    if told is None:
        assert spec_of(tmp_path, text).kept.collections[0].name == "f"
        return
    with pytest.raises(SpecProblem, match=told):
        spec_of(tmp_path, text)


# --- what the proof finds ---


@contextmanager
def trials(folder: Path) -> Iterator[LivingTrials]:
    with embedded_server() as server, TemporaryDirectory(dir=folder) as worlds:
        yield LivingTrials(server, Made(spec_of(folder, SPEC), (), rows=60), Path(worlds), 1)


def test_a_relay_that_overwrites_what_is_newer_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trials(tmp_path) as made:
        assert made.sent_again(TRUTH).equal
        monkeypatch.setattr(points, "_newer", lambda one: {"must": [{"has_id": [one.id]}]})
        assert made.sent_again(TRUTH).doubled


def test_a_relay_that_confirms_what_was_not_acknowledged_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = relaying._Relay._send

    def hopes(self: relaying._Relay, *given: Any) -> None:
        with suppress(Passing):
            send(self, *given)

    with trials(tmp_path) as made:
        assert made.out_of_reach(TRUTH).equal
        monkeypatch.setattr(relaying._Relay, "_send", hopes)
        assert made.out_of_reach(TRUTH).lost

"""Triggers made to fire, alone: which are called, which are not, and what they do."""

from __future__ import annotations

import pytest

from data_platform.postgres.server import Server
from data_platform.schema.prove.result import Claim
from data_platform.schema.prove.triggers import triggers, untried

from .grounds import filled

MODEL = """
functions:
  stamp: {returns: trigger, body: "BEGIN NEW.name := 'stamped'; RETURN NEW; END"}
  log_it: {returns: trigger, body: "BEGIN INSERT INTO log (what) VALUES (TG_OP); RETURN NULL; END"}
  refuse: {returns: trigger, body: "BEGIN RAISE EXCEPTION 'never'; END"}
  broken: {returns: trigger, body: "BEGIN NEW.no_such_column := 1; RETURN NEW; END"}
  swallow: {returns: trigger, body: "BEGIN RETURN NULL; END"}
  soft: {returns: trigger, body: "BEGIN UPDATE t SET gone = true WHERE id = OLD.id; RETURN NULL; END"}
  through: {returns: trigger, body: "BEGIN INSERT INTO log (what) VALUES ('view'); RETURN NEW; END"}
tables:
  log: {columns: {id: {type: bigint, identity: always, primary_key: true}, what: text}}
  t:
    columns:
      id: {type: bigint, identity: always, primary_key: true}
      name: text
      total: {type: numeric, check: total > 0}
      state: {type: text, check: "state IN ('open', 'closed')"}
      gone: boolean
    triggers:
      a_stamp: {timing: before, events: [insert, update], function: stamp}
      b_log: {timing: after, events: [insert, update, delete], function: log_it}
      c_refuse: {timing: before, events: delete, function: refuse}
      d_broken: {timing: before, events: update, function: broken}
      e_disabled: {timing: before, events: insert, function: stamp, enabled: disabled}
      f_replica: {timing: before, events: insert, function: stamp, enabled: replica}
      g_always: {timing: before, events: insert, function: stamp, enabled: always}
      h_swallow: {timing: before, events: delete, function: swallow}
      i_soft: {timing: before, events: delete, function: soft}
      j_when: {timing: after, events: insert, function: log_it, when: NEW.total > 5000}
      k_change: {timing: after, events: update, function: log_it, when: "OLD.state = 'open' AND NEW.state = 'closed'"}
      l_never: {timing: after, events: insert, function: log_it, when: NEW.total < -1}
      m_column: {timing: before, events: update, update_of: state, function: stamp}
      n_statement: {timing: after, events: [delete, truncate], level: statement, function: log_it}
      o_deferred: {timing: after, events: insert, function: log_it, constraint: true, deferral: initially deferred}
      p_no_op: {timing: before, events: update, function: pg_catalog.suppress_redundant_updates_trigger}
views:
  v:
    query: "SELECT id, name FROM t"
    triggers: {w: {timing: instead of, events: [insert, update, delete], function: through}}
"""


@pytest.fixture(scope="module")
def claims(server: Server) -> dict[str, Claim]:
    with filled(server, MODEL) as (ground, _, _):
        return {claim.object.split(" ")[0]: claim for claim in triggers(ground)}


@pytest.mark.parametrize(
    ("name", "state", "detail"),
    [
        ("a_stamp", "proven", "insert: changes `name`; update: changes `name`"),
        ("b_log", "proven", "delete: writes to `public.log`"),
        ("c_refuse", "proven", "refuses the row: `never`"),
        ("d_broken", "failed", 'its function fails: `record "new" has no field'),
        ("e_disabled", "proven", "insert: it is disabled: its function was not called"),
        ("f_replica", "proven", "insert: it is for replicas: its function was not called"),
        ("g_always", "proven", "changes `name`"),
        ("h_swallow", "failed", "keeps the row from the delete and writes nothing else"),
        ("i_soft", "proven", "its function was called"),
        ("j_when", "proven", "writes to `public.log`"),
        ("k_change", "proven", "writes to `public.log`"),
        ("l_never", "not checked", "satisfies its WHEN"),
        ("m_column", "proven", "changes `name`"),
        ("n_statement", "proven", "truncate: writes to `public.log`"),
        ("o_deferred", "proven", "writes to `public.log`"),
        ("p_no_op", "not checked", "does not count the calls of its own functions"),
        ("w", "proven", "delete: writes to `public.log`"),
    ],
)
def test_each_trigger(claims: dict[str, Claim], name: str, state: str, detail: str) -> None:
    assert claims[name].state == state, claims[name].detail
    assert detail in claims[name].detail


def test_the_function_is_not_called_for_another_event(server: Server) -> None:
    """The prober believes the catalog: on the server the trigger has been made for another event since."""
    text = """
functions: {stamp: {returns: trigger, body: "BEGIN RETURN NEW; END"}}
tables:
  t:
    columns: {id: {type: bigint, primary_key: true}, a: text}
    triggers: {s: {timing: before, events: update, function: stamp}}
"""
    with filled(server, text) as (ground, _, _):
        ground.connection.execute("DROP TRIGGER s ON t")
        ground.connection.execute("CREATE TRIGGER s BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp()")
        (claim,) = triggers(ground)
    assert (claim.state, claim.detail) == ("failed", "update: its function was not called")


def test_a_trigger_that_the_model_switches_off_must_not_fire(server: Server) -> None:
    """The prober believes the catalog: on the server somebody has switched it on again."""
    text = """
functions:
  stamp: {returns: trigger, body: "BEGIN RETURN NEW; END"}
  stop: {returns: trigger, body: "BEGIN RAISE EXCEPTION 'no'; END"}
tables:
  t:
    columns: {id: {type: bigint, primary_key: true}, a: text}
    triggers:
      s: {timing: before, events: update, function: stamp, enabled: disabled}
      z: {timing: before, events: delete, function: stop, enabled: disabled}
"""
    with filled(server, text) as (ground, _, _):
        assert {(claim.state, claim.claim.split(" before")[0]) for claim in triggers(ground)} == {
            ("proven", "does not fire")
        }
        ground.connection.execute("ALTER TABLE t ENABLE TRIGGER s, ENABLE TRIGGER z")
        told = [(claim.state, claim.detail) for claim in triggers(ground)]
    assert told[0] == ("failed", "update: it is disabled, and its function was called")
    assert told[1] == ("failed", "delete: it is disabled, and its function was called")


def test_a_trigger_of_a_partitioned_table(server: Server) -> None:
    text = """
functions: {stamp: {returns: trigger, body: "BEGIN NEW.a := 'x'; RETURN NEW; END"}}
tables:
  t:
    columns: {k: integer, a: text}
    partition_by: {hash: k}
    partitions: {p0: "WITH (modulus 2, remainder 0)", p1: "WITH (modulus 2, remainder 1)"}
    triggers: {s: {timing: before, events: [insert, update], function: stamp}}
"""
    with filled(server, text) as (ground, _, _):
        found = triggers(ground)
    assert [(claim.object, claim.state) for claim in found] == [("s on public.t", "proven")]


def test_nothing_of_it_stays(server: Server) -> None:
    with filled(server, MODEL) as (ground, _, _):
        query = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM log)"
        state = "SELECT array_agg((tgname, tgenabled)::text ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal"
        before = [ground.connection.execute(q).fetchone() for q in (query, state)]
        triggers(ground)
        assert [ground.connection.execute(q).fetchone() for q in (query, state)] == before


def test_where_calls_cannot_be_counted_it_is_said(server: Server) -> None:
    with filled(server, MODEL, rows=1) as (ground, _, _):
        assert {claim.state for claim in untried(ground)} == {"not checked"}

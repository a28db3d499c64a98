"""Each operation on a real server: what it makes of a schema and of rows, there and back, and that lint and prove say
the same of its steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from data_platform.migration.operations import OPERATIONS
from data_platform.migration.operations.prove import wanted
from data_platform.migration.plan.prove import Reached, reach
from data_platform.migration.plan.step import Step
from data_platform.migration.prove import state
from data_platform.postgres.load import Script
from data_platform.postgres.scratch import Database
from data_platform.postgres.server import Server
from data_platform.spec import document, validate
from data_platform.spec.change import read_change
from data_platform.spec.document import SpecProblem
from migration.agreement import Ground, contradictions, ground
from migration.lint.linting import linted
from migration.operations.trial import Trial, filled, told, trial
from migration.test_agreement_of_plans import written

HERE = Path(__file__).parent
BASE = (HERE / "base.sql").read_text()
ROWS = (HERE / "rows.sql").read_text()
PROMISES = yaml.safe_load((HERE / "promises.yaml").read_text())
VECTORS = """
CREATE EXTENSION vector;
CREATE TABLE docs (id bigint PRIMARY KEY, e vector(3));
CREATE INDEX docs_e ON docs USING hnsw (e vector_l2_ops);
"""


def _listed(kind: str) -> list[list[dict[str, object]]]:
    cases = yaml.safe_load((HERE / "cases.yaml").read_text())[kind]
    return [one if isinstance(one, list) else [one] for one in cases]


def _id(operations: list[dict[str, object]]) -> str:
    return "+".join(f"{name}" for one in operations for name in one)


def planned(server: Server, tmp_path: Path, base: str, operations: list[dict[str, object]]) -> Reached:
    """The operations as a spec, and the plan for them."""
    spec = {"kind": "change", "store": "Shop", "allow_data_loss": ["*"], "operations": operations}
    path = tmp_path / "change.yaml"
    path.write_text(json.dumps(spec))
    read = document.read(path)
    validate.check(read, "change")
    scripts = (Script("base.sql", base),)
    made = wanted(server, scripts, read_change(read))
    return reach(scripts, made.after, server, hints=made.hints, more=made.steps)


@pytest.fixture(scope="module")
def source(server: Server) -> Iterator[Database]:
    with filled(server, BASE, ROWS) as made:
        yield made


@pytest.fixture(scope="module")
def tried(server: Server) -> Iterator[Ground]:
    with ground(server, BASE, ROWS) as made:
        yield made


@dataclass(frozen=True)
class Case:
    """Operations and the plan for them, which takes longer than what is asked of it."""

    operations: list[dict[str, object]]
    reached: Reached


@pytest.fixture(scope="module", params=_listed("base"), ids=_id)
def case(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, planned(server, tmp_path_factory.mktemp("case"), BASE, request.param))


def test_an_operation_there_and_back(case: Case, server: Server, source: Database) -> None:
    operations, reached = case.operations, case.reached
    assert reached.broken is None
    assert reached.plan.refused == ()
    assert reached.left.equal, reached.left
    assert reached.plan.steps
    assert reached.down is not None
    assert reached.down.equal or any(step.one_way for step in reached.plan.steps), reached.down
    blocking = {step.blocks for step in reached.plan.steps if step.blocks}
    assert not blocking or set(operations[0]) & {"add_exclusion"}, blocking
    with trial(server, source) as here:
        rows_there_and_back(here, reached.plan.steps, str(operations))


def test_lint_and_prove_say_the_same_of_the_steps(case: Case, tried: Ground) -> None:
    """Of the same transactions that clients are kept out in them."""
    one = linted("".join(map(written, case.reached.plan.steps)), BASE)
    assert contradictions(one, tried.tried(one.script.statements)) == []


def rows_there_and_back(here: Trial, steps: Sequence[Step], asked: str) -> None:
    """Nobody is kept out while rows are read, values are as promised, and what is not as it was has been said."""
    before = here.rows()
    promises = [one for one in PROMISES if one["word"] in asked]
    values = [sorted(here.ask(one["before"]), key=str) for one in promises]
    here.up(steps)
    assert here.kept_out == []
    assert [sorted(here.ask(one["after"]), key=str) for one in promises] == values
    assert [one.object for one in state.lost(before, here.rows()) if not told(one.object, steps)] == []
    here.down(steps)
    assert [one.object for one in state.changed(before, here.rows()) if not told(one.object, steps)] == []


def test_each_promise_is_for_one_operation() -> None:
    listed = [str(one) for one in _listed("base")]
    assert [one["word"] for one in PROMISES if sum(one["word"] in asked for asked in listed) != 1] == []


@pytest.mark.parametrize("operations", _listed("vectors"), ids=_id)
def test_an_operation_on_vectors(server: Server, tmp_path: Path, operations: list[dict[str, object]]) -> None:
    reached = planned(server, tmp_path, VECTORS, operations)
    assert reached.broken is None
    assert reached.left.equal, reached.left
    assert reached.down is not None
    assert reached.down.equal, reached.down


def test_every_operation_of_the_schema_is_there_and_tried() -> None:
    kinds = json.loads(validate.schema_text("change"))["properties"]["operations"]["items"]["properties"]
    tried = {name for one in (*_listed("base"), *_listed("vectors")) for part in one for name in part}
    assert kinds.keys() == OPERATIONS.keys() == tried


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"drop_column": {"table": "users", "column": "emial"}}, "did you mean `email`?"),
        ({"drop_column": {"table": "user", "column": "email"}}, "did you mean `users`?"),
        ({"add_check": {"table": "bare", "check": "a >"}}, "syntax error"),
        (
            {"add_unique": {"table": "users", "columns": ["email"], "name": "orders_code"}},
            "the server refuses it",
        ),
        ({"drop_index": {"name": "nothing"}}, "there is no index"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(
    server: Server, tmp_path: Path, operation: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecProblem) as told:
        planned(server, tmp_path, BASE, [operation])
    (finding,) = told.value.findings
    assert message in finding.message
    assert finding.line is not None


def test_all_that_cannot_be_is_told_at_once(server: Server, tmp_path: Path) -> None:
    operations: list[dict[str, object]] = [
        {"create_table": {"table": "tags", "columns": {"id": "integr PRIMARY KEY"}}},
        {"drop_column": {"table": "users", "column": "emial"}},
        {"add_column": {"table": "users", "column": "note", "type": "text"}},
        {"add_index": {"table": "tags", "columns": ["id"]}},
        {"drop_column": {"table": "users", "column": "nmae"}},
        {"rename_column": {"table": "users", "column": "note", "to": "remark"}},
    ]
    with pytest.raises(SpecProblem) as told:
        planned(server, tmp_path, BASE, operations)
    found = [(one.object or "", "for want of `create_table`" in one.message) for one in told.value.findings]
    assert found == [
        ("operations.0.create_table", False),
        ("operations.1.drop_column.column", False),
        ("operations.3.add_index.table", True),
        ("operations.4.drop_column.column", False),
    ]


def test_an_operation_that_fails_halfway_leaves_nothing(server: Server, tmp_path: Path) -> None:
    twice: list[dict[str, object]] = [
        {
            "create_table": {
                "table": "parted",
                "columns": {"at": "date"},
                "partition_by": "RANGE (at)",
                "partitions": {"rest": "FOR"},
            }
        },
        {"create_table": {"table": "parted", "columns": {"at": "date"}}},
        {"drop_index": {"name": "nothing"}},
    ]
    with pytest.raises(SpecProblem) as told:
        planned(server, tmp_path, BASE, twice)
    assert [one.object for one in told.value.findings] == [
        "operations.0.create_table",
        "operations.2.drop_index.name",
    ]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            {
                "change_type": {
                    "table": "orders",
                    "column": "total",
                    "type": "numeric",
                    "using": "total / 100.0",
                    "back": "(total * 100)::integer",
                }
            },
            {"rename_column": {"table": "orders", "column": "total", "to": "sum"}},
            "`total` has a `back` in this change",
        ),
        (
            {"rename_column": {"table": "orders", "column": "total", "to": "sum"}},
            {"change_type": {"table": "orders", "column": "sum", "type": "numeric", "using": "sum / 100.0"}},
            "`sum` is renamed in this change",
        ),
        (
            {"split_table": {"table": "users", "columns": ["email"], "into": "mails"}},
            {"change_type": {"table": "mails", "column": "email", "type": "varchar(9)"}},
            "`email` comes from another table in this change",
        ),
    ],
)
def test_two_operations_that_are_two_changes(
    server: Server, tmp_path: Path, first: dict[str, object], second: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecProblem) as told:
        planned(server, tmp_path, BASE, [first, second])
    (finding,) = told.value.findings
    assert message in finding.message

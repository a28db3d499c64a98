"""Lint and prove say the same of every named operation: of the same transactions that clients are kept out in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.postgres.server import Server
from migration.agreement import Ground, contradictions, ground
from migration.lint.linting import linted
from migration.operations.test_operations import BASE, ROWS, _id, _listed, planned
from migration.test_agreement_of_plans import written


@pytest.fixture(scope="module")
def place(server: Server) -> Iterator[Ground]:
    with ground(server, BASE, ROWS) as made:
        yield made


@pytest.mark.parametrize("operations", _listed("base"), ids=_id)
def test_the_steps_of_an_operation(
    operations: list[dict[str, object]], place: Ground, server: Server, tmp_path: Path
) -> None:
    steps = planned(server, tmp_path, BASE, operations).plan.steps
    one = linted("".join(map(written, steps)), BASE)
    assert contradictions(one, place.tried(one.script.statements)) == []

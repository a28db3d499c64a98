"""The score on other linters' labelled cases, where they are at hand."""

from __future__ import annotations

import pytest

from migration.lint.cases import cases, folder, reported, score

FOLDER = folder()


@pytest.mark.skipif(FOLDER is None, reason="DPE_MIGRATION_CASES names no folder of labelled cases")
def test_score() -> None:
    assert FOLDER is not None
    done = score((case, reported(case)) for case in cases(FOLDER))
    assert done.recall >= 0.97, done.missed
    assert done.precision >= 0.97, done.wrong

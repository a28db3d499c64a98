"""The examples keep what their page says, over a dozen faults each; the command makes twenty kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.pipeline.prove.prove import prove
from data_platform.postgres.server import embedded_server
from data_platform.spec import document, validate
from data_platform.spec.pipeline import read_pipeline

EXAMPLES = Path(__file__).parents[2] / "examples" / "pipelines"
SPECS = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_it_survives_what_the_page_says(path: Path) -> None:
    read = document.read(path)
    validate.check(read, "pipeline")
    with embedded_server() as server:
        spec = read_pipeline(read)
        # A few of the 20 kills that the command makes of itself, so that a run of all tests stays short.
        proof = prove(server, spec, kills=5, rows=200, seed=3, tell=lambda what, share: None)
    assert [(one.name, one.at, one.why) for one in proof.faults if not one.equal] == []
    assert len(proof.faults) >= 12


def test_each_is_on_the_page() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in SPECS if f"`{path.name}`" not in page] == []

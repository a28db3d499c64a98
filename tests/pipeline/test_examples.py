"""The examples keep what their page says: each is proven over twenty faults and more."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.pipeline.prove.prove import prove
from data_platform.postgres.server import embedded_server
from data_platform.spec import document, validate
from data_platform.spec.pipeline import read_pipeline
from data_platform.spec.pipeline_patterns import WITHIN

EXAMPLES = Path(__file__).parents[2] / "examples" / "pipelines"
SPECS = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_it_survives_what_the_page_says(path: Path) -> None:
    read = document.read(path)
    validate.check(read, "pipeline")
    with embedded_server() as server:
        spec = read_pipeline(read)
        # Where a store or a stream is followed there are more faults of other kinds.
        kills = 8 if spec.pattern in ("cdc", *WITHIN) else 13
        kills = 3 if spec.kept.collections else kills
        proof = prove(server, spec, kills=kills, rows=200, seed=3, tell=lambda what, share: None)
    assert [(one.name, one.at, one.why) for one in proof.faults if not one.equal] == []
    assert len(proof.faults) >= 20


def test_each_is_on_the_page() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in SPECS if f"`{path.name}`" not in page] == []

"""Settings back into a spec: nothing else changes, and it reads as what was measured."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_platform.retrieval.tuning.written import with_settings
from data_platform.spec import validate

SETTINGS = {
    "type": "halfvec",
    "index": "hnsw",
    "m": 8,
    "ef_construction": 64,
    "ef_search": 33,
    "rerank": None,
}
EXAMPLE = validate.example_text("retrieval")


def test_added_and_replaced() -> None:
    once = with_settings(EXAMPLE, SETTINGS)
    assert once.startswith(EXAMPLE)
    assert yaml.safe_load(once)["settings"] == {
        name: value for name, value in SETTINGS.items() if value is not None
    }
    again = with_settings(once, {"index": "none"})
    assert again.startswith(EXAMPLE)
    assert yaml.safe_load(again)["settings"] == {"index": "none"}


BLOCK = "settings:\n  m: 3\n  # why\n  index: hnsw\n"


@given(
    before=st.lists(st.sampled_from(["a: 1\n", "# note\n", "\n", "b: {c: 2}\n"]), max_size=6).map("".join),
    after=st.lists(st.sampled_from(["z: 1\n", "# end\n", "y:\n  - 1\n"]), max_size=4).map("".join),
)
def test_everything_else_stays(before: str, after: str) -> None:
    made = with_settings(f"{before}{BLOCK}{after}", SETTINGS)
    assert made.startswith(before)
    assert made.endswith(after)
    assert made.count("\nsettings:") + made.startswith("settings:") == 1

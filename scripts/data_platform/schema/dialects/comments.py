"""Comments as statements of their own, and the finding where a target has none."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.schema.dialects.ledger import Place
from data_platform.schema.dialects.work import Work


def comment(work: Work, kind: str, object_: str, text: str | None, place: Place) -> Iterator[str]:
    """COMMENT ON, where that is the target's form; a finding where there is none."""
    if text is None:
        return
    if work.target.comments == "statement":
        yield f"COMMENT ON {kind} {object_} IS {work.quote(work.visible(text, place))}"
    elif work.target.comments == "none":
        work.ledger.lacks(place, "its comment is left out")

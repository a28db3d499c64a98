"""A load that was not done, for a program and for a person."""

from __future__ import annotations

from typing import Any

from data_platform.report.document import Bullets, Code, Heading, Paragraph, Piece, Report
from data_platform.retrieval.foreseeing import Foreseen
from data_platform.spec.retrieval import Retrieval

_SHOWN, _LISTED = 20, 1000
"""Addresses that are written out, for a person and for a program."""


def result(found: Foreseen) -> dict[str, Any]:
    """The `result` of the JSON envelope; lists end after 1,000 addresses, counts do not."""
    plan = found.plan
    return {
        "dry_run": True,
        "new": len(plan.new),
        "changed": len(plan.changed),
        "unchanged": plan.unchanged,
        "vanished": len(plan.vanished),
        "chunks": plan.chunks,
        "embedded": found.texts,
        "remembered": found.remembered,
        "tokens": found.tokens,
        "tokens_evidence": "measured" if found.counted else "assumed",
        "cost_usd": found.cost_usd,
        "creates_store": found.creates,
        "documents": {
            "new": plan.new[:_LISTED],
            "changed": plan.changed[:_LISTED],
            "vanished": plan.vanished[:_LISTED],
        },
    }


def report(spec: Retrieval, found: Foreseen, repeat: str) -> Report:
    """What would be done to which documents, and what it would cost."""
    plan = found.plan
    pieces: list[Piece] = [Paragraph(_cost(found))]
    for title, uris in (("Added", plan.new), ("Replaced", plan.changed), ("Removed", plan.vanished)):
        if uris:
            more = (f"and {len(uris) - _SHOWN:,} more",) if len(uris) > _SHOWN else ()
            pieces += [Heading(title), Bullets((*(Code(uri) for uri in uris[:_SHOWN]), *more))]
    pieces.append(Paragraph(("To do it: ", Code(repeat), ".")))
    return Report(
        title=("What a load into ", Code(spec.name), " would do"),
        verdict="nothing was written.",
        good=None,
        summary=(
            f"{len(plan.new):,} documents would be added, {len(plan.changed):,} replaced, {len(plan.vanished):,}"
            f" removed; {plan.unchanged:,} are as they were. {plan.chunks:,} chunks,"
            f" of which {found.texts:,} would be embedded."
            + (" The store would be made first." if found.creates else "")
        ),
        pieces=tuple(pieces),
    )


def _cost(found: Foreseen) -> str:
    about = "" if found.counted else "about "
    how = "counted with the tokenizer" if found.counted else "taken as 4 characters each"
    text = f"To embed: {found.texts:,} texts of {about}{found.tokens:,} tokens ({how})"
    if found.remembered:
        text += f"; {found.remembered:,} more are in the memory of vectors"
    if found.cost_usd is None:
        return f"{text}. The spec has no price of the model."
    return f"{text}. Cost: {about}{found.cost_usd:,.4f} USD."

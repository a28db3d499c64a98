"""What stands above each unit: what made it, why it has this form, what it waits for, and what cannot be taken back."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from data_platform import __version__
from data_platform.migration.formats.context import Context
from data_platform.migration.formats.units import Unit

_WIDTH = 110
_READ_BY_TOOLS = re.compile(
    r"[-+@:/*]|\w[\w-]*[:=]|(?:changeset|rollback|liquibase|precondition|comment|no-)", re.IGNORECASE
)
"""Beginnings that a tool could take for an order of its own."""


def about(unit: Unit, context: Context, *more: str) -> list[str]:
    """Lines without a comment mark, none of which can end a comment that lasts to the end of a line."""
    step, patience = unit.step, context.patience
    before, after = unit.works
    part = f", statement {unit.part} of {unit.parts}" if unit.parts > 1 else ""
    facts = [
        *_origin(context),
        f"Step {unit.number} of {unit.total}{part} ({step.phase}): {step.name}",
        f"Why: {step.reason}",
        *([f"Blocks: {step.blocks}"] if step.blocks else []),
        f"Locks: {', '.join(unit.locks)}" if unit.locks else "",
        f"Application: {before} before it, {after} after it",
        f"Run twice: {_twice(step.again)}",
        f"On 55P03 (lock not available): run it again, up to {patience.attempts} times, {patience.pause} s apart.",
        _AFTER_A_FAILURE if unit.part > 1 else "",
        *([_NO_FILL.format(table=step.fill.table)] if step.fill else []),
        *more,
    ]
    return list(_wrapped(facts))


_AFTER_A_FAILURE = (
    "If it failed: run what the files of this step before it hold again, by hand, and then this one, for the tool has "
    "those down as done."
)
_NO_FILL = "Batches: `dpe migration backfill` fills {table} too, with a place to go on from after a stop."


def _twice(again: str | None) -> str:
    return "changes nothing more." if again is None else f"no: {again}"


def taken_back(unit: Unit) -> list[str]:
    """Lines above what takes it back."""
    step = unit.step
    facts = [
        f"Gone for good: {', '.join(step.lost)}." if step.lost else "",
        f"To keep a copy: {step.keep}" if step.keep else "",
        f"Not taken back: {step.one_way}" if step.one_way else "",
        _NOTHING if not unit.down and not step.one_way and not unit.irreversible else "",
    ]
    return list(_wrapped(facts))


_NOTHING = "Nothing to take back here."


def why_irreversible(unit: Unit) -> str:
    """What the refusal to take it back says."""
    return f"{unit.step.name} cannot be taken back: {', '.join(unit.step.lost)} is gone"


def _origin(context: Context) -> Iterator[str]:
    header = context.header
    server = f" for PostgreSQL {header.server_version}" if header.server_version else ""
    yield f"{context.name}: made by data-platform-engineer {__version__}{server}."
    yield from (f"Source: {path} (SHA-256 {digest})" for path, digest in header.sources)
    if header.command:
        yield f"Again: {header.command}"


def _wrapped(facts: Sequence[str]) -> Iterator[str]:
    for fact in filter(None, facts):
        lines = textwrap.wrap(
            one_line(fact), _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        for number, line in enumerate(lines):
            yield f"  … {line.strip()}" if number and _READ_BY_TOOLS.match(line.strip()) else line


def one_line(text: str) -> str:
    """Text that stays within one line of a comment, whatever is in it."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))

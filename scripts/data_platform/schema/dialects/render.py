"""A design as the DDL of another database, in dependency order; what that cannot say is a finding for each object."""

from __future__ import annotations

from dataclasses import dataclass, replace

from data_platform import __version__
from data_platform.model.database import Sequence
from data_platform.model.design import Design
from data_platform.report.finding import Finding
from data_platform.schema.dialects.ledger import Ledger, Place, at_object
from data_platform.schema.dialects.names import Names
from data_platform.schema.dialects.objects import statements
from data_platform.schema.dialects.serials import with_identities
from data_platform.schema.dialects.targets import TARGETS, Dialect, Target
from data_platform.schema.dialects.types import Types
from data_platform.schema.dialects.work import Work


@dataclass(frozen=True)
class Rendered:
    """The DDL, and what became of the design's objects: each counts once, as expressed or as left out."""

    sql: str
    statements: tuple[str, ...]
    """The same without the header, one by one, for a driver."""
    findings: tuple[Finding, ...]
    expressed: int
    left_out: int


def render(design: Design, dialect: Dialect, again: str) -> Rendered:
    """The design in `dialect`. `again` is the command that makes it; the same design gives the same bytes."""
    target = TARGETS[dialect]
    names = Names(target)
    database, counters = with_identities(design.database)
    design = replace(design, database=database)
    ledger = Ledger(design)
    work = Work(design, target, names, Types(design, target, names), ledger)
    made = (*target.before, *statements(work))
    for sequence in counters:
        _told(work, sequence)
    if any(table.columns for table in design.database.tables):
        ledger.remark(
            Place(design.store), "text is ordered by code point, whatever PostgreSQL's collation is"
        )
    body = "\n\n".join(f"{statement};" for statement in made)
    return Rendered(
        sql=f"{_header(design, target, again)}\n{body}\n",
        statements=made,
        findings=ledger.findings,
        expressed=ledger.expressed,
        left_out=ledger.left_out,
    )


def _told(work: Work, sequence: Sequence) -> None:
    """What became of the sequence behind a serial column."""
    place = at_object("sequences", sequence.name)
    if sequence.owned_by in work.identities:
        work.ledger.wrote()
        work.ledger.remark(place, "the sequence is the identity of the column that owns it")
    else:
        work.ledger.omit(place, "the sequence is left out: the column that owns it does not count here")


def _header(design: Design, target: Target, again: str) -> str:
    lines = (
        f"{design.store}: made by data-platform-engineer {__version__} for {target.title}.",
        f"Source: {design.file} (SHA-256 {design.sha256})",
        f"Again: {again}",
    )
    return "".join(f"-- {_one_line(line)}\n" for line in lines)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

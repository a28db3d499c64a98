"""What every step of a translation shares: the design, the target, its names and types, and the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from data_platform.model.database import Name
from data_platform.model.design import Design
from data_platform.schema.dialects.ledger import Ledger, Place
from data_platform.schema.dialects.literals import Untranslatable
from data_platform.schema.dialects.names import Names
from data_platform.schema.dialects.reading import Reader
from data_platform.schema.dialects.scope import Scope, Typed
from data_platform.schema.dialects.targets import Target
from data_platform.schema.dialects.types import Types
from data_platform.schema.dialects.writing import quote, write
from data_platform.sql.text import NotSql, expression_tree

if TYPE_CHECKING:
    from data_platform.schema.dialects.columns import Plan

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Translated:
    """An expression in the target: its text, its tree, and which columns of the target it reads."""

    text: str
    typed: Typed

    @property
    def columns(self) -> frozenset[str]:
        """Names of columns, as the target has them."""
        return frozenset(column.name for column in self.typed.node.find_all(exp.Column))


@dataclass(frozen=True)
class Work:
    """One design on its way into one target."""

    design: Design
    target: Target
    names: Names
    types: Types
    ledger: Ledger
    sequences: dict[str, str] = field(default_factory=dict)
    """What `nextval` may name → the sequence in the target."""
    identities: set[tuple[Name, str]] = field(default_factory=set)
    """Columns, by table, in which the target counts."""
    plans: dict[Name, Plan] = field(default_factory=dict)
    """The tables that are written."""

    def quote(self, value: str) -> str:
        """A string constant."""
        return quote(value, self.target.name)

    def visible(self, value: str, place: Place) -> str:
        """A comment, in which characters that nobody sees are replaced."""
        seen = "".join(c if c.isprintable() or c in "\n\t" else _REPLACEMENT for c in value)
        if seen != value:
            self.ledger.differs(place, "the comment holds invisible characters, which are replaced")
        return seen

    def cut(self, value: str, limit: int, place: Place) -> str:
        """A comment within the limit of columns (0) or tables (1)."""
        limits = self.target.comment_limits
        if limits is None or len(value) <= limits[limit]:
            return value
        self.ledger.differs(place, f"the comment is cut at {limits[limit]} characters")
        return value[: limits[limit] - 1] + "…"

    def translate(
        self,
        text: str,
        columns: Mapping[tuple[str, ...], Typed],
        place: Place,
        *,
        volatile: bool = True,
    ) -> Translated:
        """The expression `text`, with a finding for each difference. Untranslatable if it has no counterpart."""
        notes: list[str] = []
        scope = Scope(self.target, self.types, columns, notes, volatile, self.sequences)
        try:
            made = Reader(scope).read(expression_tree(text))
            written = write(made.node, self.target.name)
        except NotSql as reason:
            raise Untranslatable(f"it is not one expression: {reason}") from None
        except UnsupportedError as reason:
            raise Untranslatable(str(reason)) from None
        for note in notes:
            self.ledger.differs(place, note)
        return Translated(written, made)

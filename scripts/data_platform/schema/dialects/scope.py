"""What an expression of the model may refer to, and what its translation yields; parentheses where they matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from data_platform.schema.dialects.literals import Untranslatable
from data_platform.schema.dialects.spellings import Kind
from data_platform.schema.dialects.targets import Target
from data_platform.schema.dialects.types import Types


@dataclass(frozen=True)
class Typed:
    """An expression of the target and what it yields."""

    node: exp.Expr
    kind: Kind


@dataclass(frozen=True)
class Scope:
    """What names stand for, and what may be used."""

    target: Target
    types: Types
    columns: Mapping[tuple[str, ...], Typed]
    notes: list[str]
    """Filled with what differs in the translation."""
    volatile: bool = True
    """Whether the time of day may be asked for."""
    sequences: Mapping[str, str] = field(default_factory=dict)
    """What `nextval` may name, and the sequence's text in the target."""

    def sequence(self, name: str) -> str:
        """The sequence that `nextval` names."""
        found = self.sequences.get(name)
        if found is None:
            raise Untranslatable(f"the sequence `{name}` is not there")
        return found


def nested(node: exp.Expr) -> exp.Expr:
    """`node`, in parentheses if it is an operator, whose precedence may differ."""
    operators = (exp.Binary, exp.Unary, exp.In, exp.Between, exp.Escape, exp.Is)
    bare = (exp.Paren, exp.Literal, exp.Column, exp.Dot)
    is_operator = isinstance(node, operators) and not isinstance(node, bare)
    negative = isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal)
    return exp.Paren(this=node) if is_operator and not negative else node

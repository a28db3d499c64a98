"""What a rule is: a name, a severity, a reason, the kinds of statement it looks at, and what it finds there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from data_platform.migration.files import Statement
from data_platform.migration.lint.definitions import relation_of
from data_platform.migration.lint.effects import Effects, Work
from data_platform.migration.lint.session import Session
from data_platform.migration.lint.state import Relation, State, Table
from data_platform.report.finding import Severity


@dataclass
class Context:
    """One statement with all that is known before it runs. `later` are those after it in its transaction."""

    statement: Statement
    kind: str
    node: Any
    effects: Effects
    state: State
    session: Session
    version: int
    later: Sequence[Statement]
    memory: dict[str, Any] = field(default_factory=dict)
    """What one rule worked out and another asks for too."""

    @cached_property
    def table(self) -> Table:
        """The table that the statement is about, as it was before."""
        return self.state.table(relation_of(self.state, self.node.relation))

    @property
    def in_transaction(self) -> bool:
        """Whether the statement shares its transaction with others, or would have to be the only one in it."""
        return self.statement.transaction is not None

    def work(self, kind: str, *causes: str) -> Iterator[Work]:
        """The work of a kind that the statement does, for one of these causes if any are named."""
        return (one for one in self.effects.work if one.kind == kind and (not causes or one.cause in causes))


@dataclass(frozen=True)
class Hit:
    """What a rule found; the rest of a finding is the rule's.

    `safe` is the safe form, statement by statement; `fits`: it may stand in the place of what it replaces, outside a
    transaction.
    """

    message: str
    object: str | None = None
    safe: tuple[str, ...] = ()
    advice: str | None = None
    """Words where no statement can say it, or what to do besides."""
    fits: bool = False
    certain: bool = True
    severity: Severity | None = None
    once: str = ""
    """Hits of one rule with the same words here are one thing seen several times: the worst is told, and how many."""


Needs: TypeAlias = Literal["", "work", "locks"]
Find: TypeAlias = Callable[[Context], Iterator[Hit]]


@dataclass(frozen=True)
class Rule:
    """One rule. `kinds` are the statements it is asked about, by the names of the grammar's trees."""

    name: str
    severity: Severity
    reason: str
    kinds: tuple[str, ...]
    find: Find
    needs: Needs = ""
    commands: frozenset[int] = frozenset()

    def concerns(self, kind: str, commands: frozenset[int], *, work: bool, locks: bool) -> bool:
        """Whether a statement has what the rule looks for; most have not, and are passed by at once."""
        if kind not in self.kinds:
            return False
        if self.needs:
            return work if self.needs == "work" else locks
        return not self.commands or kind != "alter_table_stmt" or not self.commands.isdisjoint(commands)


def rule(
    name: str, severity: Severity, reason: str, *kinds: str, needs: Needs = "", commands: Sequence[int] = ()
) -> Callable[[Find], Rule]:
    """Makes a rule of the function below it.

    It is asked about statements of these kinds that have what it `needs`; of ALTER TABLE only if one of `commands` is
    in it.
    """
    return lambda find: Rule(name, severity, reason, kinds, find, needs, frozenset(commands))


def on(work: Work, message: str, safe: tuple[str, ...] = (), **more: Any) -> Hit:
    """A hit because of such work; where the schema is not known, the message says on what it depends."""
    if not work.known:
        message += ASSUMED
    return Hit(message, str(work.table), safe, certain=work.certain, **more)


ASSUMED = "; no schema given here says whether the table has rows"


def shown(table: Relation) -> str:
    """The table in a message."""
    return f"`{table}`"

"""Whether a statement's work grows with the rows, asked of the linter's facts about PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from data_platform.migration.lint.advance import advance
from data_platform.migration.lint.described import described
from data_platform.migration.lint.effects import READERS, Effects, Lock, Work
from data_platform.migration.lint.locks import Mode
from data_platform.migration.lint.session import Session
from data_platform.migration.lint.state import State
from data_platform.migration.plan.step import Step
from data_platform.model.database import Database
from data_platform.sql.text import NotSql, parse

_BLOCKING = frozenset({"rewrite", "verify", "validate", "index", "rows"})


class Outlook:
    """What the statements of a plan lock and do, one after the other, from a database on."""

    def __init__(self, before: Database | State, version: int) -> None:
        self._state = before if isinstance(before, State) else described(before)
        self._version = version

    def run(self, statements: Iterable[str], *, together: bool) -> tuple[list[Lock], list[Work]]:
        """The locks and the work of these statements, in one transaction or each in its own; the state goes on."""
        session = Session()
        locks: list[Lock] = []
        work: list[Work] = []
        for number, sql in enumerate(statements):
            session.enter(0 if together else number, self._state)
            found = self._effects(sql, session)
            locks += found.locks if found else []
            work += found.work if found else []
        return locks, work

    def step(self, step: Step) -> tuple[list[Lock], list[Work]]:
        """The same of a step."""
        return self.run(step.up, together=step.transaction)

    def blocking(self, *statements: str) -> bool:
        """Whether these statements would keep writers waiting for as long as a table is big; the state stays."""
        return bool(blocking(Outlook(self._state.copy(), self._version).run(statements, together=True)[1]))

    def _effects(self, sql: str, session: Session) -> Effects | None:
        try:
            (tree,) = parse(sql).stmts
        except (NotSql, ValueError):
            return None
        kind = tree.stmt.WhichOneof("node") or ""
        if kind == "variable_set_stmt":
            session.set(tree.stmt.variable_set_stmt)
        effects = Effects(self._state, session, self._version, "plan")
        if kind in READERS:
            READERS[kind](effects, getattr(tree.stmt, kind))
        advance(self._state, tree.stmt, "plan")
        return effects


def blocking(work: Sequence[Work]) -> list[Work]:
    """The work that is done while writers, or everybody, are kept out; also work that may not be needed."""
    return [one for one in work if one.kind in _BLOCKING and one.mode >= Mode.SHARE]

"""The session that runs a migration: its settings, its open transaction, and the locks held in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint.locks import Mode
from data_platform.migration.lint.state import Relation, State

_ZERO = re.compile(r"\s*0+(?:\.0*)?\s*(?:us|ms|s|min|h|d)?\s*\Z")
_TRACKED = ("lock_timeout", "timezone")


@dataclass(frozen=True)
class Held:
    """A lock that an earlier statement of the transaction took and that is kept to its end."""

    mode: Mode
    line: int
    statement: int


@dataclass
class Session:
    """What a connection knows. `transaction` is None between transactions."""

    time_zone: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    local: dict[str, str] = field(default_factory=dict)
    transaction: int | None = None
    held: dict[Relation, Held] = field(default_factory=dict)
    enum_values: dict[str, set[str]] = field(default_factory=dict)
    """Values that ALTER TYPE added in this transaction, by type."""
    may_roll_back: bool = False
    """The file has a ROLLBACK, so what was before a transaction is kept."""
    before: State | None = None
    settings_before: dict[str, str] = field(default_factory=dict)

    def setting(self, name: str) -> str | None:
        """The value that holds now, None where the server's default does."""
        return self.local.get(name, self.settings.get(name))

    @property
    def lock_timeout(self) -> bool:
        """Whether a wait for a lock ends by itself."""
        value = self.setting("lock_timeout")
        return value is not None and not _ZERO.match(value)

    def enter(self, transaction: int | None, state: State) -> None:
        """The next statement belongs to this transaction."""
        if transaction == self.transaction:
            return
        self.leave()
        self.transaction = transaction
        if transaction is not None and self.may_roll_back:
            self.before = state.copy()
            self.settings_before = dict(self.settings)

    def leave(self) -> None:
        """The transaction is over."""
        self.transaction = None
        self.local.clear()
        self.held.clear()
        self.enum_values.clear()
        self.before = None

    def hold(self, table: Relation, mode: Mode, line: int, statement: int) -> None:
        """Keep a lock until the transaction ends; the strongest counts."""
        known = self.held.get(table)
        if known is None or known.mode < mode:
            self.held[table] = Held(mode, line, statement)

    def set(self, node: pb.VariableSetStmt) -> None:
        """SET, SET LOCAL, RESET and SET … TO DEFAULT."""
        if node.kind == pb.VAR_RESET_ALL:
            self.settings.clear()
            self.local.clear()
            return
        name = node.name.lower()
        if name not in _TRACKED:
            return
        value = _value(node)
        if node.is_local:
            if self.transaction is not None:
                self.local[name] = value or "0"
        elif value is None:
            self.settings.pop(name, None)
            self.local.pop(name, None)
        else:
            self.settings[name] = value
            self.local.pop(name, None)

    def set_config(self, name: str, value: str, *, local: bool) -> None:
        """The function set_config, which is SET as an expression."""
        name = name.lower()
        if name in _TRACKED and (not local or self.transaction is not None):
            (self.local if local else self.settings)[name] = value


def _value(node: pb.VariableSetStmt) -> str | None:
    if node.kind != pb.VAR_SET_VALUE or not node.args:
        return None
    argument = node.args[0]
    if argument.HasField("type_cast"):  # SET TIME ZONE INTERVAL '…'
        argument = argument.type_cast.arg
    constant = argument.a_const
    if constant.HasField("sval"):
        return str(constant.sval.sval)
    if constant.HasField("fval"):
        return str(constant.fval.fval)
    return str(constant.ival.ival)

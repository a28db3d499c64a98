"""The linter: statement by statement through the files, with the state, the session and the locks before each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.migration.files import Script, Statement
from data_platform.migration.lint.advance import advance
from data_platform.migration.lint.definitions import relation_of
from data_platform.migration.lint.effects import READERS, Effects
from data_platform.migration.lint.locks import Mode
from data_platform.migration.lint.programs import Inner, of_calls, of_do
from data_platform.migration.lint.rules import asked
from data_platform.migration.lint.rules.rule import Context, Hit, Rule
from data_platform.migration.lint.session import Session
from data_platform.migration.lint.split import commands, one_by_one
from data_platform.migration.lint.state import State
from data_platform.migration.lint.suppress import apply_comments
from data_platform.migration.references import reference
from data_platform.report.finding import SEVERITIES, Finding, Severity

LATEST = 18


@dataclass(frozen=True)
class Safe:
    """A safe form that may stand in the place of a statement in its file."""

    statement: Statement
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Linted:
    """One file's findings, suppressed ones left out, and what `--fix` may write."""

    script: Script
    findings: tuple[Finding, ...]
    suppressed: int
    safe: tuple[Safe, ...]
    unbounded: frozenset[int] = frozenset()
    """The numbers of the statements that wait for a blocking lock without a lock_timeout."""


def lint(scripts: Iterable[Script], state: State, version: int = LATEST) -> Iterator[Linted]:
    """The files in the order in which they run. `state` is what they start from, and is changed."""
    for script in scripts:
        yield _File(script, state, version).linted()


class _File:
    """A walk through one file."""

    def __init__(self, script: Script, state: State, version: int) -> None:
        self.script = script
        self.state = state
        self.version = version
        self.session = Session(may_roll_back=any(_rolls_back(one.node) for one in script.statements))
        self.findings: list[Finding] = []
        self.safe: list[Safe] = []
        self.working: set[int] = set()
        """The numbers of the statements that work on rows while they keep clients out."""
        self.repeated: dict[tuple[str, str], list[Finding]] = {}
        """Findings that are told once, by rule and by what they have in common."""

    def linted(self) -> Linted:
        statements = self.script.statements
        for position, statement in enumerate(statements):
            self._statement(statement, statements, position)
        for fault in self.script.faults:
            rule, severity = ("syntax-error", "error") if fault.error else ("psql-command-not-read", "info")
            self._add(
                rule, "error" if severity == "error" else "info", fault.message, fault.line, fault.column
            )
        self._told_once()
        self.state.search_path = ("public",)
        findings, suppressed = apply_comments(self.script, self.findings)
        waits = self.repeated.get(("missing-lock-timeout", "file"), ())
        unbounded = frozenset(one.statement for one in waits if one.statement and one.severity != "info")
        return Linted(self.script, findings, suppressed, tuple(self.safe), unbounded)

    def _statement(self, statement: Statement, statements: Sequence[Statement], position: int) -> None:
        self.session.enter(statement.transaction, self.state)
        kind = statement.node.WhichOneof("node") or ""
        if kind == "transaction_stmt":
            self._control(statement.node.transaction_stmt)
        elif kind == "variable_set_stmt":
            self.session.set(statement.node.variable_set_stmt)
            advance(self.state, statement.node, self.script.file)
        elif kind in ("do_stmt", "call_stmt"):
            self._program(statement, kind)
        else:
            self._judge(statement, kind, _Later(statements, position))
            if kind == "select_stmt":
                self._select(statement)

    def _control(self, node: pb.TransactionStmt) -> None:
        if node.kind == pb.TRANS_STMT_ROLLBACK and self.session.before is not None:
            _restore(self.state, self.session.before)
            self.session.settings = self.session.settings_before
        if node.kind in _ENDS:
            self.session.leave()

    def _judge(self, statement: Statement, kind: str, later: Sequence[Statement]) -> None:
        node = getattr(statement.node, kind) if kind else None
        if _does_nothing(self.state, kind, node):
            return
        reader = READERS.get(kind)
        effects = Effects(self.state, self.session, self.version, self.script.file)
        if reader is not None:
            reader(effects, node)
        rules = asked(kind, _commands(kind, node), work=bool(effects.work), locks=bool(effects.locks))
        if rules:
            context = Context(statement, kind, node, effects, self.state, self.session, self.version, later)
            for rule in rules:
                for hit in rule.find(context):
                    self._hit(rule, hit, statement)
        if any(one.mode >= Mode.SHARE for one in effects.work):
            self.working.add(statement.number)
            if commands(statement) > 1 and statement.transaction is None:
                self._split(statement)
        if statement.transaction is not None:
            for lock in effects.locks:
                if lock.mode >= Mode.SHARE:
                    self.session.hold(lock.table, lock.mode, statement.line, statement.number)
        advance(self.state, statement.node, self.script.file)

    def _hit(self, rule: Rule, hit: Hit, statement: Statement) -> None:
        fix = ";\n".join(hit.safe) + ";" if hit.safe else None
        if hit.advice:
            fix = f"{fix}\n-- {hit.advice}" if fix else hit.advice
        finding = Finding(
            rule=rule.name,
            severity=hit.severity or rule.severity,
            message=hit.message,
            evidence="parsed" if hit.certain else "assumed",
            file=self.script.file,
            line=statement.line,
            column=statement.column,
            statement=statement.number,
            object=hit.object,
            fix=fix,
            reference=reference(rule.name),
        )
        if hit.once:
            self.repeated.setdefault((rule.name, hit.once), []).append(finding)
        else:
            self.findings.append(finding)
        if hit.fits and statement.transaction is None and commands(statement) <= 1:
            self.safe.append(Safe(statement, hit.safe))

    def _split(self, statement: Statement) -> None:
        """The commands of one ALTER TABLE one by one, if each that needs a safe form has one."""
        parts = one_by_one(statement)
        trial = _File(replace(self.script, statements=parts, faults=()), self.state.copy(), self.version)
        trial.session.settings = dict(self.session.settings)
        trial.linted()
        forms = {one.statement.number: one.statements for one in reversed(trial.safe)}
        if forms and trial.working <= forms.keys():
            made = (sql for part in parts for sql in forms.get(part.number, (part.sql,)))
            self.safe.append(Safe(statement, tuple(made)))

    def _told_once(self) -> None:
        """The worst of findings that say the same, with the number of the others."""
        for several in self.repeated.values():
            worst = min(several, key=lambda one: (SEVERITIES.index(one.severity), one.line))
            others = len({one.statement for one in several}) - 1
            if others:
                more = f" (and in {others} more statement{'s' if others > 1 else ''})"
                worst = replace(worst, message=worst.message + more)
            self.findings.append(worst)

    def _program(self, statement: Statement, kind: str) -> None:
        inner = (
            of_do(statement.node.do_stmt)
            if kind == "do_stmt"
            else of_calls(statement.node, self.state.routines)
        )
        self._run(statement, inner)

    def _select(self, statement: Statement) -> None:
        """Functions that a SELECT calls, if this migration or the schema says what they do; and set_config."""
        for target in statement.node.select_stmt.target_list:
            call = target.res_target.val.func_call
            if target.res_target.val.HasField("func_call"):
                if call.funcname[-1].string.sval == "set_config":
                    self._set_config(call)
                elif call.funcname[-1].string.sval in self.state.routines:
                    self._run(statement, of_calls(statement.node, self.state.routines))

    def _set_config(self, call: pb.FuncCall) -> None:
        if len(call.args) == _SET_CONFIG_ARGUMENTS and all(
            argument.HasField("a_const") for argument in call.args[:2]
        ):
            name, value = (argument.a_const.sval.sval for argument in call.args[:2])
            self.session.set_config(name, value, local=call.args[2].a_const.boolval.boolval)

    def _run(self, statement: Statement, inner: Iterable[Inner]) -> None:
        """The statements of a body, in one transaction with each other if not with more."""
        opened = statement.transaction if statement.transaction is not None else -statement.number
        self.session.enter(opened, self.state)
        found = list(inner)
        read = [self._inside(statement, one, opened) for one in found if one.node is not None]
        for one in found:
            if one.node is None:
                line = statement.line + one.line - 1
                message = f"what is run here is not read: {one.sql[:_SHOWN]}"
                self._add("dynamic-sql-not-read", "info", message, line, statement.column)
        for position, part in enumerate(read):
            kind = part.node.WhichOneof("node") or ""
            if kind == "transaction_stmt":
                self.session.leave()
                self.session.enter(opened, self.state)
            elif kind == "variable_set_stmt":
                self.session.set(part.node.variable_set_stmt)
            else:
                self._judge(part, kind, read[position + 1 :])
        if statement.transaction is None:
            self.session.leave()

    def _inside(self, outer: Statement, inner: Inner, transaction: int) -> Statement:
        line = outer.line + outer.sql[: max(outer.sql.find("$"), 0)].count("\n") + inner.line - 1
        assert inner.node is not None
        return replace(outer, sql=inner.sql, line=line, transaction=transaction, node=inner.node)

    def _add(self, rule: str, severity: Severity, message: str, line: int, column: int) -> None:
        self.findings.append(
            Finding(
                rule=rule,
                severity=severity,
                message=message,
                evidence="parsed",
                file=self.script.file,
                line=line,
                column=column,
                reference=reference(rule),
            )
        )


class _Later(Sequence[Statement]):
    """The statements after one in its transaction, looked for when somebody asks."""

    def __init__(self, statements: Sequence[Statement], position: int) -> None:
        self.statements = statements
        self.position = position

    def __iter__(self) -> Iterator[Statement]:
        transaction = self.statements[self.position].transaction
        if transaction is not None:
            for statement in self.statements[self.position + 1 :]:
                if statement.transaction != transaction:
                    return
                yield statement

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: int) -> Statement:  # type: ignore[override]
        return list(self)[index]


def _commands(kind: str, node: Any) -> frozenset[int]:
    """The commands of an ALTER TABLE."""
    if kind != "alter_table_stmt":
        return frozenset()
    return frozenset([item.alter_table_cmd.subtype for item in node.cmds])


def _does_nothing(state: State, kind: str, node: Any) -> bool:
    """IF EXISTS of what is not there, IF NOT EXISTS of what is."""
    if kind in ("alter_table_stmt", "rename_stmt", "alter_object_schema_stmt") and node.missing_ok:
        return node.HasField("relation") and state.missing(relation_of(state, node.relation))
    if kind == "create_stmt" and node.if_not_exists:
        return (
            state.table(relation_of(state, node.relation)).known
            and relation_of(state, node.relation) in state.tables
        )
    return False


def _rolls_back(node: pb.Node) -> bool:
    return bool(node.HasField("transaction_stmt") and node.transaction_stmt.kind == pb.TRANS_STMT_ROLLBACK)


def _restore(state: State, before: State) -> None:
    vars(state).update(vars(before))


_ENDS = (pb.TRANS_STMT_COMMIT, pb.TRANS_STMT_ROLLBACK, pb.TRANS_STMT_PREPARE)
_SET_CONFIG_ARGUMENTS = 3
_SHOWN = 120

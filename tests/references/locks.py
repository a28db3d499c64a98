"""The lock tables of references/migration-patterns-locks.md, written from what a server did with locks.sql.

    python tests/references/locks.py

writes them anew between their two marks; a test compares. Nothing in them is typed by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from data_platform.migration.files import Statement, read_bytes  # noqa: E402
from data_platform.migration.prove import run  # noqa: E402
from data_platform.migration.prove.copies import Copies  # noqa: E402
from data_platform.migration.prove.hold_up import HoldUp  # noqa: E402
from data_platform.migration.prove.observe import results  # noqa: E402
from data_platform.migration.prove.prove import with_asked  # noqa: E402
from data_platform.migration.prove.rehearsal import named  # noqa: E402
from data_platform.migration.prove.report import blocks  # noqa: E402
from data_platform.migration.prove.result import MODES, Lock, StatementResult  # noqa: E402
from data_platform.migration.prove.session import open_session  # noqa: E402
from data_platform.migration.prove.watch import Watch  # noqa: E402
from data_platform.postgres.connect import connect  # noqa: E402
from data_platform.postgres.scratch import Database  # noqa: E402
from data_platform.postgres.server import Server, embedded_server  # noqa: E402

PAGE = ROOT / "references" / "migration-patterns-locks.md"
BEGIN, END = "<!-- made by tests/references/locks.py: begin -->\n", "<!-- end -->\n"
HEAD = "| Statement | Lock | On | Keeps out | Work on rows |\n|---|---|---|---|---|\n"
TITLE = "-- # "


@dataclass(frozen=True)
class Case:
    """One row of a table: the last statement is looked at, those before it make the ground for it."""

    title: str
    statements: tuple[Statement, ...]


def cases(text: str) -> tuple[str, tuple[Case, ...]]:
    """The schema, and the rows of all tables in order."""
    _, schema, *paragraphs = text.split("\n\n")
    found, title = [], ""
    for paragraph in paragraphs:
        if paragraph.startswith(TITLE):
            title = paragraph.removeprefix(TITLE)
        else:
            found.append(Case(title, read_bytes("locks.sql", paragraph.encode(), "as-written").statements))
    return schema, tuple(found)


def observed(server: Server, schema: str, wanted: Sequence[Case]) -> Iterator[StatementResult]:
    """What the server did with the last statement of each, on a copy of the schema of its own."""
    copies = Copies(server.conninfo, server.version_num, disposable=False)
    with server.scratch_database() as base:
        with connect(base.conninfo, read_only=False) as connection:
            connection.execute(schema.encode())
        for case in wanted:
            with copies.copy(base) as copy:
                yield _observed(copy, case)


def _observed(copy: Database, case: Case) -> StatementResult:
    with (
        connect(copy.admin_conninfo, read_only=False) as admin,
        connect(copy.admin_conninfo, read_only=False) as sampler,
        connect(copy.admin_conninfo, read_only=False) as looking,
        connect(copy.conninfo, read_only=False) as holder,
        open_session(copy) as session,
    ):
        vacuum = case.statements[-1].node.HasField(
            "vacuum_stmt"
        )  # its first lock is not the one it works under
        watch = Watch(admin, sampler if vacuum else None, session.pid)
        hold_up = HoldUp(holder, Watch(looking, None, session.pid))
        runner = run.Runner(session, watch, retries=0, outside=hold_up)
        try:
            runner.run(case.statements)
        finally:
            watch.end()
        *_, result = results(case.statements, runner.seen, (), runner.seen[-1].before)
        assert result.error is None, f"{result.sql}: {result.error}"
        asked = named(hold_up.asked.get(result.index, frozenset()), runner.seen)
        return replace(result, locks=with_asked(result, asked))


# --- as text ---


def page(text: str, tables: str) -> str:
    """The page with these tables between its marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{tables}{END}{after}"


def tables(wanted: Sequence[Case], found: Sequence[StatementResult]) -> str:
    """All tables, each under its heading."""
    lines, title = [], ""
    for case, result in zip(wanted, found, strict=True):
        if case.title != title:
            title = case.title
            lines.append(f"\n## {title}\n\n{HEAD}")
        lines += [f"| {' | '.join(row)} |\n" for row in rows(case, result)]
    return "".join(lines) + "\n"


def rows(case: Case, result: StatementResult) -> Iterator[tuple[str, ...]]:
    """A line for each kind of lock, the strongest first; the statement and its work stand in the first."""
    statement, work = shown(case), _work(result)
    by_mode: dict[str, list[str]] = {}
    for lock in locks(result):
        by_mode.setdefault(lock.mode, []).append(f"`{lock.relation.removeprefix('public.')}`")
    for mode in sorted(by_mode, key=MODES.index, reverse=True):
        yield statement, mode, ", ".join(by_mode[mode]), blocks(mode), work
        statement, work = "", ""
    if not by_mode:
        yield statement, "none", "", "nothing", work


def locks(result: StatementResult) -> list[Lock]:
    """The strongest lock on each relation; those on indexes only where the table has none as strong."""
    strongest: dict[str, Lock] = {}
    for lock in sorted(result.locks, key=lambda lock: lock.strength):
        strongest[lock.relation] = lock
    most = max((lock.strength for lock in strongest.values() if lock.kind != "index"), default=-1)
    kept = [lock for lock in strongest.values() if lock.kind != "index" or lock.strength > most]
    return sorted(kept, key=lambda lock: lock.relation)


def shown(case: Case) -> str:
    """The statement as the page shows it, with what went before that matters."""
    *before, last = (" ".join(one.sql.split()) for one in case.statements)
    ground = [f"`{one}`" for one in before if not one.startswith("INSERT")]
    return f"`{last}` after {', '.join(ground)}" if ground else f"`{last}`"


def _work(result: StatementResult) -> str:
    parts = (("rewrites", result.rewrites), ("reads", result.scans), ("empties", result.truncated))
    said = [f"{verb} `{name.removeprefix('public.')}`" for verb, names in parts for name in names]
    return ", ".join(said) or "none"


def made(server: Server) -> str:
    """The tables as this server gives them."""
    schema, wanted = cases((Path(__file__).parent / "locks.sql").read_text(encoding="utf-8"))
    return tables(wanted, tuple(observed(server, schema, wanted)))


def main() -> None:
    """Write the page anew."""
    with embedded_server() as server:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), made(server)), encoding="utf-8")


if __name__ == "__main__":
    main()

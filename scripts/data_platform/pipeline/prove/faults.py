"""What is done to a trial, and what must be true afterwards: the targets hold what an uninterrupted run leaves."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import psycopg

from data_platform.pipeline.emptying import takes_away
from data_platform.pipeline.prove.child import Child
from data_platform.pipeline.prove.data import Row, content
from data_platform.pipeline.prove.exchanging import Reader, swapped, thinned
from data_platform.pipeline.prove.following import Followed
from data_platform.pipeline.prove.trial import Made, trial
from data_platform.postgres.connect import connect
from data_platform.postgres.server import Database, Server
from data_platform.spec.pipeline import Source

Content = Mapping[str, Counter[str]]
_BEGUN_SECONDS = 10.0
_TRIES, _SOONER = 6, 0.6
_SOURCE_HITS = 2
_EXCHANGES = 3
_UNDECLARED = "nobody_declared_this"
_WITH_THE_COPY = 3
"""How many times as long a run takes that copies its source first; what is drawn too late is drawn sooner."""
_SESSIONS = """
FROM pg_stat_activity WHERE application_name = 'dpe' AND datname = current_database() AND pid <> pg_backend_pid()
"""
_CUT = f"SELECT pg_terminate_backend(pid) {_SESSIONS}"
_ONE_OF_THEM = f"SELECT pid {_SESSIONS} LIMIT 1"


@dataclass(frozen=True)
class Fault:
    """One trial. `at` is when or where it was hit; `lost` and `doubled` are rows; `why` says what differs."""

    name: str
    at: str
    lost: int
    doubled: int
    equal: bool
    why: str = ""


@dataclass(frozen=True)
class NotTried:
    """A fault that this pipeline cannot meet, or that cannot be made here."""

    name: str
    why: str


@dataclass(frozen=True)
class Truth:
    """What an uninterrupted run leaves, and how long it takes."""

    content: Content
    seconds: float


Tell = Callable[[str, float], None]


class World(Protocol):
    """One trial: runs in it, and what must be there at the end."""

    @property
    def database(self) -> Database: ...
    @property
    def source(self) -> Followed | None: ...
    def start(self) -> Child: ...
    def run(self) -> dict[str, Any]: ...
    def content(self) -> Content: ...

    def quiet(self) -> bool:
        """Wait until nobody writes any more; whether there was somebody, whose last changes a run has yet to see."""
        ...

    def wanted(self, truth: Content) -> Content:
        """What there must be, where an uninterrupted run elsewhere has left `truth`."""
        ...


class Trials:
    """All faults on one server, each in a world of its own below `folder`."""

    def __init__(self, server: Server, made: Made, folder: Path, seed: int) -> None:
        self.server, self.made, self.folder = server, made, folder
        self.draw = random.Random(seed)  # noqa: S311 - moments of kills
        self._number = 0

    def fresh(self) -> Path:
        self._number += 1
        folder = self.folder / str(self._number)
        folder.mkdir()
        return folder

    def world(self, *, copied: bool = False) -> AbstractContextManager[World]:
        """A fresh one. `copied`: a source that is followed was copied before, and its changes wait."""
        return trial(self.server, self.made, self.fresh(), copied=copied)

    def truth(self) -> tuple[Truth, Fault]:
        """An uninterrupted run; and again, which must change nothing."""
        with self.world(copied=True) as one:
            child = one.start()
            begun = time.monotonic()
            said = child.end()
            seconds = time.monotonic() - begun
            if one.quiet() and "problem" not in said:
                said = one.run()
            if "problem" in said:
                return Truth({}, seconds), Fault("run", "the first time", 0, 0, False, str(said["problem"]))
            found = one.content()
            if one.source is not None:
                against = compared("run", "the source", one.source.content(), _without_quarantine(found))
                if not against.equal:
                    return Truth({}, seconds), against
            again = one.run()
            after = one.content()
            written = again.get("inserted", 0) + again.get("updated", 0) + again.get("deleted", 0)
            fault = compared("run twice", "the second time", one.wanted(found), after)
            if written and fault.equal:
                why = f"{written:,} rows were written again{self.why_again(one)}"
                fault = Fault("run twice", "the second time", 0, 0, False, why)
            return Truth(found, seconds), fault

    def why_again(self, one: Any) -> str:
        """What is known of rows that a run writes though they are there."""
        return ""

    def killed(self, truth: Truth, count: int, tell: Tell) -> Iterator[Fault]:
        """The client killed at a random moment of the run, then run again."""
        for number in range(count):
            tell(f"kill {number + 1} of {count}", 0.1 + 0.6 * number / max(count, 1))
            yield self._hit("client killed", truth, kill)

    def server_killed(self, truth: Truth, count: int) -> Iterator[Fault]:
        """The target's server crashes as the run goes on: the system kills its process, and it recovers."""
        for _ in range(count):
            yield self._hit("server killed", truth, crash)

    def source_hit(self, truth: Truth) -> Iterator[Fault]:
        """A source that is followed loses its sessions, or crashes."""
        if self.made.followed is not None:
            for _ in range(_SOURCE_HITS):
                yield self._hit("source's connections cut", truth, cut_source, copied=True)
                yield self._hit("source killed", truth, crash_source, copied=True)

    def _hit(
        self,
        name: str,
        truth: Truth,
        hit: Callable[[World, Child], bool],
        *,
        copied: bool | None = None,
    ) -> Fault:
        """Hit a run at a random moment and let it be run again; sooner, where that one was over by then.

        A source that is followed is hit while it is copied as often as while its stream is read.
        """
        copied = self.draw.random() < 0.5 if copied is None else copied
        longer = 1 if copied or self.made.followed is None else _WITH_THE_COPY
        after = self.draw.uniform(0, truth.seconds * longer)
        for _ in range(_TRIES):
            with self.world(copied=copied) as one:
                child = one.start()
                time.sleep(after)
                was_hit = hit(one, child)
                child.end()
                _wait_for(one.database.conninfo)
                fault = self._again(name, f"{after:.3f} s", one, truth)
            if was_hit or not fault.equal:
                return fault
            after *= _SOONER
        return replace(fault, name=f"{name} too late")

    def cut_off(self, truth: Truth, count: int) -> Iterator[Fault]:
        """Connections to the target cut in the middle; the run itself goes on."""
        for _ in range(count):
            after = self.draw.uniform(0, truth.seconds)
            with self.world() as one:
                child = one.start()
                time.sleep(after)
                with connect(one.database.admin_conninfo, read_only=False) as admin:
                    admin.execute(_CUT)
                said = child.end()
                if one.quiet() and "problem" not in said:
                    said = one.run()
                if "problem" in said:
                    yield Fault("connection cut", f"{after:.3f} s", 0, 0, False, str(said["problem"]))
                else:
                    wanted = one.wanted(truth.content)
                    yield compared("connection cut", f"{after:.3f} s", wanted, one.content())

    def two_at_once(self, truth: Truth) -> Fault:
        """Two runs beside each other: one does the work, the other waits or says so."""
        with self.world() as one:
            both = [one.start(), one.start()]
            for child in both:
                child.end()
            return self._again("two runs at once", "the start", one, truth)

    def out_of_order(self, truth: Truth) -> Fault | NotTried:
        """The files in the opposite order: the later versions come first."""
        name = "out of order"
        if not all(source.path for source in self.made.spec.sources):
            return NotTried(name, "what a server gives has no order of files")
        if not all(chain.target.version for chain in self.made.chains):
            return NotTried(
                name, "without `version:` the row that comes last wins, so the order is the meaning"
            )
        with trial(self.server, self.made, self.fresh()) as one:
            for paths in one.files.values():
                held = [path.read_bytes() for path in paths]
                for path, raw in zip(paths, reversed(held), strict=True):
                    path.write_bytes(raw)
            one.run()
            return compared(name, "all files", truth.content, one.content())

    def doubled(self, truth: Truth) -> Fault | NotTried:
        """Every file delivered a second time, under another name."""
        name = "delivered twice"
        several = [s for s in self.made.spec.sources if s.path and any(sign in s.path for sign in "*?[")]
        if not several:
            return NotTried(name, "no source is a pattern of files")
        if not all(chain.target.key for chain in self.made.chains):
            return NotTried(name, "without `key:` a row that comes again is a row more")
        if self.made.spec.pattern == "scd" and not all(chain.target.version for chain in self.made.chains):
            return NotTried(name, "without `version:` a file that comes again is a newer state")
        with trial(self.server, self.made, self.fresh()) as one:
            for source in several:
                for path in one.files[source.name]:
                    copy = path.with_name(path.name.replace("batch_", "batch_9", 1))
                    copy.write_bytes(path.read_bytes())
            one.run()
            found = one.content()
            # A bad row that comes again is set aside again.
            held, before = (c.get("quarantine", Counter[str]()) for c in (found, truth.content))
            found["quarantine"] = Counter({row: min(n, before.get(row, n)) for row, n in held.items()})
            return compared(name, "all files", truth.content, found)

    def torn(self, truth: Truth) -> Iterator[Fault | NotTried]:
        """Records among the good ones that are none: they go into quarantine, the rest is loaded."""
        for source in self.made.spec.sources:
            if source.path is None or source.format == "parquet":
                yield NotTried(
                    f"torn rows in {source.name}", "only separated values and JSON lines can be torn"
                )
                continue
            with trial(self.server, self.made, self.fresh()) as one:
                bad = _tear(source, one.files[source.name], self.draw)
                one.run()
                found = one.content()
                held = found.pop("quarantine", Counter())
                wanted = dict(truth.content)
                before = wanted.pop("quarantine", Counter())
                fault = compared(f"torn rows in {source.name}", f"{bad} records", wanted, found)
                extra = (held - before).total()
                if fault.equal and extra != bad:
                    why = f"{extra} of {bad} torn records are in quarantine"
                    fault = Fault(fault.name, fault.at, 0, 0, False, why)
                yield fault

    def drifted(self, truth: Truth) -> Iterator[Fault | NotTried]:
        """A column that nobody declared: the spec's policy is kept, and nothing is half done."""
        for source in self.made.spec.sources:
            if self.made.followed is not None:
                yield self.altered(source)
                continue
            named = source.format == "jsonl" or (source.format == "csv" and source.csv.header)
            if source.path is None or not named:
                why = "a new column is tried in separated values with a header and in JSON lines"
                yield NotTried(f"drift of {source.name}", why)
                continue
            with trial(self.server, self.made, self.fresh()) as one:
                rows = _drift(source, one.files[source.name], self.made.batches_of(source))
                said = one.run()
                name = f"drift of {source.name}"
                if self.made.spec.drift == "freeze":
                    stopped = "drifted" in str(said.get("problem"))
                    loaded = sum(c.total() for table, c in one.content().items() if table != "quarantine")
                    why = "" if stopped and not loaded else f"it went on: {loaded:,} rows were loaded"
                    yield Fault(name, "freeze", 0, 0, not why, why)
                elif self.made.spec.drift == "quarantine":
                    held, before = (c.get("quarantine", Counter()) for c in (one.content(), truth.content))
                    found = (held - before).total()
                    # A whole of which nothing is left would empty the table, and is refused instead.
                    good = found == rows or ("problem" in said and not any(one.content().values()))
                    why = f"{found:,} of {rows:,} drifted rows are in quarantine"
                    yield Fault(name, "quarantine", 0, 0, good, "" if good else str(said.get("problem", why)))
                elif self.made.spec.drift == "ignore":
                    yield compared(name, "ignore", truth.content, one.content())
                else:
                    same = {k: v.total() for k, v in one.content().items()}
                    wanted = {k: v.total() for k, v in truth.content.items()}
                    why = str(said.get("problem", "")) or ("" if same == wanted else "other numbers of rows")
                    yield Fault(name, "evolve", 0, 0, not why, why)

    def exchanged(self, truth: Truth) -> Fault:
        """A table that was whole once is exchanged, killed in the middle, and read all the while."""
        name, after = "killed while exchanged", self.draw.uniform(0, truth.seconds)
        with trial(self.server, self.made, self.fresh()) as one:
            one.run()
            thinned(one)
            with Reader(one.database.conninfo, swapped(one)) as reader:
                child = one.start()
                child.wait(after)
                child.kill()
                child.end()
                fault = self._again(name, f"{after:.3f} s", one, truth)
            strange = reader.strange()
            return replace(fault, equal=False, why=strange) if strange and fault.equal else fault

    def altered(self, source: Source) -> Fault:
        """A source that is followed gets a column, and rows with it, while all that was before waits in the stream."""
        name, drift = f"DDL on {source.name}", self.made.spec.drift
        with trial(self.server, self.made, self.fresh(), copied=True) as one:
            assert one.source is not None
            before = one.source.content()
            changed = one.source.alter(source, _UNDECLARED)
            said = one.run()
            if drift == "freeze":
                fault = compared(name, drift, before, _without_quarantine(one.content()))
                stopped = "drifted" in str(said.get("problem"))
                return fault if stopped else replace(fault, equal=False, why="it went on")
            if "problem" in said:
                return Fault(name, drift, 0, 0, False, str(said["problem"]))
            fault = compared(name, drift, one.source.content(), one.declared())
            found = one.with_value(source, _UNDECLARED)
            wanted = changed if drift == "evolve" else 0
            if fault.equal and found != wanted:
                why = f"{found:,} rows have the new column's value, and not {wanted:,}"
                return replace(fault, equal=False, why=why)
            return fault

    def silent(self, truth: Truth) -> Iterator[Fault]:
        """Files without a row, where a target loses what they do not have: a run stops, and nothing is emptied."""
        whole = [chain for chain in self.made.chains if takes_away(self.made.spec, chain)]
        if not whole or not all(source.path for chain in whole for source in chain.sources):
            return
        with trial(self.server, self.made, self.fresh()) as one:
            one.run()
            for source in {source.name: source for chain in whole for source in chain.sources}.values():
                for path in one.files[source.name]:
                    path.write_bytes(content(source, []))
            stopped = "problem" in one.run()
            fault = compared("no row at all", "all files", truth.content, one.content())
            if fault.equal and not stopped:
                fault = replace(fault, equal=False, why="a run that read no row did not stop")
            yield fault

    def source_down(self, truth: Truth) -> Fault | NotTried:
        """A server of pages that says 503 to every other request."""
        if not any(source.url for source in self.made.spec.sources):
            return NotTried("source down", "no source is read over HTTP; cut connections stand for databases")
        with trial(self.server, self.made, self.fresh(), pages_fail=True) as one:
            for _ in range(8):
                if "problem" not in one.run():
                    break
            return compared("source down", "every other page", truth.content, one.content())

    def others(self, truth: Truth, tell: Tell) -> Iterator[Fault | NotTried]:
        """What is done to files and pages: order, repetition, torn rows, drift, a server that is down."""
        yield from self.source_hit(truth)
        if any(chain.target.swap for chain in self.made.chains):
            for _ in range(_EXCHANGES):
                yield self.exchanged(truth)
        yield self.out_of_order(truth)
        yield self.doubled(truth)
        tell("torn rows and drift", 0.93)
        yield from self.torn(truth)
        yield from self.drifted(truth)
        yield from self.silent(truth)
        yield self.source_down(truth)

    def _again(self, name: str, at: str, one: World, truth: Truth) -> Fault:
        one.quiet()
        said = one.run()
        if "problem" in said:
            return Fault(name, at, 0, 0, False, f"the next run: {said['problem']}")
        return compared(name, at, one.wanted(truth.content), one.content())


def compared(name: str, at: str, wanted: Content, found: Content) -> Fault:
    """Rows that are not there, and rows that should not be, over all targets and quarantine."""
    lost = sum((rows - found.get(table, Counter())).total() for table, rows in wanted.items())
    more = sum((rows - wanted.get(table, Counter())).total() for table, rows in found.items())
    why = f"{lost:,} rows are missing, {more:,} are too many" if lost or more else ""
    return Fault(name, at, lost, more, not why, why)


def kill(one: World, child: Child) -> bool:
    """SIGKILL; whether the run was still going on."""
    going = child.going()
    child.kill()
    return going


def crash(one: World, child: Child) -> bool:
    """Kill a process of the server as the system's out-of-memory killer does; whether there was one of the run."""
    return _crash(one.database)


def _crash(database: Database) -> bool:
    with connect(database.admin_conninfo, read_only=True) as admin:
        row = admin.execute(_ONE_OF_THEM).fetchone()
    if row is None:
        return False
    try:
        os.kill(row[0], signal.SIGKILL)
    except ProcessLookupError:  # it ended by itself in between
        return False
    _until_noticed(row[0])
    return True


def _until_noticed(process: int) -> None:
    """Until the server has taken note that a process of it was killed; up to then it lets new sessions in."""
    deadline = time.monotonic() + _BEGUN_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(process, 0)
            time.sleep(0.01)


def crash_source(one: World, child: Child) -> bool:
    """As `crash`, of the server that is read."""
    assert one.source is not None
    found = _crash(one.source.database)
    _wait_for(one.source.database.conninfo)
    return found


def cut_source(one: World, child: Child) -> bool:
    """End the run's sessions on the source; whether there were any."""
    assert one.source is not None
    with connect(one.source.database.admin_conninfo, read_only=False) as admin:
        return admin.execute(_CUT).fetchone() is not None


def _without_quarantine(found: Content) -> Content:
    return {table: rows for table, rows in found.items() if table != "quarantine"}


def _wait_for(conninfo: str) -> None:
    """Until the server has recovered."""
    deadline = time.monotonic() + _BEGUN_SECONDS
    while True:
        try:
            psycopg.connect(conninfo).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _tear(source: Source, paths: Sequence[Path], draw: random.Random) -> int:
    """Bad records at random places of each file; how many."""
    bad = 0
    for path in paths:
        # A value over two lines is one record, so only places between records will do.
        records = _records(source, path.read_bytes())
        for record in _bad_records(source):
            place = draw.randrange(1, len(records) + 1)
            records.insert(place, record)
            bad += 1
        path.write_bytes(b"".join(records))
    return bad


def _records(source: Source, raw: bytes) -> list[bytes]:
    if source.format == "jsonl":
        return raw.splitlines(keepends=True)
    found: list[bytes] = []
    pending = b""
    quote = source.csv.quote.encode()
    for line in raw.splitlines(keepends=True):
        pending += line
        if not pending.count(quote) & 1:
            found.append(pending)
            pending = b""
    return found


def _bad_records(source: Source) -> list[bytes]:
    typed = next(
        (n for n, t in source.columns.items() if t.split("(")[0] not in ("text", "varchar", "bytea")), None
    )
    if source.format == "jsonl":
        return [b"{not json\n", b"[1, 2]\n", *([b'{"%s": {"x": "?"}}\n' % typed.encode()] if typed else [])]
    row: Row = {name: "?" if name == typed else None for name in source.columns}
    whole = content(source, [row]).splitlines(keepends=True)[-1]
    few = b"1\n" if len(source.columns) > 1 else b"1,2\n"
    return [
        few,
        b"\xff\xfe" + whole if source.csv.encoding.upper() == "UTF8" else few,
        *([whole] if typed else []),
    ]


def _drift(source: Source, paths: Sequence[Path], batches: Sequence[Sequence[Row]]) -> int:
    """The first file, or the only one, with one column more; how many rows it has."""
    rows = batches[0] if len(paths) > 1 else [row for batch in batches for row in batch]
    names = [*source.columns, _UNDECLARED]
    paths[0].write_bytes(content(source, [{**row, names[-1]: "x"} for row in rows], names))
    return len(rows)

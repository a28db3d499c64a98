"""Collections of Qdrant that follow an outbox: each change sent at least once, and by its version there once.

A batch is confirmed after the server has acknowledged it. Killed in between, it is sent again, and the points that are
there already have its versions. A row that has no vector (yet) has no point.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.pipeline.events import WINDOWS, confirm, drawn, last_drawn, peek, register
from data_platform.pipeline.feeding import Feeding, begin_behind, rows_of_table
from data_platform.pipeline.steps import Step
from data_platform.pipeline.streams import Place
from data_platform.pipeline.writing import Work
from data_platform.postgres.pipelines import relations
from data_platform.postgres.pipelines.sessions import Passing, flush, telling
from data_platform.postgres.pipelines.state import Counts
from data_platform.qdrant import points
from data_platform.qdrant.calls import Call, path_of
from data_platform.qdrant.points import Versioned
from data_platform.qdrant.rest import NotThere, Rest, rest
from data_platform.spec.pipeline import Pipeline, Source
from data_platform.spec.pipeline_patterns import CollectionSpec
from data_platform.sql.text import Sql, literal, phrase, qualified_name

STEP = "_dpe_collection"
"""Under which it is remembered what a collection was filled by."""
_AT_MOST = 250
_BYTES, _A_NUMBER = 8_000_000, 24
"""Of a call, well below what a server takes by default; and of one number of a vector in it."""


def server_of(place: Place, collection: str, url: str, api_key: str | None) -> Rest:
    """The server of a collection, or that of a proof."""
    stand_in = place.addresses.get(address_name(collection))
    return Rest(stand_in) if stand_in else rest(url, api_key)


def address_name(collection: str) -> str:
    """Under which a Place has the address of its server; no source is called so."""
    return f"collection {collection}"


def relay_name(pipeline: Pipeline, collection: str) -> str:
    """What the points of a collection of the spec say that they are of."""
    return f"{pipeline.name}.{collection}"


def point_id(relay: str, stream: str) -> str:
    """The same for the same key: a UUID (version 5) of the relay's name and the row's stream."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{relay} {stream}"))


@dataclass(frozen=True)
class Event:
    """What the outbox tells of a row, or what the table has."""

    position: int
    stream: str
    type: str
    payload: Mapping[str, Any]
    window: tuple[Any, Any] = ("0", "0")


def point_of(spec: CollectionSpec, relay: str, source: Source, event: Event) -> Versioned:
    """The point that an event leaves. UsageProblem for a vector that is none."""
    id_ = point_id(relay, event.stream)
    given = event.payload.get(spec.column)
    if event.type.endswith(".delete") or given is None:
        return Versioned(id_, event.position, None, {})
    # A vector of pgvector is a text in JSON, and written as a list.
    values = json.loads(given) if isinstance(given, str) and given.startswith("[") else given
    if not isinstance(values, list) or not all(_is_number(one) for one in values):
        raise UsageProblem(f"`{spec.column}` of {event.stream} is no list of numbers")
    if len(values) != spec.dimensions:
        raise UsageProblem(
            f"`{spec.column}` of {event.stream} has {len(values)} numbers, and not {spec.dimensions}"
        )
    names = [*source.key, *spec.payload] if spec.payload else [n for n in event.payload if n != spec.column]
    missing = [name for name in names if name not in event.payload]
    if missing:
        raise UsageProblem(f"{source.table} has no column {', '.join(missing)}")
    return Versioned(id_, event.position, values, {name: event.payload[name] for name in names})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def follow(work: Work, feeding: Feeding, spec: CollectionSpec) -> Iterator[Step]:
    """The collection filled where it is new, then all that the outbox has for it."""
    yield from _Relay(work, feeding, spec).steps()


@dataclass(frozen=True)
class _Relay:
    """One run's way of one collection."""

    work: Work
    feeding: Feeding
    spec: CollectionSpec

    @property
    def place(self) -> points.Place:
        relay = relay_name(self.work.spec, self.spec.name)
        return points.Place(self.spec.collection, relay, self.spec.vector)

    @property
    def source(self) -> Source:
        found = self.work.spec.source(self.spec.source)
        assert found is not None
        return found

    def steps(self) -> Iterator[Step]:
        spec = self.spec
        self._refuse_namesake()
        server = server_of(self.work.place, spec.name, spec.url, spec.api_key)
        is_there = self._is_there(server)
        # Where the points are is remembered too, for the day on which the spec does not say so any more.
        position = {"sha256": self._digest(), "at": {"collection": spec.collection, **_kept_address(spec)}}
        known = self.work.state.positions(STEP).get(spec.name)
        last = self._asked(last_drawn(self.feeding.feed))
        newest = self._newest(server, last) if is_there else last
        changed = known is None or known.get("sha256") != position["sha256"]
        if changed or not is_there or newest > last or self.work.place.resnapshot:
            if newest > last:
                self._asked(drawn(self.feeding.feed, newest - last))
            yield self._filled(server, position, is_there=is_there)
        elif known != position:
            self.work.state.checkpoint(STEP, spec.name, position)
        yield from self._advanced(server)
        self._call(server, points.tombstones_removed(self.place, int(time.time())))

    def _refuse_namesake(self) -> None:
        """UsageProblem where another pipeline has a collection of this name: they would share a place in the outbox."""
        state, feed = self.work.state, self.feeding.feed
        if self.spec.name in state.positions(STEP):
            return
        readers = phrase(
            "SELECT FROM {readers} WHERE name = {name}",
            readers=qualified_name(feed.named("readers")),
            name=literal(self.spec.name),
        )
        others = state.others(STEP, self.spec.name)
        if others and state.connection.execute(readers.encode()).fetchone() is not None:
            raise UsageProblem(
                f"the pipeline {others[0]} has a collection {self.spec.name} that follows the outbox {feed.schema} too",
                where=self.work.spec.file,
                expected="another name for each collection of an outbox, since each has a place in it",
                try_="another `name:` of the collection",
            )

    def _asked(self, query: Sql) -> int:
        row = relations.run(self.work.state.connection, [query])
        assert row is not None
        return int(row[0])

    def _newest(self, server: Rest, version: int) -> int:
        """The greatest version of its points, if there is one above this: then positions have gone back.

        PostgreSQL was restored, or its outbox made anew; what comes would be older than the points that are there.
        """
        while True:
            with _passing():
                found = server.call(points.newer(self.place, version, _AT_MOST))["points"]
            if not found:
                return version
            version = max(int(one["payload"][points.OWN]["version"]) for one in found)

    def _digest(self) -> str:
        """Of all that its points depend on besides the rows."""
        said = repr((self.feeding.version, replace(self.spec, url="", api_key=None), self.source.key))
        return hashlib.sha256(said.encode()).hexdigest()

    # --- the server ---

    def _is_there(self, server: Rest) -> bool:
        """Whether there is such a collection. UsageProblem for one of other vectors, or a server that is too old."""
        with _passing():
            version = server.version()
            found = server.find(path_of(self.spec.collection))
        if version < points.CONDITIONAL:
            raise UsageProblem(
                f"this is Qdrant {version[0]}.{version[1]}",
                where=server.url,
                expected="1.16 or later, which refuses an older version of a point by itself",
            )
        if found is None:
            return False
        vectors = found["config"]["params"]["vectors"]
        there = vectors.get(self.spec.vector, {}) if self.spec.vector else vectors
        wanted = {"size": self.spec.dimensions, "distance": self.spec.distance.capitalize()}
        if {name: there.get(name) for name in wanted} != wanted:
            raise UsageProblem(
                f"the collection {self.spec.collection} has other vectors: {json.dumps(vectors)[:200]}",
                where=server.url,
                expected=json.dumps(wanted),
                try_="another collection: in the spec, which is made and filled beside",
            )
        return True

    def _call(self, server: Rest, *calls: Call) -> None:
        """Make them; nothing in a dry run."""
        for call in calls if not self.work.dry_run else ():
            with _passing():
                server.call(call)

    def _send(self, server: Rest, found: Sequence[Versioned]) -> None:
        if found:
            self._call(server, points.written(self.place, found, int(time.time())))

    def _flush(self) -> None:
        """What is sent no crash of PostgreSQL may take back, also where who wrote it did not wait for the disk."""
        if not self.work.dry_run:
            flush(self.work.place.conninfo)

    @property
    def _size(self) -> int:
        return max(1, min(_AT_MOST, _BYTES // (self.spec.dimensions * _A_NUMBER)))

    # --- what the table has ---

    def _filled(self, server: Rest, position: Mapping[str, Any], *, is_there: bool) -> Step:
        """Every row of one snapshot, with a version that is greater than all before; then what is older goes.

        Killed in the middle it is done again with a greater one.
        """
        work, feed, started = self.work, self.feeding.feed, time.monotonic()
        connection = work.state.connection
        if not is_there:
            distance = self.spec.distance.capitalize()
            self._call(server, points.created(self.place, self.spec.dimensions, distance))
        self._call(server, *points.indexed(self.place))
        # Drawn before the tables stand still: who has a smaller position is done by then, and in the snapshot.
        first = self._asked(drawn(feed))
        # Registered before, so that nothing is purged that it has not read; and the long transaction of the filling
        # writes nothing until its end, so that other readers need not wait for it.
        with telling(work.place.conninfo), connection.transaction():
            relations.run(connection, [register(feed, self.spec.name)])
            work.state.checkpoint(STEP, self.spec.name, {**position, "sha256": ""})
        with telling(work.place.conninfo), self.feeding.still(work):
            query = phrase(
                "SELECT greatest(max(position), {drawn}) FROM {outbox}",
                drawn=first,
                outbox=qualified_name(feed.source),
            )
            version = self._asked(query)
            self._flush()
            read = there = 0
            for batch in self._rows(version):
                found = [one for one in self._points(batch) if one.vector is not None]
                self._send(server, found)
                read, there = read + len(batch), there + len(found)
            self._bury(server, version)
            relations.run(connection, [begin_behind(feed, self.spec.name, "live", Sql(str(version)))])
            work.state.checkpoint(STEP, self.spec.name, position)
        return self._step(
            "rows that were there", "filled", Counts(read, there, unchanged=read - there), started
        )

    def _bury(self, server: Rest, version: int) -> None:
        """Points that the table does not have: as tombstones, or an old write that comes late would make them again."""
        while not self.work.dry_run:
            with _passing():
                found = server.call(points.older(self.place, version, _AT_MOST))["points"]
            if not found:
                return
            self._send(server, [Versioned(str(one["id"]), version, None, {}) for one in found])

    def _rows(self, version: int) -> Iterator[list[Event]]:
        own = next(one for one in self.feeding.outboxes if one.name == self.spec.source)
        query = rows_of_table(own, Sql(str(version)))
        with self.work.state.connection.cursor(name="dpe_fill") as cursor:
            cursor.execute(query.encode())
            while rows := cursor.fetchmany(self._size):
                yield [Event(row[0], row[1], row[3], row[4]) for row in rows]

    def _points(self, events: Sequence[Event]) -> list[Versioned]:
        try:
            return [point_of(self.spec, self.place.relay, self.source, one) for one in events]
        except UsageProblem as problem:
            raise self._refused(f"cannot be filled: {problem.what}") from problem

    # --- what comes ---

    def _advanced(self, server: Rest) -> Iterator[Step]:
        """A batch after another, each acknowledged before it is confirmed; to the end of what was there at first."""
        connection, feed, ended = self.work.state.connection, self.feeding.feed, 0
        while ended < WINDOWS:
            started = time.monotonic()
            with telling(self.work.place.conninfo):
                rows = connection.execute(peek(feed, self.spec.name, self._size).encode()).fetchall()
            events = [Event(row[0], row[1], row[3], row[4], (row[7], row[8])) for row in rows]
            if not events:
                return
            ended += len(events) < self._size
            good, found, problem = self._until_refused(events)
            self._flush()
            self._send(server, [*found.values()])
            if good:
                last = good[-1]
                with telling(self.work.place.conninfo):
                    relations.run(connection, [confirm(feed, self.spec.name, last.window, last.position)])
                gone = sum(one.vector is None for one in found.values())
                there = len(found) - gone
                counts = Counts(len(good), there, deleted=gone, unchanged=len(good) - there)
                yield self._step("events", "sent", counts, started)
            if problem is not None:
                raise problem

    def _until_refused(
        self, events: Sequence[Event]
    ) -> tuple[Sequence[Event], dict[str, Versioned], UsageProblem | None]:
        """The events before one that makes no point, the points they leave in the end, and what is wrong with it."""
        found: dict[str, Versioned] = {}
        for number, event in enumerate(events):
            if event.type.rpartition(".")[0] != self.spec.source:
                continue
            try:
                one = point_of(self.spec, self.place.relay, self.source, event)
            except UsageProblem as problem:
                told = f"stands before event {event.position} ({event.type}): {problem.what}"
                return events[:number], found, self._refused(told)
            found[one.id] = one
        return events, found, None

    def _refused(self, told: str) -> UsageProblem:
        return UsageProblem(
            f"the collection {self.spec.name} {told}",
            where=self.work.spec.file,
            expected=f"{self.spec.dimensions} numbers, or NULL for a row that has no vector yet",
            try_="mend the spec or the row, then dpe pipeline run --resnapshot, which fills the collection anew",
        )

    def _step(self, unit: str, way: str, counts: Counts, started: float) -> Step:
        source = str(self.feeding.feed.source)
        return Step(source, unit, self.spec.name, counts, way, time.monotonic() - started)


def _kept_address(spec: CollectionSpec) -> Mapping[str, str | None]:
    """Of its server, as the spec names it; a user and a password in it are left out."""
    parts = urlsplit(spec.url)
    host = parts.netloc.rpartition("@")[2]
    url = spec.url if spec.url.startswith("env:") else urlunsplit((parts.scheme, host, parts.path, "", ""))
    return {"url": url, "api_key": spec.api_key}


def taken_away(work: Work, name: str) -> bool:
    """The points of a collection that the spec names no more; False where nobody knows where they are.

    EnvironmentProblem where their server does not answer.
    """
    at = work.state.positions(STEP)[name].get("at")
    if at is None:
        return False
    server = server_of(work.place, name, at["url"], at["api_key"])
    place = points.Place(at["collection"], relay_name(work.spec, name))
    if work.dry_run:
        return True
    with _passing(), suppress(NotThere):
        server.call(points.removed(place))
    return True


@contextmanager
def _passing() -> Iterator[None]:
    """A server that does not answer may do so the next time."""
    try:
        yield
    except EnvironmentProblem as problem:
        raise Passing(problem.what, where=problem.where, try_="the same command again") from problem

"""One world for one trial: a target, the sources with their rows, and runs in processes of their own."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from data_platform.pipeline.lineage import lineages
from data_platform.pipeline.plan import Chain
from data_platform.pipeline.prove.child import Child, begun
from data_platform.pipeline.prove.data import Row, as_json, rows_of, shape_of, write_files
from data_platform.pipeline.prove.following import Followed, followed
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.postgres.connect import connect
from data_platform.postgres.pipelines import relations
from data_platform.postgres.pipelines.relations import table_name
from data_platform.postgres.server import Database, Server
from data_platform.spec.pipeline import TARGET, Pipeline, Source
from data_platform.sql.text import Sql, columns_of, identifiers, phrase, qualified

_PAGE = 500
_TIMES = ("valid_from", "valid_to", "valid")
"""Columns of a dimension that hold the time of a run, where the rows do not say their own."""


@dataclass(frozen=True)
class Made:
    """What is made for every trial alike: rows by source, in batches."""

    spec: Pipeline
    chains: Sequence[Chain]
    rows: int = 2_000
    batches: int = 5
    seed: int = 1
    followed: Server | None = None
    """cdc: the cluster of the sources, whose change stream can be read."""

    _split: dict[str, list[list[Row]]] = field(default_factory=dict, repr=False, compare=False)

    def batches_of(self, source: Source) -> list[list[Row]]:
        """The source's rows, split; made once."""
        if source.name not in self._split:
            shape = shape_of(source, self.chains, lineages(self.spec))
            every = rows_of(shape, self.rows, f"{self.seed} {source.name}")
            size = -(-len(every) // self.batches)
            self._split[source.name] = [every[first : first + size] for first in range(0, len(every), size)]
        return self._split[source.name]


@dataclass
class Trial:
    """A fresh target and its sources. `content` is what the targets hold."""

    made: Made
    database: Database
    folder: Path
    file: Path
    addresses: Mapping[str, str]
    files: Mapping[str, list[Path]] = field(default_factory=dict)
    source: Followed | None = None

    def start(self) -> Child:
        """A run as a process, once it has begun. A source that is followed changes beside it."""
        if self.source is not None:
            self.source.begin()
        return begun(self.file, Place(self.database.conninfo, self.folder, addresses=self.addresses))

    def run(self) -> dict[str, Any]:
        """A run to its end, over all that the sources ever have: what it counted, or its problem."""
        if self.source is not None:
            self.source.settle()
        return self.start().end()

    def quiet(self) -> bool:
        """Whether a source that is followed went on changing; a run lets it come to its end."""
        return self.source is not None

    def wanted(self, truth: Mapping[str, Counter[str]]) -> Mapping[str, Counter[str]]:
        """What there must be at the end: what an uninterrupted run leaves."""
        return truth

    def content(self) -> dict[str, Counter[str]]:
        """The rows of each target and of quarantine as text, with how often each is there."""
        with connect(self.database.conninfo, read_only=True) as connection:
            found = {}
            for chain in self.made.chains:
                relation = relations.read_relation(connection, table_name(chain.target.table))
                if relation is not None:
                    left_out = _TIMES if self.made.spec.pattern == "scd" and not chain.target.version else ()
                    names = [name for name in relation.columns if name not in left_out]
                    found[str(chain.target.table)] = rows_in(
                        connection, relation.name, columns_of("r", names)
                    )
            quarantine = qualified(self.made.spec.state_schema, "quarantine")
            if relations.read_relation(connection, quarantine) is not None:
                found["quarantine"] = rows_in(connection, quarantine, Sql("r.source, r.content, r.reasons"))
            return found

    def declared(self) -> dict[str, Counter[str]]:
        """The rows of each target in the columns that its source declares."""
        with connect(self.database.conninfo, read_only=True) as connection:
            return {
                str(chain.target.table): rows_in(
                    connection,
                    table_name(chain.target.table),
                    columns_of("r", chain.sources[0].columns),
                )
                for chain in self.made.chains
            }

    def with_value(self, source: Source, column: str) -> int:
        """Rows of the source's targets that have a value in a column, where there is one."""
        found = 0
        with connect(self.database.conninfo, read_only=True) as connection:
            for chain in self.made.chains:
                relation = relations.read_relation(connection, table_name(chain.target.table))
                if source in chain.sources and relation is not None and column in relation.columns:
                    rows = rows_in(connection, relation.name, columns_of("r", [column]))
                    found += rows.total() - rows["()"]
        return found


def rows_in(connection: psycopg.Connection[Any], relation: Sql, columns: Sql | None = None) -> Counter[str]:
    """The rows of a table or of a query in parentheses as text, with how often each is there."""
    columns = columns or Sql("r.*")
    query = phrase("SELECT ROW({columns})::text FROM {relation} r", columns=columns, relation=relation)
    return Counter(row[0] for row in connection.execute(query.encode()))


@contextmanager
def trial(
    server: Server, made: Made, folder: Path, *, pages_fail: bool = False, copied: bool = False
) -> Iterator[Trial]:
    """A new target, and sources with all their rows. `pages_fail`: pages are refused with 503 every other time.

    A source that is followed has a part of its rows, and changes once a run begins; with `copied` a run was done
    before, and all changes wait in the stream.
    """
    with ExitStack() as stack:
        database = stack.enter_context(server.scratch_database(extensions=_extensions(made.spec)))
        addresses: dict[str, str] = {}
        files: dict[str, list[Path]] = {}
        stream = None
        if made.followed is not None:
            entered = followed(made.followed, made.spec, made.chains, made.rows, made.seed)
            stream = stack.enter_context(entered)
            addresses = {source.name: stream.database.conninfo for source in made.spec.sources}
        for source in made.spec.sources if stream is None else ():
            batches = made.batches_of(source)
            if source.path is not None:
                files[source.name] = write_files(source, folder, batches)
            elif source.url is not None:
                rows = [as_json(row, source) for batch in batches for row in batch]
                addresses[source.name] = stack.enter_context(_pages(source, rows, fails=pages_fail))
            else:
                here = database if source.dsn == TARGET else stack.enter_context(server.scratch_database())
                addresses[source.name] = here.conninfo
                _fill(here.conninfo, source, [row for batch in batches for row in batch])
        file = folder / "spec.yaml"
        file.write_text(Path(made.spec.file).read_text(encoding="utf-8"), encoding="utf-8")
        one = Trial(made, database, folder, file, addresses, files, stream)
        if stream is not None and copied:
            run(made.spec, Place(database.conninfo, folder, addresses=addresses))
            stream.settle()
        yield one


def _extensions(spec: Pipeline) -> list[str]:
    return ["btree_gist"] if spec.pattern == "scd" else []


def _fill(conninfo: str, source: Source, rows: Sequence[Row]) -> None:
    """The source's table with its rows."""
    assert source.table is not None
    with connect(conninfo, read_only=False) as connection:
        # Crashes are of the target: a source keeps what it has committed.
        connection.execute("SET synchronous_commit = on")
        columns = {name: str(type_) for name, type_ in source.columns.items()}
        relations.create_table(connection, source.table, columns, ())
        copy = phrase(
            "COPY {table} ({columns}) FROM STDIN",
            table=table_name(source.table),
            columns=identifiers(source.columns),
        )
        with connection.cursor() as cursor, cursor.copy(copy.encode()) as out:
            for row in rows:
                out.write_row([row[name] for name in source.columns])


@contextmanager
def _pages(source: Source, rows: Sequence[Any], *, fails: bool) -> Iterator[str]:
    """A server that gives the rows page by page, as the spec says that its own does."""
    asked = [0]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked[0] += 1
            if fails and asked[0] % 2:
                self.send_error(503)
                return
            query = parse_qs(urlsplit(self.path).query)
            wanted = source.pages.parameter or "page"
            number = int(query.get(wanted, [str(source.pages.first)])[0]) - source.pages.first
            part = list(rows[number * _PAGE : (number + 1) * _PAGE])
            more = (number + 1) * _PAGE < len(rows)
            following = f"/?{wanted}={number + 1 + source.pages.first}" if more else None
            body: Any = _nested(source.pages.records, part)
            if source.pages.next:
                body = _merged(body if isinstance(body, dict) else {}, _nested(source.pages.next, following))
            raw = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{served.server_address[1]}/"
    finally:
        served.shutdown()
        served.server_close()


def _nested(keys: Sequence[str], value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for key, value in other.items():
        old = found.get(key)
        found[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found

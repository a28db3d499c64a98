"""A stream of bytes becomes a temporary table of typed rows; what is not of its types goes into quarantine.

Three ways, each tried when the one before it is refused by the server, so that good data costs one COPY:

    typed    COPY into columns of their types
    checked  COPY into columns of text, then each value is asked whether it is one of its type
    torn     records are split here, since one of them has too few or too many fields or is no text at all
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from data_platform.errors import UsageProblem
from data_platform.postgres.pipelines.relations import ROW, add_columns, read_relation
from data_platform.postgres.pipelines.state import State
from data_platform.sql.text import Sql, identifier, identifiers, joined, literal, phrase, qualified

_MOST_TORN = 100_000
"""Records that are kept in memory until they are in quarantine."""
TEXT = Sql("_dpe_text")
"""The temporary table of rows that are not typed yet."""
_TEXT_TABLE = qualified("pg_temp", str(TEXT))
_JSON_COPY = Sql("(FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01', NULL E'\\x03')")
"""A whole line as one value: JSON holds none of these characters unescaped. Its streams have JSON_DELIMITER."""
JSON_DELIMITER = b"\x02"
_VALID = """
CREATE OR REPLACE FUNCTION pg_temp._dpe_is_valid(value text, wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT %L::%s', value, wanted);
    RETURN true;
EXCEPTION WHEN data_exception OR syntax_error_or_access_rule_violation THEN
    RETURN false;
END $$
"""
"""For servers before 16, which have no pg_input_is_valid."""


class NoRoom(Exception):
    """A value of a stream that a column's type cannot take, seen before the server could refuse it."""


Blocks = Callable[[], Iterable[bytes]]
"""Opens the stream; again, if it is read a second time."""


@dataclass(frozen=True)
class Torn:
    """A record that no row can be made of."""

    number: int
    text: str
    reason: str


@dataclass(frozen=True)
class Stream:
    """Rows as bytes. `options` are COPY's; `columns` are those of the stream, in its order.

    `split` gives (number, record) for each whole record and `Torn` for the others; None where that cannot be, since
    the stream was made by a server or by us. `is_json`: every line is an object instead.
    """

    columns: tuple[str, ...]
    options: Sql
    blocks: Blocks
    binary: Callable[[Mapping[str, str]], Iterable[bytes] | None] = lambda types: None
    """The same in COPY's binary format, for a table's columns of these types, by name; None where that cannot be."""
    delimiter: bytes = b","
    split: Callable[[], Iterator[tuple[int, bytes] | Torn]] | None = None
    is_json: bool = False


@dataclass(frozen=True)
class Staged:
    """Rows in the stream, and how many of them are in quarantine."""

    read: int
    quarantined: int
    way: str


def copy_in(connection: psycopg.Connection[Any], statement: Sql, blocks: Iterable[bytes]) -> int:
    """COPY … FROM STDIN of these blocks; the number of rows."""
    with connection.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy:
            for block in _ahead(iter(blocks)):
                copy.write(block)
        return cursor.rowcount


def _ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, each made while the server takes the one before."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = worker.submit(next, blocks, None)
            yield block


def make_room(connection: psycopg.Connection[Any], name: str, columns: Mapping[str, Sql]) -> None:
    """A temporary table for rows of a source, with these columns at least."""
    there = read_relation(connection, qualified("pg_temp", name))
    if there is None:
        typed = [Sql(f"{identifier(column)} {type_}") for column, type_ in columns.items()]
        numbered = Sql(f"{ROW} bigint GENERATED ALWAYS AS IDENTITY (CACHE 1000)")
        try:
            _temporary(connection, identifier(name), [*typed, numbered])
        except psycopg.errors.UndefinedObject as error:
            raise UsageProblem(
                f"a column of `{name}` is of a type that the target has not: {error.diag.message_primary}",
                try_="make the type there, or declare the column as text under `columns:`",
            ) from None
    else:
        add_columns(connection, there, {c: str(t) for c, t in columns.items() if c not in there.columns})


def leave_out(connection: psycopg.Connection[Any], name: str, columns: Iterable[str]) -> None:
    """Columns of the stream that nobody wants go out of the temporary table again."""
    for column in columns:
        statement = phrase(
            "ALTER TABLE pg_temp.{name} DROP COLUMN {column}",
            name=identifier(name),
            column=identifier(column),
        )
        connection.execute(statement.encode())


def copy_if_good(connection: psycopg.Connection[Any], table: Sql, stream: Stream) -> int | None:
    """Straight into a table; None, and nothing of it there, where the server refuses a row."""
    try:
        with connection.transaction():
            return _copied(connection, table, stream)
    except (psycopg.DataError, psycopg.IntegrityError, NoRoom):
        return None


def _copied(connection: psycopg.Connection[Any], table: Sql, stream: Stream) -> int:
    """The rows that COPY brought into a table, in the form that costs the server least."""
    there = read_relation(connection, table)
    binary = stream.binary(there.columns) if there else None
    options = stream.options if binary is None else Sql("(FORMAT binary)")
    copy = _copy(table, identifiers(stream.columns), options)
    return copy_in(connection, copy, stream.blocks() if binary is None else binary)


Undeclared = Callable[[Sequence[str]], Mapping[str, Sql]]
"""Given keys of JSON that are no columns: the columns that they become. It may raise."""
Form = Literal["fields", "objects", "objects of texts"]
"""Of rows that are not typed yet; the last are objects made of fields, in which a value of JSON is a text."""


@dataclass(frozen=True)
class Terms:
    """By what a stream is taken. `refused` gives the reason for which a row `r` goes into quarantine, or NULL.

    `before` are the rows of the streams that went into the same table before: its rows are numbered behind them.
    """

    undeclared: Undeclared = lambda keys: {}
    refused: Sql | None = None
    before: int = 0


def stage(
    state: State,
    name: str,
    unit: str,
    stream: Stream,
    columns: Mapping[str, Sql],
    terms: Terms = Terms(),
) -> Staged:
    """The stream into the temporary table `name`, within the transaction that is open."""
    connection = state.connection
    if terms.before:
        restart = "ALTER TABLE pg_temp.{name} ALTER {row} RESTART WITH {next}"
        connection.execute(phrase(restart, name=identifier(name), row=ROW, next=terms.before + 1).encode())
    if not stream.is_json and not terms.refused:
        try:
            with connection.transaction():
                return Staged(_copied(connection, qualified("pg_temp", name), stream), 0, "typed")
        except (psycopg.DataError, NoRoom):
            pass
    return _checked(state, name, unit, stream, columns, terms)


def _temporary(connection: psycopg.Connection[Any], name: Sql, columns: Sequence[Sql]) -> None:
    statement = "CREATE TEMP TABLE {name} ({columns}) ON COMMIT DROP"
    connection.execute(phrase(statement, name=name, columns=joined(", ", columns)).encode())


def _copy(table: Sql, columns: Sql, options: Sql) -> Sql:
    return phrase(
        "COPY {table} ({columns}) FROM STDIN {options}", table=table, columns=columns, options=options
    )


def _checked(
    state: State,
    name: str,
    unit: str,
    stream: Stream,
    columns: Mapping[str, Sql],
    terms: Terms,
) -> Staged:
    connection = state.connection
    texts = ["line"] if stream.is_json else list(stream.columns)
    listed = [Sql(f"{identifier(column)} text") for column in texts]
    _temporary(connection, TEXT, [*listed, Sql(f"{ROW} bigint GENERATED BY DEFAULT AS IDENTITY")])
    options = _JSON_COPY if stream.is_json else stream.options
    torn = 0
    try:
        with connection.transaction():
            read = copy_in(connection, _copy(_TEXT_TABLE, identifiers(texts), options), stream.blocks())
        way = "checked"
    except psycopg.DataError:
        if stream.split is None:
            raise
        read, torn = _torn(state, name, unit, stream, texts, options)
        way = "torn"
    keys = _other_keys(connection, columns) if stream.is_json else []
    if keys and (more := terms.undeclared(keys)):
        make_room(connection, name, more)
        columns = {**columns, **more}
    bad = sort_out(
        connection,
        name,
        columns,
        lambda query: quarantine(state, name, unit, query),
        "objects" if stream.is_json else "fields",
        terms,
    )
    connection.execute(phrase("DROP TABLE pg_temp.{text}", text=TEXT).encode())
    return Staged(read + torn, bad + torn, way)


# --- rows that are not of their types ---


def is_json_type(type_: str) -> bool:
    """Whether a column of this type, or an array's item, holds JSON."""
    return type_.lower().partition("[")[0].strip() in ("json", "jsonb")


def _json_value(column: str, type_: Sql, *, as_text: bool) -> Sql:
    """A column's text in the object `r.o` of a line; an array of JSON becomes one of PostgreSQL.

    In a column of JSON a text of the line is one of JSON, "5" and no 5; `as_text`: it is JSON written down.
    """
    kept = is_json_type(type_) and not as_text
    parts = {"key": literal(column), "items": Sql("nullif(x, 'null')::text" if kept else "x #>> '{}'")}
    whole = phrase("nullif(r.o -> {key}, 'null')::text" if kept else "r.o ->> {key}", **parts)
    if not type_.endswith("]"):
        return Sql(f"({whole})")
    return phrase(
        "(CASE WHEN jsonb_typeof(r.o -> {key}) = 'array' THEN coalesce((SELECT array_agg({items} ORDER BY n)::text"
        " FROM jsonb_array_elements(r.o -> {key}) WITH ORDINALITY e (x, n)), '{{}}') ELSE r.o ->> {key} END)",
        **parts,
    )


def _lines(valid: Sql) -> Sql:
    """The table of lines with `o`, the object that each one is, or NULL."""
    # OFFSET 0, here and below, keeps the server from casting a value before it was asked whether it can.
    return phrase(
        "(SELECT p.*, CASE jsonb_typeof(p.parsed) WHEN 'object' THEN p.parsed END AS o FROM (SELECT t.*,"
        " CASE WHEN coalesce({valid}(t.line, 'jsonb'), false) THEN t.line::jsonb END AS parsed"
        " FROM pg_temp.{text} t OFFSET 0) p OFFSET 0)",
        valid=valid,
        text=TEXT,
    )


def _known(columns: Iterable[str]) -> Sql:
    return phrase("ARRAY[{names}]::text[]", names=joined(", ", [literal(name) for name in columns]))


def has_other_keys(columns: Iterable[str]) -> Sql:
    """The reason against a line of JSON `r` that has keys which are no columns; NULL for one that has none."""
    return phrase(
        "CASE WHEN r.o - {known} <> '{{}}' THEN 'has keys that nobody declared: '"
        " || (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(r.o - {known}) k) END",
        known=_known(columns),
    )


def _other_keys(connection: psycopg.Connection[Any], columns: Mapping[str, Sql]) -> list[str]:
    """Keys of the lines' objects that are no columns. Most lines have none, and are done with after one look."""
    query = phrase(
        "SELECT DISTINCT jsonb_object_keys(q.rest) FROM (SELECT r.o - {known} AS rest FROM {lines} r OFFSET 0) q"
        " WHERE q.rest <> '{{}}'",
        known=_known(columns),
        lines=_lines(_validity(connection)),
    )
    return sorted(key for (key,) in connection.execute(query.encode()))


def sort_out(
    connection: psycopg.Connection[Any],
    name: str,
    columns: Mapping[str, Sql],
    refuse: Callable[[Sql], int],
    form: Form,
    terms: Terms = Terms(),
) -> int:
    """Rows of the table of texts of which every value is one of its type go on into the table `name`.

    `refuse` is given a query for the others (number, content, reasons), and gives how many they are.
    """
    is_json = form != "fields"
    valid = _validity(connection)
    source = _lines(valid) if is_json else Sql(f"pg_temp.{TEXT}")
    values = {
        c: _json_value(c, t, as_text=form == "objects of texts") if is_json else Sql(f"r.{identifier(c)}")
        for c, t in columns.items()
    }
    reasons = [_reason(valid, values[column], column, type_) for column, type_ in columns.items()]
    reasons += [Sql("CASE WHEN r.o IS NULL THEN 'no object of JSON' END")] if is_json else []
    reasons += [terms.refused] if terms.refused else []
    judged = phrase(
        "SELECT r.*, array_remove(ARRAY[{reasons}]::text[], NULL) AS _dpe_reasons FROM {source} r OFFSET 0",
        reasons=joined(", ", reasons),
        source=source,
    )
    insert = phrase(
        "INSERT INTO pg_temp.{name} ({columns}, {row}) OVERRIDING SYSTEM VALUE"
        " SELECT {casts}, r.{row} + {before} FROM ({judged}) r WHERE r._dpe_reasons = '{{}}' ORDER BY r.{row}",
        name=identifier(name),
        columns=identifiers(columns),
        row=ROW,
        casts=joined(", ", [Sql(f"({values[column]})::{type_}") for column, type_ in columns.items()]),
        judged=judged,
        before=terms.before,
    )
    good = connection.execute(insert.encode()).rowcount
    count = connection.execute(phrase("SELECT count(*) FROM pg_temp.{text}", text=TEXT).encode())
    if count.fetchone() == (good,):
        return 0  # most batches are good, and need not be judged a second time
    content = "coalesce(r.o, to_jsonb(r.line))" if is_json else f"to_jsonb(r.*) - '{ROW}' - '_dpe_reasons'"
    bad = "SELECT r.{row}, {content}, r._dpe_reasons FROM ({judged}) r WHERE r._dpe_reasons <> '{{}}'"
    return refuse(phrase(bad, row=ROW, content=Sql(content), judged=judged))


def _reason(valid: Sql, value: Sql, column: str, type_: Sql) -> Sql:
    return phrase(
        "CASE WHEN NOT {valid}({value}, {type}) THEN {told} END",
        valid=valid,
        value=value,
        type=literal(type_),
        told=literal(f"{column}: not {type_}"),
    )


def quarantine(state: State, source: str, unit: str, query: Sql, target: Sql | None = None) -> int:
    """What a query gives as (number, content as jsonb, reasons as text[]) into quarantine; how many rows.

    `target` is the table that refuses them, where it is not their source that no row can be made of.
    """
    statement = phrase(
        "INSERT INTO {table} (pipeline, source, unit, target, run_id, number, content, reasons)"
        " SELECT {pipeline}, {source}, {unit}, {target}, {run}, q.* FROM ({query}) q",
        table=state.table("quarantine"),
        pipeline=literal(state.pipeline),
        source=literal(source),
        unit=literal(unit),
        target=literal(target) if target else Sql("NULL"),
        run=state.run_id,
        query=query,
    )
    return state.connection.execute(statement.encode()).rowcount


def _validity(connection: psycopg.Connection[Any]) -> Sql:
    if connection.info.server_version >= 160000:
        return Sql("pg_input_is_valid")
    connection.execute(_VALID.encode())
    return Sql("pg_temp._dpe_is_valid")


# --- records that are torn ---


def _torn(
    state: State, name: str, unit: str, stream: Stream, texts: Sequence[str], options: Sql
) -> tuple[int, int]:
    """Whole records into the table of texts, each with its number before it, the others into quarantine."""
    assert stream.split is not None
    torn: list[Torn] = []

    def whole(records: Iterator[tuple[int, bytes] | Torn]) -> Iterator[bytes]:
        for found in records:
            if isinstance(found, Torn):
                torn.append(found)
                if len(torn) > _MOST_TORN:
                    raise UsageProblem(
                        f"more than {_MOST_TORN:,} records of `{name}` are torn, the first one: {torn[0].reason}",
                        where=unit,
                        expected="a file of these columns, in this format and encoding",
                    )
            else:
                yield b"%d%s%s" % (found[0], stream.delimiter, found[1])

    bare = Sql(options.replace(", HEADER true", ""))
    read = copy_in(
        state.connection, _copy(_TEXT_TABLE, identifiers([ROW, *texts]), bare), whole(stream.split())
    )
    with state.connection.cursor() as cursor:
        statement = "INSERT INTO {table} (pipeline, source, unit, run_id, number, content, reasons)"
        values = phrase(f"{statement} VALUES (%s, %s, %s, %s, %s, %s, %s)", table=state.table("quarantine"))
        known = (state.pipeline, name, unit, state.run_id)
        cursor.executemany(
            values.encode(), [(*known, one.number, json.dumps(one.text), [one.reason]) for one in torn]
        )
    return read, len(torn)

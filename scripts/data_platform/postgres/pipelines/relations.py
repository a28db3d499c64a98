"""Tables and views as a pipeline sees them: columns, keys, and what their constraints ask of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from data_platform.errors import UsageProblem
from data_platform.model.database import Name
from data_platform.sql.text import Sql, identifier, identifiers, joined, phrase, qualified

ROW = Sql("_dpe_row")
"""The order of arrival, in tables of staged rows."""

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
       a.attgenerated <> '' OR a.attidentity = 'a', c.relkind = 'p'
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_UNIQUE = """
SELECT array_agg(a.attname::text) FROM pg_index i
  CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
   AND i.indexprs IS NULL AND k.n <= i.indnkeyatts GROUP BY i.indexrelid
"""
_UNIQUE_NAMED = """
SELECT c.relname, array_agg(a.attname::text) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
   AND k.n <= i.indnkeyatts GROUP BY c.relname ORDER BY c.relname
"""
_KIND = "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)"
_CHECKS = """
SELECT c.conname, pg_get_expr(c.conbin, c.conrelid),
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))
  FROM pg_constraint c WHERE c.conrelid = to_regclass(%s) AND c.contype = 'c' ORDER BY c.conname
"""
_FOREIGN = """
SELECT c.conname, n.nspname, r.relname,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum)
  FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE c.conrelid = to_regclass(%s) AND c.contype = 'f' AND c.confrelid <> c.conrelid AND NOT c.condeferrable
 ORDER BY c.conname
"""


@dataclass(frozen=True)
class Relation:
    """What is there under a name.

    `required` columns have neither a default nor room for NULL; the server makes the values of `derived` ones.
    """

    name: Sql
    columns: Mapping[str, str]
    required: frozenset[str] = frozenset()
    derived: frozenset[str] = frozenset()
    partitioned: bool = False

    @property
    def writable(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name not in self.derived)


@dataclass(frozen=True)
class Rule:
    """What must hold of a row `r`: a condition that is NULL or true for a good one, and how a bad one is told."""

    name: str
    condition: Sql


def table_name(name: Name) -> Sql:
    """With its schema: temporary relations of a run never hide it."""
    return qualified(name.schema, name.name)


def read_relation(connection: psycopg.Connection[Any], name: Sql) -> Relation | None:
    """The relation of that (quoted) name, or None."""
    rows = connection.execute(_COLUMNS, [name]).fetchall()
    if not rows:
        return None
    columns = {column: type_ for column, type_, *_ in rows if column != ROW}
    required = frozenset(column for column, _, needed, made, _ in rows if needed and not made)
    derived = frozenset(column for column, _, _, made, _ in rows if made)
    return Relation(name, columns, required, derived, rows[0][-1])


def has_key(connection: psycopg.Connection[Any], name: Sql, key: Sequence[str]) -> bool:
    """Whether a valid unique index, with no condition, is on just these columns."""
    return any(set(names) == set(key) for (names,) in connection.execute(_UNIQUE, [name]))


def is_table(connection: psycopg.Connection[Any], name: Sql) -> bool:
    """Whether rows are kept under that name: by a table, partitioned or not, or a foreign one."""
    row = connection.execute(_KIND, [name]).fetchone()
    return row is not None and row[0] in ("r", "p", "f")


def seems_empty(connection: psycopg.Connection[Any], name: Sql) -> bool | None:
    """Whether it has no row; None where this role may not look."""
    row = connection.execute("SELECT has_table_privilege(%s, 'SELECT')", [name]).fetchone()
    return is_empty(connection, name) if row is not None and row[0] else None


def refuse_hidden(connection: psycopg.Connection[Any], table: Name, try_: str | None = None) -> None:
    """UsageProblem where policies hide rows from this role: what it does not see would look as if it were gone."""
    row = connection.execute("SELECT row_security_active(%s::regclass)", [table_name(table)]).fetchone()
    if row is not None and row[0]:
        raise UsageProblem(
            f"row security hides rows of {table} from this role",
            expected="a role that sees all of them, such as one with BYPASSRLS",
            try_=try_,
        )


def is_empty(connection: psycopg.Connection[Any], name: Sql) -> bool:
    return connection.execute(phrase("SELECT FROM {name} LIMIT 1", name=name).encode()).fetchone() is None


def create_table(
    connection: psycopg.Connection[Any], name: Name, columns: Mapping[str, str], key: Sequence[str]
) -> Relation:
    """A table with these columns, in a schema that is made too where it is not there."""
    parts = [Sql(f"{identifier(column)} {type_}") for column, type_ in columns.items()]
    parts += [Sql(f"PRIMARY KEY ({identifiers(key)})")] if key else []
    create_schema(connection, name.schema)
    statement = phrase("CREATE TABLE {name} ({parts})", name=table_name(name), parts=joined(", ", parts))
    connection.execute(statement.encode())
    found = read_relation(connection, table_name(name))
    assert found is not None
    return found


def add_key(connection: psycopg.Connection[Any], table: Relation, key: Sequence[str]) -> bool:
    """The primary key of a table that has rows; where they have none, or one twice, the table is emptied: False."""
    statement = phrase("ALTER TABLE {table} ADD PRIMARY KEY ({key})", table=table.name, key=identifiers(key))
    try:
        with connection.transaction():
            connection.execute(statement.encode())
            return True
    except psycopg.IntegrityError:
        connection.execute(phrase("TRUNCATE {table}", table=table.name).encode())
        connection.execute(statement.encode())
        return False


def create_schema(connection: psycopg.Connection[Any], name: str) -> None:
    """Where it is not there; asked for first, since IF NOT EXISTS needs the right to make one all the same."""
    if not has_schema(connection, name):
        connection.execute(phrase("CREATE SCHEMA IF NOT EXISTS {name}", name=identifier(name)).encode())


def has_schema(connection: psycopg.Connection[Any], name: str) -> bool:
    return connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", [name]).fetchone() is not None


def add_columns(connection: psycopg.Connection[Any], table: Relation, columns: Mapping[str, str]) -> None:
    """Columns that a source has begun to have, without a default: no row is rewritten."""
    for column, type_ in columns.items():
        statement = "ALTER TABLE {table} ADD COLUMN {column} {type}"
        made = phrase(statement, table=table.name, column=identifier(column), type=Sql(type_))
        connection.execute(made.encode())


def constraint_rules(
    connection: psycopg.Connection[Any],
    table: Relation,
    columns: Sequence[str],
    key: Sequence[str],
    staged: Sql,
) -> tuple[Rule, ...]:
    """What its key and the table's constraints ask of a row `r` with these columns, one of the table `staged`.

    Those over other columns are left to the server. A foreign key is looked up in what the other table has when the
    statement begins.
    """
    rules = [
        Rule(f"{column} is null", Sql(f"r.{identifier(column)} IS NOT NULL"))
        for column in table.columns
        if column in columns and (column in table.required or column in key)
    ]
    for name, expression, own in connection.execute(_CHECKS, [table.name]):
        # The expression names columns bare, and `r` is the only relation around.
        if set(own) <= set(columns):
            rules.append(Rule(f"violates {name}", Sql(f"({expression})")))
    for name, schema, other, own, theirs in connection.execute(_FOREIGN, [table.name]):
        if set(own) <= set(columns):
            rules.append(Rule(f"violates {name}", _reference(schema, other, own, theirs)))
    for name, own in connection.execute(_UNIQUE_NAMED, [table.name]):
        if key and set(own) <= set(columns) and set(own) != set(key):
            rules.append(Rule(f"violates {name}", _alone(table.name, staged, own, key)))
    return tuple(rules)


def _alone(table: Sql, staged: Sql, own: Sequence[str], key: Sequence[str]) -> Sql:
    """That no other row, of the table or before it in the batch, has the values of a unique index."""
    same = joined(" AND ", [Sql(f"o.{identifier(name)} = r.{identifier(name)}") for name in own])
    other = joined(
        " OR ", [Sql(f"o.{identifier(name)} IS DISTINCT FROM r.{identifier(name)}") for name in key]
    )
    return phrase(
        "(NOT EXISTS (SELECT FROM {table} o WHERE {same} AND ({other}))"
        " AND NOT EXISTS (SELECT FROM {staged} o WHERE {same} AND ({other}) AND o.{row} < r.{row}))",
        table=table,
        staged=staged,
        same=same,
        other=other,
        row=ROW,
    )


def _reference(schema: str, other: str, own: Sequence[str], theirs: Sequence[str]) -> Sql:
    pairs = [Sql(f"o.{identifier(b)} = r.{identifier(a)}") for a, b in zip(own, theirs, strict=True)]
    nulls = [Sql(f"r.{identifier(a)} IS NULL") for a in own]
    return phrase(
        "({nulls} OR EXISTS (SELECT FROM {other} o WHERE {pairs}))",
        nulls=joined(" OR ", nulls),
        other=qualified(schema, other),
        pairs=joined(" AND ", pairs),
    )


def create_temporary(connection: psycopg.Connection[Any], name: str, query: Sql) -> Relation:
    """What a query gives as a temporary table, which hides a table of that name for the rest of the transaction.

    Its rows are numbered, unless the query hands on the numbers of what it reads.
    """
    probe = connection.execute(phrase("SELECT * FROM ({query}) q LIMIT 0", query=query).encode())
    numbered = any(column.name == ROW for column in probe.description or ())
    number = Sql("") if numbered else phrase(", row_number() OVER () AS {row}", row=ROW)
    statement = "CREATE TEMP TABLE {name} ON COMMIT DROP AS SELECT q.*{number} FROM ({query}) q"
    connection.execute(phrase(statement, name=identifier(name), number=number, query=query).encode())
    analyze(connection, name)
    return temporary(connection, name)


def create_temporary_view(connection: psycopg.Connection[Any], name: str, table: Sql) -> None:
    """A table under the short name that a spec's SQL knows it by."""
    statement = phrase("CREATE TEMP VIEW {name} AS SELECT * FROM {table}", name=identifier(name), table=table)
    connection.execute(statement.encode())


def temporary(connection: psycopg.Connection[Any], name: str) -> Relation:
    """A temporary table that is there."""
    found = read_relation(connection, qualified("pg_temp", name))
    assert found is not None
    return found


def analyze(connection: psycopg.Connection[Any], name: str, columns: Sequence[str] = ()) -> None:
    """Statistics of a temporary table, which nobody else gathers; of these columns, or of all."""
    listed = Sql(f" ({identifiers(columns)})") if columns else Sql("")
    statement = phrase("ANALYZE pg_temp.{name}{listed}", name=identifier(name), listed=listed)
    connection.execute(statement.encode())


def drop_temporary(connection: psycopg.Connection[Any], names: Sequence[str]) -> None:
    """Tables and views, before the end of a transaction that may go on."""
    for name in names:
        row = connection.execute(_KIND, [qualified("pg_temp", name)]).fetchone()
        if row is not None:
            kind = Sql("VIEW" if row[0] == "v" else "TABLE")
            connection.execute(
                phrase("DROP {kind} pg_temp.{name}", kind=kind, name=identifier(name)).encode()
            )


def create_extensions(connection: psycopg.Connection[Any], names: Sequence[str]) -> None:
    """Those that are not there. UsageProblem where this role may not make one."""
    for name in names:
        if connection.execute("SELECT FROM pg_extension WHERE extname = %s", [name]).fetchone() is None:
            statement = phrase("CREATE EXTENSION {name}", name=identifier(name))
            try:
                with connection.transaction():
                    connection.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                raise UsageProblem(
                    f"this role may not make the extension {name}",
                    try_=f"{statement};  -- as a role that may",
                ) from None


def run(connection: psycopg.Connection[Any], statements: Sequence[Sql]) -> tuple[Any, ...] | None:
    """Statements one after another; the first row of the last one, where it gives rows."""
    row = None
    for statement in statements:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
    return row

"""Operations on types, views, functions, triggers, policies, rights and extensions."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.operations.asked import Asked, Unknown
from data_platform.model.database import Enum
from data_platform.sql.phrases import condition, default, query, role
from data_platform.sql.text import (
    expression,
    identifier,
    identifiers,
    literal,
    literals,
    parse,
    qualified_name,
)


def create_enum(asked: Asked) -> Iterator[str]:
    """A type of labels in their order."""
    yield f"CREATE TYPE {qualified_name(asked.name())} AS ENUM ({literals(map(str, asked.body['values']))})"


def add_enum_value(asked: Asked) -> Iterator[str]:
    """At the end, or `before` or `after` another one."""
    place = "".join(
        f" {word.upper()} {literal(asked.text(word))}" for word in ("before", "after") if asked.has(word)
    )
    yield f"ALTER TYPE {qualified_name(_enum(asked).name)} ADD VALUE {literal(asked.text('value'))}{place}"


def rename_enum_value(asked: Asked) -> Iterator[str]:
    """Rows keep their label under its new name."""
    enum, old, new = _enum(asked), asked.text("value"), asked.text("to")
    asked.told.labels[(enum.name, new)] = asked.told.labels.pop((enum.name, old), old)
    yield f"ALTER TYPE {qualified_name(enum.name)} RENAME VALUE {literal(old)} TO {literal(new)}"


def remove_enum_value(asked: Asked) -> Iterator[str]:
    """A type without it takes the place of the old one. Rows that have it get `instead`, or must have been changed."""
    enum = _enum(asked)
    value = asked.text("value")
    if value not in enum.labels:
        raise Unknown("value", f"{enum.name} has no label `{value}` ({', '.join(enum.labels)})")
    name = qualified_name(enum.name)
    kept = [label for label in enum.labels if label != value]
    yield f"ALTER TYPE {name} RENAME TO {identifier('dpe_old_enum')}"
    yield f"CREATE TYPE {name} AS ENUM ({literals(kept)})"
    for table in asked.database.tables:
        for column in table.columns:
            if column.type in (str(name), str(enum.name), enum.name.name) and not column.inherited:
                own = f"ALTER TABLE {qualified_name(table.name)} ALTER COLUMN {identifier(column.name)}"
                if column.default is not None:
                    yield f"{own} DROP DEFAULT"
                if asked.has("instead"):
                    asked.told.values[(table.name, column.name)] = _instead(asked, column.name)
                yield f"{own} TYPE {name} USING NULL::{name}"
                if column.default is not None:
                    yield f"{own} SET DEFAULT {default(column.default)}"
    schema = "" if enum.name.schema == "public" else f"{identifier(enum.name.schema)}."
    yield f"DROP TYPE {schema}{identifier('dpe_old_enum')}"


def _instead(asked: Asked, column: str) -> str:
    """The new value of a column, in the new type: the old one but for the label that goes."""
    old, new, here = (
        literal(asked.text("value")),
        literal(asked.text("instead")),
        f"{identifier(column)}::text",
    )
    name = asked.name("type")
    type_ = f"{identifier(name.schema)}.{identifier(name.name)}"
    return expression(f"(CASE {here} WHEN {old} THEN {new} ELSE {here} END)::{type_}")


def _enum(asked: Asked) -> Enum:
    wanted = asked.name("type")
    for type_ in asked.database.types:
        if isinstance(type_, Enum) and type_.name == wanted:
            return type_
    raise Unknown("type", f"there is no enum `{wanted}`")


# --- views, functions, triggers ---


def create_view(asked: Asked) -> Iterator[str]:
    """New."""
    yield f"CREATE VIEW {qualified_name(asked.name())} AS {query(asked.text('query'))}"


def replace_view(asked: Asked) -> Iterator[str]:
    """Another query under the same name."""
    name = qualified_name(asked.name())
    yield f"DROP VIEW IF EXISTS {name}"
    yield f"CREATE VIEW {name} AS {query(asked.text('query'))}"


def drop_view(asked: Asked) -> Iterator[str]:
    """With nothing over it."""
    yield f"DROP VIEW {qualified_name(asked.name())}"


def create_materialized_view(asked: Asked) -> Iterator[str]:
    """New, filled; `unique` columns make REFRESH … CONCURRENTLY possible."""
    yield f"CREATE MATERIALIZED VIEW {qualified_name(asked.name())} AS {query(asked.text('query'))}"
    if asked.has("unique"):
        columns = identifiers(asked.body["unique"])
        yield f"CREATE UNIQUE INDEX ON {qualified_name(asked.name())} ({columns})"


def replace_materialized_view(asked: Asked) -> Iterator[str]:
    """Built beside, then the names change."""
    yield from drop_materialized_view(asked)
    yield from create_materialized_view(asked)


def drop_materialized_view(asked: Asked) -> Iterator[str]:
    """It holds no rows of its own."""
    yield f"DROP MATERIALIZED VIEW {qualified_name(asked.name())}"


def create_function(asked: Asked) -> Iterator[str]:
    """`sql` is the whole CREATE [OR REPLACE] FUNCTION or PROCEDURE."""
    yield _only(asked, "create_function_stmt", "CREATE FUNCTION")


def drop_function(asked: Asked) -> Iterator[str]:
    """`signature` is the name with the types of its arguments: `total(integer)`."""
    yield f"DROP FUNCTION {asked.text('signature')}"


def create_trigger(asked: Asked) -> Iterator[str]:
    """`sql` is the whole CREATE TRIGGER."""
    yield _only(asked, "create_trig_stmt", "CREATE TRIGGER")


def drop_trigger(asked: Asked) -> Iterator[str]:
    """By its name."""
    yield f"DROP TRIGGER {identifier(asked.text('name'))} ON {qualified_name(asked.table_name)}"


def _only(asked: Asked, kind: str, word: str) -> str:
    statements = parse(asked.text("sql")).stmts
    if len(statements) != 1 or not statements[0].stmt.HasField(kind):
        raise Unknown("sql", f"expected one {word}")
    return asked.text("sql").rstrip().removesuffix(";")


def sql(asked: Asked) -> Iterator[str]:
    """Any one statement of DDL, as if nobody were there; the plan finds the form that keeps clients working."""
    statements = parse(asked.text("statement")).stmts
    if len(statements) != 1:
        raise Unknown("statement", f"expected one statement, found {len(statements)}")
    yield asked.text("statement").rstrip().removesuffix(";")


# --- row security, rights, extensions ---


def enable_row_security(asked: Asked) -> Iterator[str]:
    """On, for the owner too unless `forced: false`; with its policies, so that there is no moment without any."""
    for name, given in asked.body["policies"].items():
        yield _policy(asked, str(name), given)
    yield asked.alter("ENABLE ROW LEVEL SECURITY")
    if asked.body.get("forced", True):
        yield asked.alter("FORCE ROW LEVEL SECURITY")


def add_policy(asked: Asked) -> Iterator[str]:
    """One more."""
    yield _policy(asked, asked.text("name"), asked.body)


def drop_policy(asked: Asked) -> Iterator[str]:
    """By its name."""
    yield f"DROP POLICY {identifier(asked.text('name'))} ON {qualified_name(asked.table_name)}"


def _policy(asked: Asked, name: str, given: object) -> str:
    assert isinstance(given, dict) or hasattr(given, "get")
    body = given if isinstance(given, dict) else dict(asked.body)
    command = f" FOR {str(body['for']).upper()}" if body.get("for") else ""
    roles = f" TO {', '.join(role(str(one)) for one in body['to'])}" if body.get("to") else ""
    using = f" USING ({condition(str(body['using']))})" if body.get("using") else ""
    check = f" WITH CHECK ({condition(str(body['with_check']))})" if body.get("with_check") else ""
    kind = " AS RESTRICTIVE" if body.get("restrictive") else ""
    return f"CREATE POLICY {identifier(name)} ON {qualified_name(asked.table_name)}{kind}{command}{roles}{using}{check}"


def grant(asked: Asked) -> Iterator[str]:
    """Privileges on a table."""
    words = ", ".join(str(word).upper() for word in asked.body["privileges"])
    yield f"GRANT {words} ON {qualified_name(asked.table_name)} TO {role(asked.text('to'))}"


def revoke(asked: Asked) -> Iterator[str]:
    """The reverse."""
    words = ", ".join(str(word).upper() for word in asked.body["privileges"])
    yield f"REVOKE {words} ON {qualified_name(asked.table_name)} FROM {role(asked.text('from'))}"


def add_extension(asked: Asked) -> Iterator[str]:
    """By its name."""
    yield f"CREATE EXTENSION {identifier(asked.text('name'))}"


def drop_extension(asked: Asked) -> Iterator[str]:
    """With nothing that needs it."""
    yield f"DROP EXTENSION {identifier(asked.text('name'))}"


OPERATIONS = {
    one.__name__: one
    for one in (
        create_enum,
        add_enum_value,
        rename_enum_value,
        remove_enum_value,
        create_view,
        replace_view,
        drop_view,
        create_materialized_view,
        replace_materialized_view,
        drop_materialized_view,
        create_function,
        drop_function,
        create_trigger,
        drop_trigger,
        sql,
        enable_row_security,
        add_policy,
        drop_policy,
        grant,
        revoke,
        add_extension,
        drop_extension,
    )
}

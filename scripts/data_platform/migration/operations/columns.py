"""Operations on columns."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.operations.asked import Asked, Unknown
from data_platform.model.database import Name
from data_platform.sql.phrases import default
from data_platform.sql.text import expression, identifier, literal, qualified_name


def add_column(asked: Asked) -> Iterator[str]:
    """With a default, a generated value, an identity; required with what old rows get (`fill`)."""
    name = asked.text("column")
    parts = [f"ADD COLUMN {identifier(name)} {asked.type()}"]
    if asked.has("generated"):
        stored = "STORED" if asked.body.get("stored", True) else "VIRTUAL"
        parts.append(f"GENERATED ALWAYS AS ({expression(asked.text('generated'))}) {stored}")
    if asked.has("identity"):
        parts.append(f"GENERATED {asked.text('identity').upper()} AS IDENTITY")
    if asked.has("default"):
        parts.append(f"DEFAULT {default(asked.text('default'))}")
    if asked.body.get("required", False):
        parts.append("NOT NULL")
    _fill(asked, name)
    yield asked.alter(" ".join(parts))


def _fill(asked: Asked, column: str) -> None:
    if asked.has("fill"):
        asked.told.values[(asked.table_name, column)] = expression(asked.text("fill"))


def drop_column(asked: Asked) -> Iterator[str]:
    """Its values go, if `allow_data_loss` says so."""
    yield asked.alter(f"DROP COLUMN {identifier(asked.column())} CASCADE")


def rename_column(asked: Asked) -> Iterator[str]:
    """Both names work until contract."""
    old, new = asked.column(), asked.text("to")
    key = (asked.table_name, old)
    if key in asked.told.back or key in asked.told.merged:
        raise Unknown("column", f"`{old}` has a `back` in this change; rename it in another one")
    asked.told.column_renamed(asked.table_name, old, new)
    yield asked.alter(f"RENAME COLUMN {identifier(old)} TO {identifier(new)}")


def change_type(asked: Asked) -> Iterator[str]:
    """`using` makes the new value of the old one, `back` the reverse."""
    name = asked.column()
    key = (asked.table_name, name)
    if asked.has("using") and key in asked.told.columns:
        raise Unknown("using", f"`{name}` is renamed in this change; change its type in another one")
    if asked.has("using"):
        asked.told.values[key] = expression(asked.text("using"))
    if asked.has("back"):
        asked.told.back[key] = expression(asked.text("back"))
    yield from retyped(asked, name, asked.type())


def retyped(asked: Asked, name: str, type_: str) -> Iterator[str]:
    """The type alone; a default that does not fit, and the views over it, are put on again."""
    if (asked.table_name, name) in asked.told.moved:
        raise Unknown(
            "column", f"`{name}` comes from another table in this change; change its type in another one"
        )
    drops, makes = asked.over({(asked.table_name, name)})
    yield from drops
    yield from _retyped(asked, name, type_)
    yield from makes


def _retyped(asked: Asked, name: str, type_: str) -> Iterator[str]:
    column = asked.table.column(name)
    quoted = identifier(name)
    if column.default is not None:
        yield asked.alter(f"ALTER COLUMN {quoted} DROP DEFAULT")
    # The table of the scratch database is empty: the expression only has to be there.
    yield asked.alter(f"ALTER COLUMN {quoted} TYPE {type_} USING NULL::{type_}")
    if column.default is not None:
        yield asked.alter(f"ALTER COLUMN {quoted} SET DEFAULT {default(column.default)}")


def set_required(asked: Asked) -> Iterator[str]:
    """NOT NULL; `fill` for the rows that have none."""
    name = asked.column()
    _fill(asked, name)
    yield asked.alter(f"ALTER COLUMN {identifier(name)} SET NOT NULL")


def drop_required(asked: Asked) -> Iterator[str]:
    """NULL is allowed."""
    yield asked.alter(f"ALTER COLUMN {identifier(asked.column())} DROP NOT NULL")


def set_default(asked: Asked) -> Iterator[str]:
    """For rows that come."""
    yield asked.alter(
        f"ALTER COLUMN {identifier(asked.column())} SET DEFAULT {default(asked.text('default'))}"
    )


def drop_default(asked: Asked) -> Iterator[str]:
    """Clients write it themselves."""
    yield asked.alter(f"ALTER COLUMN {identifier(asked.column())} DROP DEFAULT")


def add_identity(asked: Asked) -> Iterator[str]:
    """A column that is there becomes an identity."""
    name = asked.column()
    quoted = identifier(name)
    if asked.table.column(name).nullable:
        yield asked.alter(f"ALTER COLUMN {quoted} SET NOT NULL")
    how = asked.text("identity").upper() if asked.has("identity") else "BY DEFAULT"
    yield asked.alter(f"ALTER COLUMN {quoted} ADD GENERATED {how} AS IDENTITY")


def serial_to_identity(asked: Asked) -> Iterator[str]:
    """The sequence of the default gives way to the identity's."""
    name = asked.column()
    yield asked.alter(f"ALTER COLUMN {identifier(name)} DROP DEFAULT")
    for sequence in asked.database.sequences:
        if sequence.owned_by == (asked.table_name, name):
            yield f"DROP SEQUENCE {qualified_name(sequence.name)}"
    yield from add_identity(asked)


def json_to_jsonb(asked: Asked) -> Iterator[str]:
    """The same values, without their white space and doubled keys."""
    yield from retyped(asked, asked.column(), "jsonb")


def split_column(asked: Asked) -> Iterator[str]:
    """One column into several: `into` has each with its type and its value, `back` makes the old one of them."""
    old, table = asked.column(), asked.table_name
    for name, given in asked.body["into"].items():
        asked.told.columns[(table, str(name))] = old
        asked.told.values[(table, str(name))] = expression(str(given["value"]))
        asked.told.back[(table, str(name))] = expression(asked.text("back"))
        required = " NOT NULL" if given.get("required", False) else ""
        yield asked.alter(f"ADD COLUMN {identifier(str(name))} {given['type']}{required}")
    yield asked.alter(f"DROP COLUMN {identifier(old)} CASCADE")


def merge_columns(asked: Asked) -> Iterator[str]:
    """Several columns into one: `value` is made of them, `back` says how each is made of it."""
    table, new = asked.table_name, asked.text("to")
    names = asked.columns()
    asked.told.values[(table, new)] = expression(asked.text("value"))
    given = asked.body["back"]
    if {*map(str, given)} != set(names):
        raise Unknown(
            "back", f"`back` is about {', '.join(map(str, given))}, `columns` about {', '.join(names)}"
        )
    asked.told.merged[(table, new)] = tuple((name, expression(str(given[name]))) for name in names)
    required = " NOT NULL" if asked.body.get("required", False) else ""
    yield asked.alter(f"ADD COLUMN {identifier(new)} {asked.type()}{required}")
    for name in names:
        yield asked.alter(f"DROP COLUMN {identifier(name)} CASCADE")


def widen_key(asked: Asked) -> Iterator[str]:
    """An integer key to bigint, with every column that refers to it."""
    columns = _referring(asked, (asked.table_name, asked.column()))
    drops, makes = asked.over(columns)
    yield from drops
    for table, column in columns:
        quoted = f"{qualified_name(table)}"
        yield f"ALTER TABLE {quoted} ALTER COLUMN {identifier(column)} TYPE bigint"
        for sequence in asked.database.sequences:
            if sequence.owned_by == (table, column) and sequence.type != "bigint":
                yield f"ALTER SEQUENCE {qualified_name(sequence.name)} AS bigint"
    yield from makes


def _referring(asked: Asked, key: tuple[Name, str]) -> list[tuple[Name, str]]:
    found = [key]
    for name, column in found:
        for table in asked.database.tables:
            for one in table.foreign_keys:
                if one.target == name and column in one.target_columns:
                    pair = (table.name, one.columns[one.target_columns.index(column)])
                    if pair not in found:
                        found.append(pair)
    return found


def add_vector_column(asked: Asked) -> Iterator[str]:
    """Empty; the application embeds the rows that are there."""
    yield asked.alter(
        f"ADD COLUMN {identifier(asked.text('column'))} {asked.text('of')}({int(asked.body['dimensions'])})"
    )


def change_vector_dimensions(asked: Asked) -> Iterator[str]:
    """A column for the new model beside the old one; the application fills it before contract."""
    name = asked.column()
    column = asked.table.column(name)
    base = column.type.partition("(")[0]
    type_ = f"{base}({int(asked.body['dimensions'])})"
    asked.told.values[(asked.table_name, name)] = f"NULL::{type_}"
    yield from retyped(asked, name, type_)


def change_vector_type(asked: Asked) -> Iterator[str]:
    """`vector` to `halfvec` and back."""
    yield from retyped(asked, asked.column(), asked.type())


def comment(asked: Asked) -> Iterator[str]:
    """On a table or one of its columns; empty takes it away."""
    text = literal(asked.text("text")) if asked.has("text") else "NULL"
    if asked.has("column"):
        yield f"COMMENT ON COLUMN {qualified_name(asked.table_name)}.{identifier(asked.column())} IS {text}"
    else:
        yield f"COMMENT ON TABLE {qualified_name(asked.table_name)} IS {text}"


OPERATIONS = {
    one.__name__: one
    for one in (
        add_column,
        drop_column,
        rename_column,
        change_type,
        set_required,
        drop_required,
        set_default,
        drop_default,
        add_identity,
        serial_to_identity,
        json_to_jsonb,
        split_column,
        merge_columns,
        widen_key,
        add_vector_column,
        change_vector_dimensions,
        change_vector_type,
        comment,
    )
}

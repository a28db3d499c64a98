"""Operations on constraints and indexes."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.migration.operations.asked import Asked, Unknown
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import in_schema, slug
from data_platform.model.database import Index, MaterializedView, Name, Table
from data_platform.sql.phrases import condition
from data_platform.sql.text import Sql, expression, identifier, identifiers, qualified_name


def add_foreign_key(asked: Asked) -> Iterator[str]:
    """`references` is the other table, `target_columns` its columns where not its primary key."""
    target = qualified_name(asked.name("references"))
    columns = f" ({identifiers(asked.body['target_columns'])})" if asked.has("target_columns") else ""
    actions = "".join(
        f" ON {word.upper()} {asked.text(f'on_{word}').upper()}"
        for word in ("delete", "update")
        if asked.has(f"on_{word}")
    )
    own = identifiers(asked.columns())
    yield asked.alter(
        f"ADD {asked.constraint('fkey')}FOREIGN KEY ({own}) REFERENCES {target}{columns}{actions}"
    )


def add_check(asked: Asked) -> Iterator[str]:
    """A condition on each row."""
    yield asked.alter(f"ADD {asked.constraint('check')}CHECK ({expression(asked.text('check'))})")


def add_unique(asked: Asked) -> Iterator[str]:
    """Together unique; `nulls_not_distinct` lets one NULL in."""
    nulls = " NULLS NOT DISTINCT" if asked.body.get("nulls_not_distinct", False) else ""
    yield asked.alter(f"ADD {asked.constraint('key')}UNIQUE{nulls} ({identifiers(asked.columns())})")


def add_primary_key(asked: Asked) -> Iterator[str]:
    """The columns become NOT NULL first."""
    yield asked.alter(f"ADD {asked.constraint('pkey')}PRIMARY KEY ({identifiers(asked.columns())})")


def change_primary_key(asked: Asked) -> Iterator[str]:
    """Other columns for the key that is there."""
    key = asked.table.primary_key
    if key is None:
        raise Unknown("table", f"{asked.table_name} has no primary key")
    yield asked.alter(f"DROP CONSTRAINT {identifier(key.name)}")
    yield asked.alter(f"ADD CONSTRAINT {identifier(key.name)} PRIMARY KEY ({identifiers(asked.columns())})")


def add_exclusion(asked: Asked) -> Iterator[str]:
    """`exclude` is what follows EXCLUDE: `USING gist (room WITH =, during WITH &&)`."""
    yield asked.alter(f"ADD {asked.constraint('excl')}EXCLUDE {asked.text('exclude')}")


def drop_constraint(asked: Asked) -> Iterator[str]:
    """By its name."""
    yield asked.alter(f"DROP CONSTRAINT {identifier(_constraint(asked))}")


def validate_constraint(asked: Asked) -> Iterator[str]:
    """One that is NOT VALID."""
    yield asked.alter(f"VALIDATE CONSTRAINT {identifier(_constraint(asked))}")


def _constraint(asked: Asked) -> str:
    name = asked.text("name")
    names = [one.name for one in asked.table.constraints]
    if name not in names:
        raise Unknown(
            "name",
            f"there is no constraint `{name}` on {asked.table_name} ({', '.join(names) or 'it has none'})",
        )
    return name


# --- indexes ---


def add_index(asked: Asked) -> Iterator[str]:
    """`columns` may be expressions in parentheses, with an operator class or DESC after them."""
    yield _index(asked, asked.table_name, f"{identifier(asked.text('name'))} " if asked.has("name") else "")


def _index(asked: Asked, table: Name, name: str) -> str:
    unique = "UNIQUE " if asked.body.get("unique", False) else ""
    using = f" USING {identifier(asked.text('using'))}" if asked.has("using") else ""
    keys = ", ".join(str(key) for key in asked.body["columns"])
    include = f" INCLUDE ({identifiers(asked.body['include'])})" if asked.has("include") else ""
    where = f" WHERE {condition(asked.text('where'))}" if asked.has("where") else ""
    return f"CREATE {unique}INDEX {name}ON {qualified_name(table)}{using} ({keys}){include}{where}"


def drop_index(asked: Asked) -> Iterator[str]:
    """By its name."""
    owner, index = _found(asked)
    yield f"DROP INDEX {in_schema(owner.name, index.name)}"


def swap_index(asked: Asked) -> Iterator[str]:
    """Another definition under the same name: built beside, then the names change."""
    owner, index = _found(asked)
    yield f"DROP INDEX {in_schema(owner.name, index.name)}"
    yield _index(asked, owner.name, f"{identifier(index.name)} ")


def reindex(asked: Asked) -> Iterator[str]:
    """Built anew beside itself; what a run that was cut short left is dropped first."""
    owner, index = _found(asked)
    name = in_schema(owner.name, index.name)
    left = in_schema(owner.name, f"{index.name[:57]}_ccnew")
    asked.told.steps.append(
        Step(
            name=slug("reindex", index.name),
            phase="expand",
            reason="Built beside the old one while clients read and write, which then gives way. An invalid copy "
            "that a run before left goes first.",
            up=(Sql(f"DROP INDEX CONCURRENTLY IF EXISTS {left}"), Sql(f"REINDEX INDEX CONCURRENTLY {name}")),
            one_way="the same index as before, without its bloat",
            transaction=False,
        )
    )
    yield from ()


def _found(asked: Asked) -> tuple[Table | MaterializedView, Index]:
    wanted = asked.name("name")
    owners: list[Table | MaterializedView] = [*asked.database.tables, *asked.database.materialized_views]
    for owner in owners:
        for index in owner.indexes:
            if index.name == wanted.name and owner.name.schema == wanted.schema:
                return owner, index
    raise Unknown("name", f"there is no index `{wanted}`")


OPERATIONS = {
    one.__name__: one
    for one in (
        add_foreign_key,
        add_check,
        add_unique,
        add_primary_key,
        change_primary_key,
        add_exclusion,
        drop_constraint,
        validate_constraint,
        add_index,
        drop_index,
        swap_index,
        reindex,
    )
}

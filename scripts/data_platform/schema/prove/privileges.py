"""What privileges are granted on, and a statement for each privilege that needs it and does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from data_platform.model.database import Column, MaterializedView, Name, Table, View
from data_platform.schema.prove.callable import Routine, routines
from data_platform.schema.prove.ground import Ground
from data_platform.sql.text import identifier, literal, qualified, qualified_name

_WRITE = ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Object:
    """Something that privileges are granted on. `key` is how the server names it."""

    kind: str
    key: str
    name: Name
    owner: str | None
    columns: tuple[Column, ...] = ()
    attempts: Mapping[str, str] = field(default_factory=dict)
    """A statement for each privilege, which needs that and nothing else."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """A question instead, where a statement cannot tell: has_…_privilege."""


def objects(ground: Ground) -> Iterator[Object]:
    """Schemas, tables, views, sequences and functions of the database."""
    database = ground.database
    schemas = dict.fromkeys(database.schemas) | {
        detail.name: detail.owner for detail in database.schema_details
    }
    for schema, owner in sorted({"public": None, **schemas}.items()):
        yield _schema(schema, owner)
    for table in database.tables:
        yield _table(table)
    views: tuple[View | MaterializedView, ...] = (*database.views, *database.materialized_views)
    for view in views:
        yield _view(view)
    for sequence in database.sequences:
        name = qualified_name(sequence.name)
        attempts = {"USAGE": f"SELECT nextval({literal(name)})", "SELECT": f"SELECT FROM {name} LIMIT 0"}
        owner = sequence.owner or _owner_of(database.tables, sequence.owned_by)
        yield Object("sequence", _key(sequence.name), sequence.name, owner, attempts=attempts)
    yield from (_routine(routine) for routine in routines(ground.connection))


def _key(name: Name) -> str:
    """As the server names it under an empty search path."""
    return f"{identifier(name.schema)}.{identifier(name.name)}"


def _owner_of(tables: Sequence[Table], column: tuple[Name, str] | None) -> str | None:
    return next((table.owner for table in tables if column and table.name == column[0]), None)


def _schema(name: str, owner: str | None) -> Object:
    absent, new = qualified(name, "dpe: none"), qualified(name, "dpe: new")
    attempts = {"USAGE": f"SELECT FROM {absent}", "CREATE": f"CREATE TABLE {new} ()"}
    return Object("schema", name, Name(name, name), owner, attempts=attempts)


def _table(table: Table) -> Object:
    name = qualified_name(table.name)
    if table.foreign:  # its server would be asked
        asked = dict.fromkeys(("SELECT", *_WRITE), "")
        return Object("table", _key(table.name), table.name, table.owner, table.columns, asked=asked)
    attempts = {"SELECT": f"SELECT FROM {name} LIMIT 0"} if not table.columns else {}
    attempts |= _statements(name, table.columns)
    return Object("table", _key(table.name), table.name, table.owner, table.columns, attempts)


def _statements(name: str, columns: Sequence[Column]) -> dict[str, str]:
    """One statement for each privilege, on the first column where one has to be named."""
    made = {}
    settable = [column for column in columns if not column.generated]
    plain = [identifier(column.name) for column in settable]
    if columns:
        made["SELECT"] = f"SELECT {identifier(columns[0].name)} FROM {name} LIMIT 0"  # noqa: S608 - quoted names
    if plain:
        made["INSERT"] = f"INSERT INTO {name} ({plain[0]}) OVERRIDING SYSTEM VALUE SELECT NULL WHERE false"
        # A default may call a function that the role may not.
        value = "DEFAULT" if settable[0].identity == "always" else "NULL"
        made["UPDATE"] = f"UPDATE {name} SET {plain[0]} = {value} WHERE false"  # noqa: S608 - quoted names
    made["DELETE"] = f"DELETE FROM {name} WHERE false"  # noqa: S608 - quoted names
    return made


def with_columns(object_: Object, granted: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The attempts, and for each privilege that is granted on columns one for each of them, and one for another."""
    attempts = dict(object_.attempts)
    for privilege, columns in granted.items():
        if privilege not in ("SELECT", "INSERT", "UPDATE") or privilege not in attempts:
            continue
        del attempts[privilege]
        others = [column.name for column in object_.columns if column.name not in columns][:1]
        for column in (*columns, *others):
            one = [part for part in object_.columns if part.name == column]
            made = _statements(qualified_name(object_.name), one)
            if privilege in made:
                attempts[f"{privilege} ({column})"] = made[privilege]
    return attempts


def _view(view: View | MaterializedView) -> Object:
    name = qualified_name(view.name)
    kind = "view" if isinstance(view, View) else "materialized view"
    attempts = {"SELECT": f"SELECT FROM {name} LIMIT 0"}
    asked = dict.fromkeys(_WRITE, "") if kind == "view" else {}
    return Object(kind, _key(view.name), view.name, view.owner, attempts=attempts, asked=asked)


def _routine(routine: Routine) -> Object:
    kind = "procedure" if routine.procedure else "function"
    owner = None if routine.owner.startswith("dpe_") else routine.owner
    return Object(kind, routine.key, Name(routine.schema, routine.name), owner, asked={"EXECUTE": ""})


def grant_kind(kind: str) -> str:
    """What GRANT calls it."""
    return "table" if kind in ("view", "materialized view") else kind

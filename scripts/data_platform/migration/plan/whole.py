"""What belongs to no table: schemas, extensions, collations, servers, publications, event triggers, raw objects,
        comments.

`steps` makes what others need, before all else; `last` takes away what others needed, and has what watches the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from data_platform.ddl.functions import raw_piece
from data_platform.ddl.types import collation_pieces
from data_platform.ddl.whole import (
    event_trigger_pieces,
    extension_piece,
    schema_comments,
    schema_piece,
    server_pieces,
)
from data_platform.migration.plan import comments, functions, publications, raw_drops, sequences, types
from data_platform.migration.plan.access import with_rights
from data_platform.migration.plan.making import makes, needs, repeatable, statements
from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.step import Refusal, Step
from data_platform.migration.plan.text import slug, spoken
from data_platform.model.database import (
    CollationObject,
    Database,
    EventTrigger,
    Extension,
    Options,
    Raw,
    Schema,
    Server,
)
from data_platform.sql.references import Reference
from data_platform.sql.text import Sql, identifier, literal, qualified_name


def steps(pair: Pair) -> Iterator[Step | Refusal]:
    """What others need: new schemas, extensions, collations, servers, operators and the like."""
    yield from _new_schemas(pair)
    yield from _extensions(pair)
    yield from _collations(pair)
    yield from _servers(pair)
    for raw in changes(pair.before.raw, pair.after.raw, key=_raw_key).added:
        if raw_piece(raw).makes:
            yield _raw_added(raw)


def last(pair: Pair) -> Iterator[Step | Refusal]:
    """What watches the rest, comments, and what goes: the holder after what it holds."""
    yield from _raw_last(pair)
    yield from publications.steps(pair)
    yield from _event_triggers(pair)
    yield from comments.steps(pair)
    yield from functions.gone(pair)
    yield from sequences.gone(pair)
    yield from types.gone(pair)
    yield from _gone(pair)


# --- schemas ---


def _new_schemas(pair: Pair) -> Iterator[Step]:
    for name in pair.after.schemas:
        if name not in pair.before.schemas:
            yield Step(
                name=slug("create_schema", name),
                phase="expand",
                reason="Nothing is in it yet.",
                up=statements([schema_piece(name)]),
                down=(Sql(f"DROP SCHEMA IF EXISTS {identifier(name)}"),),
                makes=(Reference("schema", None, name),),
            )


def _schema(database: Database, name: str) -> Schema:
    return next((one for one in database.schema_details if one.name == name), Schema(name=name))


# --- extensions ---


def _extensions(pair: Pair) -> Iterator[Step]:
    found = changes(pair.before.extensions, pair.after.extensions)
    for extension in found.added:
        yield Step(
            name=slug("create_extension", extension.name),
            phase="expand",
            reason="It adds functions and types, and touches no table.",
            up=statements([extension_piece(extension)]),
            down=(_drop_extension(extension),),
            needs=(Reference("schema", None, extension.schema),) if extension.schema else (),
        )
    for old, new in found.changed:
        if old.schema and new.schema:
            yield Step(
                name=slug("extension_schema", new.name),
                phase="contract",
                reason="Whoever calls its functions without their schema needs the new one on the search path.",
                up=(_moved(new),),
                down=(_moved(old),),
                ends_old=True,
            )


def _drop_extension(extension: Extension) -> Sql:
    return Sql(f"DROP EXTENSION IF EXISTS {identifier(extension.name)}")


def _moved(extension: Extension) -> Sql:
    assert extension.schema is not None
    return Sql(f"ALTER EXTENSION {identifier(extension.name)} SET SCHEMA {identifier(extension.schema)}")


# --- collations ---


def _collations(pair: Pair) -> Iterator[Step | Refusal]:
    found = changes(pair.before.collations, pair.after.collations)
    for collation in found.added:
        pieces = list(collation_pieces(collation))
        yield Step(
            name=slug("create_collation", collation.name),
            phase="expand",
            reason="No column has it yet.",
            up=repeatable(pieces),
            down=(_drop_collation(collation),),
            makes=makes(pieces),
        )
    for old, new in found.changed:
        if old.options != new.options:
            name = spoken(new.name)
            yield Refusal(
                what=f"collation {name}",
                why="PostgreSQL cannot change what a collation is, and indexes were sorted by the old one",
                fix="make a collation of another name and change the columns to it; drop the old one later",
            )


def _drop_collation(collation: CollationObject) -> Sql:
    return Sql(f"DROP COLLATION IF EXISTS {qualified_name(collation.name)}")


# --- servers ---


def _servers(pair: Pair) -> Iterator[Step | Refusal]:
    found = changes(pair.before.servers, pair.after.servers)
    for server in found.added:
        pieces = list(server_pieces(server))
        yield Step(
            name=slug("create_server", server.name),
            phase="expand",
            reason="No table uses it yet. User mappings, which hold passwords, are made by hand.",
            up=repeatable(pieces),
            down=(_drop_server(server),),
            makes=makes(pieces),
            needs=needs(pieces),
        )
    for old, new in found.changed:
        if (old.wrapper, old.type) != (new.wrapper, new.type):
            yield Refusal(
                what=f"server {new.name}",
                why="PostgreSQL cannot change its wrapper or type",
                fix="make a server of another name and move the foreign tables to it",
            )
        elif (old.version, old.options) != (new.version, new.options):
            yield Step(
                name=slug("server", new.name),
                phase="expand",
                reason="It holds for connections that are made from now on.",
                up=(_altered_server(old, new),),
                down=(_altered_server(new, old),),
                again="an option that was added is there already (42710); nothing is changed",
            )


def _drop_server(server: Server) -> Sql:
    return Sql(f"DROP SERVER IF EXISTS {identifier(server.name)}")


def _altered_server(old: Server, new: Server) -> Sql:
    version = f" VERSION {literal(new.version) if new.version is not None else 'NULL'}"
    said = ", ".join(_option_changes(old.options, new.options))
    words = (version if old.version != new.version else "") + (f" OPTIONS ({said})" if said else "")
    return Sql(f"ALTER SERVER {identifier(new.name)}{words}")


def _option_changes(old: Options, new: Options) -> Iterator[str]:
    before, after = dict(old), dict(new)
    for key in before.keys() - after.keys():
        yield f"DROP {identifier(key)}"
    for key, value in after.items():
        if before.get(key) != value:
            yield f"{'SET' if key in before else 'ADD'} {identifier(key)} {literal(value)}"


# --- what has no form of its own ---


def _raw_key(raw: Raw) -> tuple[str, str]:
    return raw.kind, raw.name if raw.kind != "operator" else f"{raw.name} {raw.sql}"


def _raw_added(raw: Raw) -> Step:
    piece = raw_piece(raw)
    gone = raw_drops.drop(raw)
    return Step(
        name=slug("create", raw.kind, raw.name),
        phase="expand",
        reason="Nobody uses it yet.",
        up=tuple(_all_of(raw)),
        down=() if gone is None else (gone,),
        one_way="how it is dropped is not known here" if gone is None else None,
        again="it is there already; nothing is changed",
        makes=piece.makes,
        needs=tuple(reference for reference in piece.needs if reference not in piece.makes),
    )


def _all_of(raw: Raw) -> Iterator[Sql]:
    """Its statements, each by itself."""
    from postgast import split  # noqa: PLC0415

    for text in split(raw.sql):
        if text.strip(" ;\n"):
            yield Sql(text.strip().removesuffix(";"))


def _raw_last(pair: Pair) -> Iterator[Step | Refusal]:
    """What is said about an object goes before it and comes after it."""
    found = changes(pair.before.raw, pair.after.raw, key=_raw_key)
    for raw in sorted(found.removed, key=_says_only, reverse=True):
        yield _raw_removed(raw)
    for old, new in found.changed:
        yield _raw_changed(old, new)
    for raw in found.added:
        if not raw_piece(raw).makes:
            step = _raw_added(raw)
            said = _says_only(raw)
            yield replace(step, phase="contract" if said else "expand", again=None if said else step.again)


def _says_only(raw: Raw) -> bool:
    return raw.kind in ("comment", "security label", "extension dependency")


def _raw_changed(old: Raw, new: Raw) -> Step | Refusal:
    gone, gone_back = raw_drops.drop(old), raw_drops.drop(new)
    if gone is None or gone_back is None:
        return _unknown(new, "changed")
    first, first_back = ((), ()) if _says_only(new) else ((gone,), (gone_back,))
    return Step(
        name=slug(new.kind, new.name),
        phase="contract",
        reason="Dropped and made again in one transaction; what depends on it keeps it from that.",
        up=(*first, *_all_of(new)),
        down=(*first_back, *_all_of(old)),
        ends_old=not _says_only(new),
        needs=raw_piece(new).needs,
    )


def _raw_removed(raw: Raw) -> Step | Refusal:
    gone = raw_drops.drop(raw)
    if gone is None:
        return _unknown(raw, "dropped")
    piece = raw_piece(raw)
    return Step(
        name=slug("drop", raw.kind, raw.name),
        phase="contract",
        reason="Nothing uses it any more.",
        up=(gone,),
        down=tuple(_all_of(raw)),
        ends_old=not _says_only(raw),
        drops=piece.makes,
        frees=tuple(reference for reference in piece.needs if reference not in piece.makes),
    )


def _unknown(raw: Raw, verb: str) -> Refusal:
    return Refusal(
        what=f"{raw.kind} {raw.name}",
        why=f"how it is {verb} is not known here",
        fix="write that statement by hand, and plan again from the schema after it",
    )


# --- event triggers ---


def _event_triggers(pair: Pair) -> Iterator[Step]:
    found = changes(pair.before.event_triggers, pair.after.event_triggers)
    for trigger in found.added:
        yield _watching("create", None, trigger)
    for old, new in found.changed:
        if replace(old, comment=None) != replace(new, comment=None):
            yield _watching("replace", old, new)
    for trigger in found.removed:
        yield replace(_watching("drop", trigger, None), phase="contract")


def _watching(verb: str, old: EventTrigger | None, new: EventTrigger | None) -> Step:
    named = new or old
    assert named is not None
    return Step(
        name=slug(verb, "event_trigger", named.name),
        phase="contract",
        reason="Last of all, so that the plan's own statements do not fire it."
        if new
        else "The new application does without it.",
        up=_event_trigger(named, new),
        down=_event_trigger(named, old),
        needs=_calls(new),
        frees=_calls(old),
    )


def _event_trigger(named: EventTrigger, wanted: EventTrigger | None) -> tuple[Sql, ...]:
    drop = Sql(f"DROP EVENT TRIGGER IF EXISTS {identifier(named.name)}")
    return (drop, *statements(event_trigger_pieces(wanted))) if wanted is not None else (drop,)


def _calls(trigger: EventTrigger | None) -> tuple[Reference, ...]:
    if trigger is None:
        return ()
    return (Reference("function", trigger.function.schema, trigger.function.name),)


# --- gone ---


def _gone(pair: Pair) -> Iterator[Step]:
    yield from _holders_gone(pair)
    for name in pair.before.schemas:
        if name not in pair.after.schemas:
            yield _schema_gone(pair, name)


def _holders_gone(pair: Pair) -> Iterator[Step]:
    for server in changes(pair.before.servers, pair.after.servers).removed:
        made = _again(pair, "server", identifier(server.name), server, server_pieces(server))
        yield _dropped(
            "server", server.name, _drop_server(server), made, Reference("server", None, server.name)
        )
    for collation in changes(pair.before.collations, pair.after.collations).removed:
        name = collation.name
        made = _again(pair, "collation", qualified_name(name), collation, collation_pieces(collation))
        reference = Reference("collation", name.schema, name.name)
        yield _dropped("collation", name, _drop_collation(collation), made, reference)
    for extension in changes(pair.before.extensions, pair.after.extensions).removed:
        made = statements([extension_piece(extension)])
        yield _dropped("extension", extension.name, _drop_extension(extension), made, None)


def _schema_gone(pair: Pair, name: str) -> Step:
    details = _schema(pair.before, name)
    pieces = [schema_piece(name), *schema_comments(details)]
    made = _again(pair, "schema", identifier(name), details, pieces)
    drop = Sql(f"DROP SCHEMA IF EXISTS {identifier(name)}")
    return _dropped("schema", name, drop, made, Reference("schema", None, name))


def _again(pair: Pair, kind: str, object_: Sql, part: Any, pieces: Any) -> tuple[Sql, ...]:
    return with_rights(pair.before, kind, object_, part, repeatable(pieces))


def _dropped(kind: str, name: Any, drop: Sql, made: tuple[Sql, ...], reference: Reference | None) -> Step:
    return Step(
        name=slug("drop", kind, name),
        phase="contract",
        reason="Without CASCADE: what still needed it would stop it.",
        up=(drop,),
        down=made,
        ends_old=True,
        drops=(reference,) if reference else (),
    )

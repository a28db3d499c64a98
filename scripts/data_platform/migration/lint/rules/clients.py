"""Rules about running applications: names that go away, and rows that they no longer see."""

from __future__ import annotations

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from data_platform.migration.lint import remedy
from data_platform.migration.lint.advance import dropped_name
from data_platform.migration.lint.definitions import relation_of
from data_platform.migration.lint.rules.rule import Context, Hit, rule, shown
from data_platform.migration.lint.state import Relation, Table
from data_platform.sql.text import identifier

_RELATIONS = {
    pb.OBJECT_TABLE: "table",
    pb.OBJECT_VIEW: "view",
    pb.OBJECT_MATVIEW: "materialized view",
    pb.OBJECT_FOREIGN_TABLE: "foreign table",
    pb.OBJECT_SEQUENCE: "sequence",
}
_OTHERS = {
    pb.OBJECT_SCHEMA: "schema",
    pb.OBJECT_FUNCTION: "function",
    pb.OBJECT_PROCEDURE: "procedure",
    pb.OBJECT_TYPE: "type",
    pb.OBJECT_DOMAIN: "type",
    pb.OBJECT_DATABASE: "database",
    pb.OBJECT_EXTENSION: "extension",
}
_AFTER = "first release the application that no longer uses it, then drop it in a migration of its own"


@rule(
    "rename-breaks-clients",
    "error",
    "Applications that run while the migration does know the old name only: each query with it fails.",
    "rename_stmt",
    "alter_object_schema_stmt",
    "alter_enum_stmt",
)
def rename(context: Context) -> Iterator[Hit]:
    """A name that clients use changes, and nothing answers to the old one."""
    if context.kind == "alter_enum_stmt":
        yield from _enum_value(context)
    elif context.kind == "alter_object_schema_stmt":
        yield from _moved(context)
    elif context.node.rename_type in _RELATIONS:
        yield from _renamed(context)
    elif context.node.rename_type == pb.OBJECT_COLUMN:
        yield from _column(context)
    elif context.node.rename_type in _OTHERS:
        yield from _other(context)


def _renamed(context: Context) -> Iterator[Hit]:
    old = relation_of(context.state, context.node.relation)
    table = context.state.table(old)
    if context.effects.quiet(table) or _answers(context, old):
        return
    kind = _RELATIONS[context.node.rename_type]
    message = (
        f"the {kind} {shown(old)} is renamed to {context.node.newname}: clients that use the old name fail"
    )
    new = old._replace(name=context.node.newname)
    safe = ("BEGIN", remedy.printed("rename_stmt", context.node), remedy.bridge(old, new), "COMMIT")
    bridged = kind in ("table", "view", "foreign table")
    yield Hit(message, str(old), safe if bridged else (), _BRIDGE if bridged else None, certain=table.known)


_BRIDGE = "the view answers to the old name until no client uses it"


def _answers(context: Context, old: Relation) -> bool:
    """Whether a later statement of the same transaction makes a view of the old name."""
    for statement in context.later:
        if statement.node.HasField("view_stmt"):
            view = statement.node.view_stmt.view
            if view.relname == old.name and view.schemaname in ("", old.schema):
                return True
    return False


def _column(context: Context) -> Iterator[Hit]:
    node = context.node
    table = context.table
    column = table.column(node.subname)
    if context.effects.quiet(table) or (column is not None and column.added):
        return
    message = (
        f"{node.subname} of {shown(table.name)} becomes {node.newname}: clients that use the old name fail"
    )
    advice = (
        "in stages: a new column, both kept in step by a trigger, clients moved, the old one dropped:"
        " `dpe migration plan --rename table.old=new` writes them"
    )
    safe: tuple[str, ...] = ()
    if column is not None:
        type_ = str(column.type)
        safe = (f"ALTER TABLE {remedy.name(table.name)} ADD COLUMN {identifier(node.newname)} {type_}",)
    yield Hit(message, f"{table.name}.{node.subname}", safe, advice, certain=table.known)


def _other(context: Context) -> Iterator[Hit]:
    names = dropped_name(context.node.object) or (context.node.subname,)
    kind = _OTHERS[context.node.rename_type]
    if _known_to_nobody(context, kind, names[-1]):
        return
    message = f"the {kind} {'.'.join(names)} is renamed to {context.node.newname}: clients that use the old name fail"
    yield Hit(message, ".".join(names), advice="keep the old name beside the new one until no client uses it")


def _moved(context: Context) -> Iterator[Hit]:
    if context.node.object_type not in _RELATIONS or not context.node.HasField("relation"):
        return
    old = relation_of(context.state, context.node.relation)
    table = context.state.table(old)
    if context.effects.quiet(table) or _answers(context, old):
        return
    new = Relation(context.node.newschema, old.name)
    message = f"{shown(old)} moves to the schema {new.schema}: clients that name the old one, or search it alone, fail"
    moved = remedy.printed("alter_object_schema_stmt", context.node)
    safe = ("BEGIN", moved, remedy.bridge(old, new), "COMMIT")
    yield Hit(message, str(old), safe, _BRIDGE, certain=table.known)


def _enum_value(context: Context) -> Iterator[Hit]:
    node = context.node
    type_ = node.type_name[-1].string.sval
    if node.old_val and not context.state.enums.get(type_, False):
        message = f"the value {node.old_val} of {type_} is renamed to {node.new_val}: clients that use the old one fail"
        yield Hit(message, type_, advice=_MOVE_ROWS)


_MOVE_ROWS = "add the new value beside the old one and move the rows in batches: `dpe migration backfill`"


@rule(
    "drop-breaks-clients",
    "warning",
    "An application that still reads or writes what is dropped fails from that moment on.",
    "drop_stmt",
    "alter_table_stmt",
    "drop_owned_stmt",
    "dropdb_stmt",
    commands=(pb.AT_DropColumn,),
)
def drop(context: Context) -> Iterator[Hit]:
    """Tables, columns, views and functions that are dropped."""
    if context.kind == "alter_table_stmt":
        yield from _dropped_columns(context)
    elif context.kind == "dropdb_stmt":
        yield Hit(f"the database {context.node.dbname} is dropped", context.node.dbname, advice=_AFTER)
    elif context.kind == "drop_owned_stmt":
        yield Hit(
            "everything that this role owns is dropped, and what it may do is taken from it", advice=_AFTER
        )
    else:
        yield from _dropped(context)


def _dropped_columns(context: Context) -> Iterator[Hit]:
    table = context.table
    for item in context.node.cmds:
        command = item.alter_table_cmd
        if (
            command.subtype != pb.AT_DropColumn
            or context.effects.quiet(table)
            or _gone(context, table, command)
        ):
            continue
        column = table.column(command.name)
        if column is not None and column.added:
            continue
        message = f"{command.name} of {shown(table.name)} is dropped: clients that still use it fail"
        yield Hit(message, f"{table.name}.{command.name}", advice=_AFTER, certain=table.known)


def _gone(context: Context, table: Table, command: pb.AlterTableCmd) -> bool:
    known = context.state.complete and table.columns is not None
    return bool(command.missing_ok) and known and table.column(command.name) is None


def _dropped(context: Context) -> Iterator[Hit]:
    node = context.node
    for item in node.objects:
        names = dropped_name(item)
        if node.remove_type in _RELATIONS:
            yield from _dropped_relation(context, names)
        elif node.remove_type in _OTHERS and not _known_to_nobody(
            context, _OTHERS[node.remove_type], names[-1]
        ):
            message = f"the {_OTHERS[node.remove_type]} {'.'.join(names)} is dropped: clients that still use it fail"
            certain = context.state.complete
            yield Hit(message, ".".join(names), advice=_AFTER, certain=certain)


def _known_to_nobody(context: Context, kind: str, name: str) -> bool:
    """Whether the migration made it, or makes it anew in this transaction."""
    if (kind, name) in context.state.made:
        return True
    for statement in context.later:
        made = statement.node.WhichOneof("node")
        if made == "create_function_stmt" and kind in ("function", "procedure"):
            names = statement.node.create_function_stmt.funcname
        elif made == "create_enum_stmt" and kind == "type":
            names = statement.node.create_enum_stmt.type_name
        elif made == "create_domain_stmt" and kind == "type":
            names = statement.node.create_domain_stmt.domainname
        else:
            continue
        if names[-1].string.sval == name:
            return True
    return False


def _dropped_relation(context: Context, names: tuple[str, ...]) -> Iterator[Hit]:
    name = context.state.name(names[-2] if len(names) > 1 else None, names[-1])
    table = context.state.table(name)
    known = table.known
    if context.node.missing_ok and context.state.missing(name):
        return
    if context.effects.quiet(table) or _replaced(context, name):
        return
    kind = _RELATIONS[context.node.remove_type]
    if kind == "sequence" and not known:
        kind, known = "sequence", True
    message = f"the {kind} {shown(name)} is dropped: clients that still use it fail"
    yield Hit(message, str(name), advice=_AFTER, certain=known)


def _replaced(context: Context, name: Relation) -> bool:
    """Whether the same transaction makes the view or table again: DROP and CREATE to change it."""
    for statement in context.later:
        kind = statement.node.WhichOneof("node")
        if kind == "view_stmt":
            made = statement.node.view_stmt.view
        elif kind == "create_table_as_stmt":
            made = statement.node.create_table_as_stmt.into.rel
        elif kind == "rename_stmt" and statement.node.rename_stmt.newname == name.name:
            return True
        else:
            continue
        if made.relname == name.name and made.schemaname in ("", name.schema):
            return True
    return False


@rule(
    "row-security-without-policy",
    "warning",
    "With row level security on and no policy, everybody but the owner sees no row at all.",
    "alter_table_stmt",
    commands=(pb.AT_EnableRowSecurity,),
)
def row_security(context: Context) -> Iterator[Hit]:
    """ENABLE ROW LEVEL SECURITY before the transaction makes a policy."""
    table = context.table
    if table.policies or context.effects.quiet(table):
        return
    enabled = any(item.alter_table_cmd.subtype == pb.AT_EnableRowSecurity for item in context.node.cmds)
    follows = (
        one.node.create_policy_stmt.table.relname
        for one in context.later
        if one.node.HasField("create_policy_stmt")
    )
    if enabled and table.name.name not in follows:
        message = f"from here on clients that are not the owner of {shown(table.name)} see none of its rows"
        yield Hit(
            message,
            str(table.name),
            advice="CREATE POLICY before it, or in the same transaction",
            certain=table.known,
        )


@rule(
    "constraint-loosened",
    "info",
    "Clients that count on a value meet null from now on.",
    "alter_table_stmt",
    commands=(pb.AT_DropNotNull,),
)
def loosened(context: Context) -> Iterator[Hit]:
    """DROP NOT NULL."""
    table = context.table
    for item in context.node.cmds:
        command = item.alter_table_cmd
        if command.subtype == pb.AT_DropNotNull and not context.effects.quiet(table):
            message = (
                f"{command.name} of {shown(table.name)} may be null from now on: clients have to expect it"
            )
            yield Hit(message, f"{table.name}.{command.name}", certain=table.known)

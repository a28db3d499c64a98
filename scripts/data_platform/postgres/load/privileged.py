"""The allow-list: statements of a file that the admin session may run, because PostgreSQL wants a superuser for them
and yet none of the file's own code runs.

That is what decides: no expression is evaluated, no function called, no type's input function reached by a literal;
and nothing that a superuser owns, or could be made to run later, comes out of it. Each entry says what has to be
looked at, in the tree before or by a query after, and the transaction ends only when that is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from postgast import pg_query_pb2 as pb

from data_platform.postgres.extensions import PROVABLE_EXTENSIONS
from data_platform.postgres.load.decide import kind_of, new_owner
from data_platform.sql.text import Sql, identifier, joined, literal, qualified


@dataclass(frozen=True)
class Privileged:
    """How to run one statement in the admin session.

    `owner` must be a role without privileges. `violations` is a query that must find nothing afterwards. The objects in
    `hand_over`, as ALTER … OWNER TO names them, go to the scratch owner: they are what the statement has just made.
    `text` replaces the file's, `note` says how it differs.
    """

    owner: str = ""
    violations: str = ""
    hand_over: tuple[Sql, ...] = ()
    text: str = ""
    note: str = ""

    @property
    def checks(self) -> tuple[str, ...]:
        """Queries of which none may find anything afterwards."""
        given_away = _NOT_TO_BE_GIVEN_AWAY if self.hand_over else ""
        return tuple(filter(None, (self.violations, given_away)))


_NOT_TO_BE_GIVEN_AWAY = """
SELECT FROM pg_shdepend given
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass,
                   'pg_language'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass,
                   'pg_collation'::regclass, 'pg_conversion'::regclass, 'pg_ts_dict'::regclass,
                   'pg_ts_config'::regclass)
   AND deptype = 'o' AND (classid, objid) <> ('pg_namespace'::regclass, 2200)
   AND (objid < 16384
        OR EXISTS (SELECT FROM pg_depend member
                    WHERE (member.classid, member.objid) = (given.classid, given.objid) AND member.deptype = 'e')
        OR classid = 'pg_proc'::regclass
           AND EXISTS (SELECT FROM pg_proc
                         JOIN pg_language ON pg_language.oid = prolang
                        WHERE pg_proc.oid = given.objid AND prokind <> 'a' AND lanname IN ('c', 'internal')))
"""
"""Below 16384 is what initdb made (FirstNormalObjectId); 2200 is the schema public, which may have any owner.

An owner may alter: a function in C that is no longer STRICT follows a null pointer, as an extension's own might.
"""

_UNSOUND_OPERATOR_CLASS = """
SELECT FROM pg_opclass
 WHERE xmin = pg_current_xact_id()::xid
   AND (NOT amvalidate(oid) OR opcdefault AND opcintype < 16384)
 UNION ALL
SELECT FROM (SELECT amopfamily AS family FROM pg_amop WHERE xmin = pg_current_xact_id()::xid
              UNION SELECT amprocfamily FROM pg_amproc WHERE xmin = pg_current_xact_id()::xid) changed
 WHERE family < 16384
    OR NOT EXISTS (SELECT FROM pg_opclass WHERE opcfamily = family AND amvalidate(oid))
"""
"""A support function of other types than the index hands it would read memory that is not its own."""

_SAFE_SUPPORT_FUNCTIONS = {"btree": {1, 3, 4}, "hash": {1, 2}}
"""By access method, those that take values only; the others get pointers into the server."""

_DROPPED = (
    pb.OBJECT_EXTENSION,
    pb.OBJECT_EVENT_TRIGGER,
    pb.OBJECT_PUBLICATION,
    pb.OBJECT_FDW,
    pb.OBJECT_FOREIGN_SERVER,
)
_SYSTEM_SCHEMAS = ("information_schema",)


def privileged(node: pb.Node, *, event_triggers_rest: bool) -> Privileged | None:
    """How the admin session may run a statement; None when it may not.

    `event_triggers_rest`: the server has event_triggers off, so that one made for a file never fires.
    """
    kind = kind_of(node)
    if kind in _EVENT_TRIGGERS and not event_triggers_rest:
        return None
    allowed = _ALLOWED.get(kind)
    return allowed(getattr(node, kind)) if allowed else None


def _owner(stmt: Any) -> Privileged | None:
    if stmt.newowner.roletype != pb.ROLESPEC_CSTRING:  # CURRENT_USER is a superuser there
        return None
    return Privileged(owner=stmt.newowner.rolename, violations=_NOT_TO_BE_GIVEN_AWAY)


def _alter_table(stmt: Any) -> Privileged | None:
    owner = new_owner(stmt)
    return Privileged(owner=owner, violations=_NOT_TO_BE_GIVEN_AWAY) if owner else None


def _grant(stmt: Any) -> Privileged | None:
    """On objects of users and extensions only: a grant on pg_read_file() would open the server's files."""
    named = all(
        role.role_spec.roletype in (pb.ROLESPEC_CSTRING, pb.ROLESPEC_PUBLIC) for role in stmt.grantees
    )
    if not named or stmt.HasField("grantor") or stmt.targtype == pb.ACL_TARGET_DEFAULTS:
        return None
    if stmt.objtype in (pb.OBJECT_FDW, pb.OBJECT_FOREIGN_SERVER):
        return Privileged()
    whole = stmt.targtype == pb.ACL_TARGET_ALL_IN_SCHEMA or stmt.objtype == pb.OBJECT_SCHEMA
    schemas = [item.string.sval if whole else _schema_of(item) for item in stmt.objects]
    return Privileged() if all(_of_users(schema) for schema in schemas) else None


def _schema_of(item: pb.Node) -> str:
    """The schema that a grant's object is qualified with, or ""."""
    if item.HasField("range_var"):
        return str(item.range_var.schemaname)
    names = item.object_with_args.objname if item.HasField("object_with_args") else item.list.items
    return str(names[0].string.sval) if len(names) == 2 else ""


def _of_users(schema: str) -> bool:
    return bool(schema) and not schema.startswith("pg_") and schema not in _SYSTEM_SCHEMAS


def _publication(stmt: Any) -> Privileged | None:
    """FOR ALL TABLES and TABLES IN SCHEMA; a row filter is an expression, and nobody else's business to read."""
    filtered = any(item.publication_obj_spec.pubtable.HasField("where_clause") for item in stmt.pubobjects)
    return None if filtered else Privileged()


def _drop(stmt: Any) -> Privileged | None:
    return Privileged() if stmt.remove_type in _DROPPED else None


_UNKNOWN_C_FUNCTION = """
SELECT FROM pg_proc made
 WHERE made.xmin = pg_current_xact_id()::xid
   AND NOT EXISTS (SELECT FROM pg_proc known
                     JOIN pg_depend member ON member.classid = 'pg_proc'::regclass AND member.objid = known.oid
                                          AND member.deptype = 'e'
                    WHERE (known.probin, known.prosrc) = (made.probin, made.prosrc)
                      AND known.proargtypes::oid[] = made.proargtypes::oid[] AND known.prorettype = made.prorettype
                      AND known.prolang = made.prolang AND made.proisstrict >= known.proisstrict)
"""
"""A function in C is its symbol with the types that it was written for; others would be read as what they are not."""


_PLAIN_OPTIONS = frozenset({"as", "language", "volatility", "strict", "parallel", "cost", "rows"})
"""Not SECURITY DEFINER, which would be the superuser, nor SET, SUPPORT, LEAKPROOF, TRANSFORM and WINDOW."""


def _c_function(stmt: Any) -> Privileged | None:
    """The same function as an extension's under another name, as people make immutable ones of unaccent().

    The server loads the library as it looks, so that must be one of those that extensions of the list come with.
    The function stays a superuser's, so no option may make it more than it is, and no file can alter it.
    """
    options = {option.def_elem.defname: option.def_elem.arg for option in stmt.options}
    if not options.keys() <= _PLAIN_OPTIONS:
        return None
    if "as" not in options or "language" not in options or options["language"].string.sval.lower() != "c":
        return None
    library = options["as"].list.items[0].string.sval
    known = library.removeprefix("$libdir/") in PROVABLE_EXTENSIONS and library.startswith("$libdir/")
    plain = not stmt.replace and all(
        not item.function_parameter.HasField("defexpr") for item in stmt.parameters
    )
    return Privileged(violations=_UNKNOWN_C_FUNCTION) if known and plain else None


def _extension_schema(stmt: Any) -> Privileged | None:
    return Privileged() if stmt.object_type == pb.OBJECT_EXTENSION else None


def _anyway(_stmt: Any) -> Privileged:
    return Privileged()


def _wrapper(stmt: Any) -> Privileged:
    """Without handler and validator, which are functions: it can be named, and never connects."""
    values = [(option.def_elem.defname, option.def_elem.arg.string.sval) for option in stmt.options]
    options = joined(", ", [Sql(f"{identifier(name)} {literal(value)}") for name, value in values])
    text = f"CREATE FOREIGN DATA WRAPPER {identifier(stmt.fdwname)}"
    note = "made without handler and validator" if stmt.func_options else ""
    return Privileged(text=f"{text} OPTIONS ({options})" if values else text, note=note)


def _alter_wrapper(stmt: Any) -> Privileged | None:
    return None if stmt.func_options else Privileged()


def _server(stmt: Any) -> Privileged:
    return Privileged(hand_over=(Sql(f"SERVER {identifier(stmt.servername)}"),))


def _operator_class(stmt: Any) -> Privileged | None:
    if not _takes_values_only(stmt.amname, stmt.items):
        return None
    names = [_name(stmt.opclassname)]
    using = Sql(f" USING {identifier(stmt.amname)}")
    kinds = [Sql(f"OPERATOR CLASS {names[0]}{using}")]
    if not stmt.opfamilyname:  # it made a family of the same name
        kinds.append(Sql(f"OPERATOR FAMILY {names[0]}{using}"))
    return Privileged(violations=_UNSOUND_OPERATOR_CLASS, hand_over=tuple(kinds))


def _operator_family(stmt: Any) -> Privileged:
    return Privileged(
        hand_over=(Sql(f"OPERATOR FAMILY {_name(stmt.opfamilyname)} USING {identifier(stmt.amname)}"),)
    )


def _alter_family(stmt: Any) -> Privileged | None:
    if stmt.is_drop or not _takes_values_only(stmt.amname, stmt.items):
        return None
    return Privileged(violations=_UNSOUND_OPERATOR_CLASS)


def _takes_values_only(method: str, items: Iterable[pb.Node]) -> bool:
    functions = {
        item.create_op_class_item.number for item in items if item.create_op_class_item.itemtype == _FUNCTION
    }
    return method in _SAFE_SUPPORT_FUNCTIONS and functions <= _SAFE_SUPPORT_FUNCTIONS[method]


_FUNCTION = 2
"""OPCLASS_ITEM_FUNCTION in PostgreSQL's parsenodes.h."""


def _name(parts: Iterable[pb.Node]) -> Sql:
    return qualified(*(part.string.sval for part in parts))


_EVENT_TRIGGERS = ("create_event_trig_stmt", "alter_event_trig_stmt")

_ALLOWED: dict[str, Callable[[Any], Privileged | None]] = {
    "create_function_stmt": _c_function,
    "alter_owner_stmt": _owner,
    "alter_table_stmt": _alter_table,
    "grant_stmt": _grant,
    "comment_stmt": _anyway,
    "create_publication_stmt": _publication,
    "alter_publication_stmt": _publication,
    "create_event_trig_stmt": _anyway,
    "alter_event_trig_stmt": _anyway,
    "drop_stmt": _drop,
    "alter_object_schema_stmt": _extension_schema,
    "create_fdw_stmt": _wrapper,
    "alter_fdw_stmt": _alter_wrapper,
    "create_foreign_server_stmt": _server,
    "create_op_class_stmt": _operator_class,
    "create_op_family_stmt": _operator_family,
    "alter_op_family_stmt": _alter_family,
}

"""Random databases of every kind of object that a model holds, as PostgreSQL could have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from data_platform.model.database import (
    Attribute,
    Check,
    CollationObject,
    Column,
    Composite,
    Database,
    DefaultPrivilege,
    Domain,
    Enum,
    EventTrigger,
    Exclusion,
    ExclusionElement,
    Extension,
    Foreign,
    ForeignKey,
    Function,
    Grant,
    Index,
    IndexElement,
    MaterializedView,
    Name,
    NotNull,
    Partitioning,
    PartitionOf,
    Policy,
    PrimaryKey,
    Publication,
    PublishedTable,
    Range,
    Raw,
    Role,
    Rule,
    Schema,
    Sequence,
    SequenceOptions,
    Server,
    Statistics,
    Table,
    Trigger,
    Unique,
    View,
)
from data_platform.spec.model.functions import order as function_order
from data_platform.sql.text import identifier
from strategies import HOSTILE

T = TypeVar("T")

identifiers = st.one_of(
    st.sampled_from([name for name in HOSTILE if len(name.encode()) <= 40]),
    st.sampled_from(
        ["on", "yes", "null", "12", "1e3", "Mixed Case", "a.b.c", "f(x)", "é" * 20, ' "q"', "- a", "?"]
    ),
    st.from_regex(r"[a-z_][a-z0-9_]{0,12}", fullmatch=True),
).filter(lambda name: name not in ("ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"))
texts = st.one_of(
    st.sampled_from(
        [*HOSTILE, "", "on", "12:30", "0x1F", "1_000", "~", "a: b # c", "\n x\n\n", "two\nlines\n", "'"]
    ),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20),
)
comments = st.none() | texts
owners = st.none() | st.sampled_from(["app", "Owner Role", "postgres"])
schemas = st.sampled_from(["public", "app", "we ird.one"])
types = st.sampled_from(
    ["integer", "text", "numeric(12, 2)", "timestamp with time zone", "jsonb", "tsvector", "int4range"]
)
constants = st.sampled_from(
    ["0", "'x'::text", "now()", "true", "1.50", "'a\u200bb'", "nextval('app.s'::regclass)", "NULL::text"]
)
conditions = st.sampled_from(["true", "(SELECT count(*) FROM pg_class) > 1", "current_user = 'a'::name"])
queries = st.sampled_from(
    [
        "SELECT 1 AS a",
        "VALUES (1, 'x')",
        "SELECT a,\n    b\n   FROM t\n  WHERE a ~ '\\d: #'::text",
        "TABLE x",
        "SELECT " + "NOT " * 120 + "true",
    ]
)
sources = st.sampled_from(
    ["SELECT 1", "\nBEGIN\n\tRETURN NEW;\nEND\n", "  x\r\n", "", "\n\n", "a: b\n  c # d\n\n\n", "'' \u202e"]
)
scripts = st.sampled_from(
    [
        "SELECT 1;",
        "CREATE AGGREGATE a (integer) (sfunc = f, stype = integer);\nCOMMENT ON AGGREGATE a (integer) IS 'x';",
    ]
)
enabled = st.sampled_from(["origin", "disabled", "replica", "always"])
deferrals = st.sampled_from(["not deferrable", "initially immediate", "initially deferred"])
options = st.dictionaries(
    st.sampled_from(["fillfactor", "toast.autovacuum_enabled", "n_distinct", "a b"]),
    st.sampled_from(["70", "on", "off", "true", "0.10", "x y", "", "1e3", "-1"]),
    max_size=2,
).map(lambda found: tuple(sorted(found.items())))
parameters = options.map(lambda found: tuple(pair for pair in found if pair[0] != "a b"))
names = st.builds(Name, schemas, identifiers)


def some(made: st.SearchStrategy[T], size: int = 2) -> st.SearchStrategy[tuple[T, ...]]:
    """A few, sorted by name where they have one, no name twice."""
    key: Callable[[Any], Any] = lambda item: getattr(item, "name", item)  # noqa: E731
    return st.lists(made, max_size=size, unique_by=key).map(lambda found: tuple(sorted(found, key=key)))


def built(cls: type[T], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Objects of `cls`; fields that are not given stay at their defaults."""
    return st.builds(cls, **fields)


flags = st.booleans()
sequence_options = built(
    SequenceOptions,
    increment=st.none() | st.integers(-9, 9),
    start=st.none() | st.integers(-(2**63), 2**63 - 1),
    maximum=st.none() | st.integers(1, 9),
    cycle=flags,
)
triggers = built(
    Trigger,
    name=identifiers,
    timing=st.sampled_from(["before", "after"]),
    events=st.sampled_from([("insert",), ("update", "delete"), ("insert", "update")]),
    function=st.just(Name("public", "f")),
    arguments=st.lists(texts, max_size=2).map(tuple),
    when=st.none() | st.sampled_from(["old.* IS DISTINCT FROM new.*", "true"]),
    old_table=st.none() | identifiers,
    constraint=flags,
    from_table=st.none() | names,
    deferral=deferrals,
    enabled=enabled,
    comment=comments,
)
rules = built(
    Rule,
    name=identifiers,
    sql=st.just("CREATE RULE r AS ON DELETE TO t DO NOTHING;"),
    enabled=enabled,
    comment=comments,
)
policies = built(
    Policy,
    name=identifiers,
    permissive=flags,
    roles=st.sampled_from([("public",), ("app", "Other")]),
    using=st.none() | conditions,
    with_check=st.none() | conditions,
    comment=comments,
)
not_nulls = st.none() | built(NotNull, no_inherit=flags, validated=flags)


@st.composite
def elements(draw: st.DrawFn, columns: list[str]) -> IndexElement:
    """A key over these columns."""
    column = draw(st.sampled_from(columns))
    extra = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "collation": st.sampled_from(["C", 'app."my coll"', "de_DE.utf8"]),
                "opclass": st.sampled_from(["text_ops", "app.my_ops"]),
                "opclass_options": options,
            },
        )
    )
    if draw(flags):
        return IndexElement(column=column, **extra)
    return IndexElement(expression=f"lower({identifier(column)})", **extra)


@st.composite
def indexes(draw: st.DrawFn, name: str, columns: list[str], used: set[str]) -> Index:
    """An index under a name that is free, often the one that the reader would give."""
    keys = tuple(draw(st.lists(elements(columns), min_size=1, max_size=2)))
    method = draw(st.sampled_from(["btree", "btree", "gin"]))
    if method == "btree" and draw(flags):
        keys = tuple(
            IndexElement(
                column=key.column, expression=key.expression, descending=True, nulls_first=draw(flags)
            )
            for key in keys
        )
    return Index(
        name=free(draw, used, "_".join([name, *(key.column or "expr" for key in keys), "idx"])),
        elements=keys,
        method=method,
        unique=draw(flags),
        include=draw(st.sampled_from([(), (columns[0],)])),
        where=draw(st.none() | st.sampled_from(["true", f"{identifier(columns[0])} IS NOT NULL"])),
        options=draw(parameters),
        only=draw(flags),
        statistics=draw(st.sampled_from([(), ((1, 100), (2, 5))])),
        comment=draw(comments),
    )


def free(draw: st.DrawFn, used: set[str], invented: str) -> str:
    """A name that nothing else has: the invented one, or any other."""
    name = invented if draw(flags) and len(invented.encode()) <= 63 else draw(identifiers)
    number = 0
    while name in used:
        number += 1
        name = f"n{number}"
    used.add(name)
    return name


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    """A column that may have anything."""
    fields: dict[str, Any] = {"type": draw(types), "nullable": draw(flags), "comment": draw(comments)}
    match draw(st.sampled_from(["", "", "default", "identity", "rare"])):
        case "default":
            fields["default"] = draw(constants)
        case "identity":
            fields |= {"identity": "always", "type": "bigint", "nullable": False}
            fields["sequence"] = draw(st.none() | sequence_options)
            fields["sequence_name"] = draw(st.none() | names)
        case "rare":
            fields["collation"] = draw(st.sampled_from([None, "C", 'app."my coll"', "de_DE.utf8"]))
            fields["storage"] = draw(st.sampled_from([None, "main"]))
            fields["compression"] = draw(st.sampled_from([None, "lz4"]))
            fields["statistics"] = draw(st.none() | st.integers(0, 1000))
            fields["options"] = draw(options)
            fields["not_null"] = None if fields["nullable"] else draw(not_nulls)
    return Column(name=name, **fields)


@st.composite
def tables(draw: st.DrawFn, name: Name, relations: set[str]) -> Table:
    """A table without references to others."""
    column_names = draw(st.lists(identifiers, max_size=5, unique=True))
    made = [draw(columns(column)) for column in column_names]
    fields: dict[str, Any] = draw(table_fields())
    if not column_names:
        return Table(name=name, columns=(), **fields)
    own: set[str] = set()
    required = [column.name for column in made if not column.nullable]
    if required and draw(flags):
        fields["primary_key"] = PrimaryKey(
            name=free(draw, relations, f"{name.name}_pkey"),
            columns=(required[0],),
            include=draw(st.sampled_from([(), (column_names[-1],)])),
            options=draw(parameters),
            comment=draw(comments),
        )
        own.add(fields["primary_key"].name)
    if draw(flags):
        unique = free(draw, relations | own, f"{name.name}_{column_names[-1]}_key")
        relations.add(unique)
        own.add(unique)
        fields["uniques"] = (
            Unique(
                name=unique,
                columns=(column_names[-1],),
                nulls_not_distinct=draw(flags),
                deferral=draw(deferrals),
            ),
        )
    checks = [
        Check(
            name=free(draw, own, f"{name.name}_{column}_check"),
            expression=draw(
                st.sampled_from(
                    ["true", f"{identifier(column)} IS NOT NULL", f"{identifier(column)}::text <> 'a\u200bb'"]
                )
            ),
            no_inherit=draw(flags),
            validated=draw(flags),
            comment=draw(comments),
        )
        for column in column_names[: draw(st.integers(0, 2))]
    ]
    fields["checks"] = tuple(sorted(checks, key=lambda check: check.name))
    if draw(st.integers(0, 3)) == 0:
        keys = (ExclusionElement(element=draw(elements(column_names)), operator="&&"),)
        fields["exclusions"] = (
            Exclusion(
                name=free(draw, relations | own, "x"),
                method=draw(st.sampled_from(["gist", "btree"])),
                elements=keys,
                where=draw(st.none() | st.just("true")),
            ),
        )
        relations.add(fields["exclusions"][0].name)
    found = [draw(indexes(name.name, column_names, relations)) for _ in range(draw(st.integers(0, 2)))]
    fields["indexes"] = tuple(sorted(found, key=lambda index: index.name))
    fields["statistics"] = draw(
        some(
            built(
                Statistics,
                name=identifiers,
                on=st.tuples(elements(column_names)),
                kinds=st.sampled_from([(), ("mcv",)]),
                schema=st.none() | schemas,
                target=st.none() | st.integers(0, 9),
                comment=comments,
            )
        )
    )
    if draw(flags):
        fields["partition_by"] = Partitioning(
            strategy=draw(st.sampled_from(["range", "list", "hash"])), key=(draw(elements(column_names)),)
        )
    return Table(name=name, columns=tuple(made), **fields)


@st.composite
def table_fields(draw: st.DrawFn) -> dict[str, Any]:
    """What hangs on a table and is not about its columns."""
    return {
        "comment": draw(comments),
        "triggers": draw(some(triggers)),
        "row_security": draw(st.sampled_from(["off", "on", "forced"])),
        "policies": draw(some(policies)),
        "rules": draw(some(rules)),
        "unlogged": draw(flags),
        "options": draw(parameters),
        "replica_identity": draw(st.sampled_from(["default", "full", "nothing", "some index"])),
        "cluster_on": draw(st.none() | identifiers),
        "access_method": draw(st.none() | identifiers),
        "foreign": draw(st.none() | st.none() | built(Foreign, server=identifiers, options=options)),
        "owner": draw(owners),
    }


@st.composite
def families(draw: st.DrawFn, relations: dict[str, set[str]]) -> list[Table]:
    """Tables with partitions, children and references among them."""
    found: list[Table] = []
    for name in draw(st.lists(names, max_size=3, unique=True)):
        if name.name in relations[name.schema]:
            continue
        relations[name.schema].add(name.name)
        found.append(draw(tables(name, relations[name.schema])))
    for parent in list(found):
        child = Name(parent.name.schema, f"part of {len(found)}")
        if child.name in relations[child.schema]:
            continue
        if parent.partition_by is not None and draw(flags):
            relations[child.schema].add(child.name)
            of = PartitionOf(
                table=parent.name, bound=draw(st.sampled_from(["DEFAULT", "FOR VALUES IN ('a')"]))
            )
            kept = (
                tuple(_bare(column) for column in parent.columns)
                if draw(flags)
                else tuple(reversed(parent.columns))
            )
            found.append(Table(name=child, columns=kept, partition_of=of, comment=draw(comments)))
        elif parent.columns and draw(flags):
            relations[child.schema].add(child.name)
            found.append(draw(children(child, parent)))
    return [draw(referring(table, found)) for table in found]


def _bare(column: Column) -> Column:
    fields = {**column.__dict__, "comment": None, "statistics": None, "options": ()}
    return Column(**fields)


@st.composite
def children(draw: st.DrawFn, name: Name, parent: Table) -> Table:
    """A table that inherits, with columns of its own, changed ones, or another order."""
    above = [
        Column(
            **{
                **_bare(c).__dict__,
                "identity": None,
                "sequence": None,
                "sequence_name": None,
                "inherited": True,
                **({"not_null": None, "nullable": True} if c.not_null and c.not_null.no_inherit else {}),
            }
        )
        for c in parent.columns
    ]
    made = [
        draw(
            st.sampled_from(
                [
                    column,
                    Column(**{**column.__dict__, "inherited": False}),
                    Column(**{**column.__dict__, "default": "1", "generated": None}),
                ]
            )
        )
        for column in above
    ]
    made.append(Column(name="own " + "x" * draw(st.integers(0, 3)), type="text"))
    ordered = tuple(draw(st.permutations(made))) if draw(flags) else tuple(made)
    return Table(name=name, columns=ordered, inherits=(parent.name,))


@st.composite
def referring(draw: st.DrawFn, table: Table, found: list[Table]) -> Table:
    """`table` with a foreign key to a table whose key is of the same type."""
    keys = []
    for target in found:
        if target.primary_key is None or not draw(flags):
            continue
        (column,) = target.primary_key.columns
        fitting = [c.name for c in table.columns if c.type == target.column(column).type and not c.generated]
        if not fitting:
            continue
        taken = {part.name for part in table.constraints} | {key.name for key in keys}
        keys.append(
            ForeignKey(
                name=free(draw, taken, f"{table.name.name}_{fitting[0]}_fkey"),
                columns=(fitting[0],),
                target=target.name,
                target_columns=(column,),
                on_delete=draw(st.sampled_from(["no action", "cascade", "set null"])),
                deferral=draw(deferrals),
                validated=draw(flags),
                comment=draw(comments),
            )
        )
    return Table(**{**table.__dict__, "foreign_keys": tuple(sorted(keys, key=lambda key: key.name))})


functions = built(
    Function,
    name=names,
    language=st.sampled_from(["sql", "plpgsql", "plpython3u"]),
    arguments=st.sampled_from(["", "a integer, b text DEFAULT 'x, y'::text", "VARIADIC v text[]"]),
    returns=st.sampled_from(["integer", "SETOF app.orders", "TABLE(id bigint, t text)"]),
    body=sources,
    volatility=st.sampled_from(["volatile", "stable", "immutable"]),
    strict=flags,
    security_definer=flags,
    parallel=st.sampled_from(["unsafe", "safe"]),
    cost=st.none() | st.sampled_from([1.0, 0.0001, 1e20, 100.5]),
    support=st.none() | names,
    settings=st.sampled_from([(), (("search_path", "app, pg_temp"), ("work_mem", "64MB"))]),
    comment=comments,
    owner=owners,
) | built(
    Function,
    name=names,
    language=st.just("sql"),
    procedure=st.just(True),
    sql_body=st.sampled_from(["BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND"]),
)
views = built(
    View,
    name=names,
    query=queries,
    options=options,
    defaults=st.dictionaries(identifiers, constants, max_size=2).map(
        lambda found: tuple(sorted(found.items()))
    ),
    column_comments=st.dictionaries(identifiers, texts, max_size=2).map(
        lambda found: tuple(sorted(found.items()))
    ),
    triggers=some(triggers),
    rules=some(rules),
    comment=comments,
    owner=owners,
)
type_objects = st.one_of(
    built(
        Enum,
        name=names,
        labels=st.lists(identifiers, max_size=3, unique=True).map(tuple),
        comment=comments,
        owner=owners,
    ),
    built(
        Composite,
        name=names,
        attributes=st.lists(
            built(Attribute, name=identifiers, type=types, comment=comments),
            max_size=3,
            unique_by=lambda a: a.name,
        ).map(tuple),
        owner=owners,
    ),
    built(
        Domain,
        name=names,
        base=types,
        nullable=flags,
        default=st.none() | constants,
        checks=some(
            built(
                Check,
                name=identifiers,
                expression=st.sampled_from(["VALUE IS NOT NULL", "true"]),
                validated=flags,
            )
        ),
        comment=comments,
    ),
    built(
        Range,
        name=names,
        subtype=types,
        opclass=st.none() | st.just("app.ops"),
        canonical=st.none() | names,
        multirange=st.none() | names,
    ),
)
grants = st.one_of(
    built(
        Grant,
        kind=st.just("table"),
        object=st.sampled_from(["app.orders", '"We ird".t', "t"]),
        role=st.sampled_from(["public", "Owner Role"]),
        privileges=st.sampled_from([("SELECT",), ("INSERT", "SELECT")]),
        columns=st.sampled_from([(), ("a b", "c")]),
        grantable=flags,
        revoked=flags,
    ),
    built(
        Grant,
        kind=st.just("function"),
        object=st.just("f(integer, text[])"),
        role=st.just("public"),
        privileges=st.just(("EXECUTE",)),
        revoked=flags,
    ),
    built(
        Grant,
        kind=st.just("foreign server"),
        object=st.just('"my server"'),
        role=st.just("app"),
        privileges=st.just(("USAGE",)),
    ),
)


@st.composite
def databases(draw: st.DrawFn) -> Database:
    """A database of anything."""
    relations: dict[str, set[str]] = {"public": set(), "app": set(), "we ird.one": set()}
    row_types: dict[str, set[str]] = {"public": set(), "app": set(), "we ird.one": set()}

    def unused(made: list[Any], *spaces: dict[str, set[str]]) -> tuple[Any, ...]:
        kept = []
        for item in made:
            taken = [space[item.name.schema] for space in spaces]
            if all(item.name.name not in space for space in taken):
                kept.append(item)
                for space in taken:
                    space.add(item.name.name)
        return tuple(sorted(kept, key=lambda item: item.name))

    found = draw(families(relations))
    for table in found:
        row_types[table.name.schema].add(table.name.name)
    made_types = unused(draw(st.lists(type_objects, max_size=2)), relations, row_types)
    sequences = built(
        Sequence,
        name=names,
        type=st.sampled_from(["bigint", "integer"]),
        sequence=sequence_options,
        owned_by=st.none() | st.tuples(names, identifiers),
        comment=comments,
    )
    materialized = unused(
        draw(
            st.lists(
                built(
                    MaterializedView,
                    name=names,
                    query=queries,
                    populated=flags,
                    options=parameters,
                    comment=comments,
                ),
                max_size=1,
            )
        ),
        relations,
        row_types,
    )
    materialized = tuple(
        MaterializedView(
            **{
                **view.__dict__,
                "indexes": (draw(indexes(view.name.name, ["a", "b c"], relations[view.name.schema])),),
            }
        )
        for view in materialized
    )
    made_functions = [
        Function(name=Name("public", "f"), language="plpgsql", returns="trigger", body="BEGIN END"),
        *draw(st.lists(functions, max_size=3)),
    ]
    unique_functions = {function_order(function): function for function in made_functions}
    fields: dict[str, Any] = {
        "extensions": (Extension(name="btree_gist"), Extension(name="hstore", schema="app")),
        "types": made_types,
        "functions": tuple(unique_functions[key] for key in sorted(unique_functions)),
        "tables": tuple(sorted(found, key=lambda table: table.name)),
        "schema_details": draw(
            some(st.sampled_from([Schema(name="app", comment="x"), Schema(name="public", owner="app")]))
        ),
        "roles": draw(
            some(
                built(
                    Role,
                    name=identifiers,
                    login=flags,
                    inherit=flags,
                    member_of=st.sampled_from([(), ("app", "b c")]),
                    comment=comments,
                )
            )
        ),
        "collations": draw(
            some(
                built(
                    CollationObject,
                    name=names,
                    options=st.just((("locale", "de"), ("provider", "icu"))),
                    comment=comments,
                )
            )
        ),
        "sequences": unused(draw(st.lists(sequences, max_size=2)), relations),
        "views": unused(draw(st.lists(views, max_size=2)), relations, row_types),
        "materialized_views": materialized,
        "servers": draw(
            some(
                built(
                    Server,
                    name=identifiers,
                    wrapper=identifiers,
                    type=st.none() | texts,
                    options=options,
                    owner=owners,
                )
            )
        ),
        "event_triggers": draw(
            some(
                built(
                    EventTrigger,
                    name=identifiers,
                    event=st.just("ddl_command_end"),
                    function=st.just(Name("public", "f")),
                    tags=st.sampled_from([(), ("CREATE TABLE",)]),
                    enabled=enabled,
                )
            )
        ),
        "publications": draw(
            some(
                built(
                    Publication,
                    name=identifiers,
                    all_tables=flags,
                    tables=some(
                        built(
                            PublishedTable,
                            table=names,
                            columns=st.sampled_from([(), ("a b",)]),
                            where=st.none() | st.just("a > 0"),
                        ).filter(lambda t: True),
                        0,
                    ),
                    options=options,
                    owner=owners,
                )
            )
        ),
        "grants": tuple(draw(st.lists(grants, max_size=2))),
        "default_privileges": tuple(
            draw(
                st.lists(
                    built(
                        DefaultPrivilege,
                        kind=st.sampled_from(["sequences", "schemas"]),
                        role=identifiers,
                        privileges=st.just(("USAGE",)),
                        owner=owners,
                        schema=st.none() | identifiers,
                        revoked=flags,
                    ),
                    max_size=1,
                )
            )
        ),
        "raw": tuple(
            draw(
                st.lists(
                    built(Raw, kind=st.just("aggregate"), name=texts.filter(bool), sql=scripts), max_size=1
                )
            )
        ),
    }
    return with_schemas(Database(**fields), draw(st.sampled_from([(), ("empty one",)])))


def with_schemas(database: Database, more: tuple[str, ...]) -> Database:
    """`database` with the schemas that its objects are in."""
    named = [
        *database.types,
        *database.functions,
        *database.tables,
        *database.collations,
        *database.sequences,
    ]
    named += [*database.views, *database.materialized_views]
    found = (
        {item.name.schema for item in named} | set(more) | {schema.name for schema in database.schema_details}
    )
    found |= {extension.schema for extension in database.extensions if extension.schema}
    return Database(**{**database.__dict__, "schemas": tuple(sorted(found - {"public"}))})

"""The objects of a PostgreSQL database, in the words of its manual. Pure data, no SQL text is made here.

Expressions, types and queries are PostgreSQL source text. In a model that came from a spec it is what the author wrote;
in one that came from a server it is what the server prints. What kind of text a field holds is in its annotation, which
the reader of specs goes by; fields have the names of the keys in a spec.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

Identifier: TypeAlias = Annotated[str, "identifier"]
"""A name without a schema, unquoted."""
Expression: TypeAlias = Annotated[str, "expression"]
"""One scalar expression."""
Condition: TypeAlias = Annotated[str, "condition"]
"""One scalar expression that may hold subqueries."""
TypeText: TypeAlias = Annotated[str, "type"]
"""One type with its modifiers."""
Query: TypeAlias = Annotated[str, "query"]
"""One SELECT, VALUES or TABLE, without a semicolon."""
Source: TypeAlias = Annotated[str, "source"]
"""Source text of a function, in whatever language."""
Script: TypeAlias = Annotated[str, "script"]
"""One or more whole statements."""
Collation: TypeAlias = Annotated[str, "collation"]
"""A collation's name as it is; one outside pg_catalog as `schema."name"`."""
OperatorClass: TypeAlias = Annotated[str, "dotted"]
"""A name that may be qualified by a dot."""
Options: TypeAlias = tuple[tuple[str, str], ...]
"""Parameters by name, sorted: (("fillfactor", "70"),)."""

Deferral = Literal["not deferrable", "initially immediate", "initially deferred"]
Action = Literal["no action", "restrict", "cascade", "set null", "set default"]
Identity = Literal["always", "by default"]
Enabled = Literal["origin", "disabled", "replica", "always"]
"""When a trigger or rule fires; `origin` is what CREATE makes, and means everywhere but on a replica."""


@dataclass(frozen=True, order=True)
class Name:
    """A schema-qualified name, unquoted."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class Generated:
    """GENERATED ALWAYS AS (expression), STORED or (18 and later) VIRTUAL."""

    expression: Expression
    stored: bool = True


@dataclass(frozen=True, kw_only=True)
class SequenceOptions:
    """What a sequence does; None is PostgreSQL's own default for its type and direction."""

    increment: int | None = None
    start: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    cache: int | None = None
    cycle: bool = False


@dataclass(frozen=True, kw_only=True)
class NotNull:
    """What is unusual about a column's NOT NULL: a name of its own (18 and later), or its reach.

    The usual name is `table_column_not_null`, and that of a partition's column is its parent's.
    """

    name: Identifier | None = None
    no_inherit: bool = False
    validated: bool = True


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    name: Identifier
    type: TypeText
    nullable: bool = False
    default: Expression | None = None
    identity: Identity | None = None
    generated: Generated | None = None
    collation: Collation | None = None
    comment: str | None = None
    sequence: SequenceOptions | None = None
    """Options of the sequence behind an identity column, where one is not PostgreSQL's default."""
    sequence_name: Name | None = None
    """That sequence's name, where it is not `table_column_seq`."""
    not_null: NotNull | None = None
    storage: Literal["plain", "external", "extended", "main"] | None = None
    """Where it is not the type's own."""
    compression: Literal["pglz", "lz4"] | None = None
    statistics: int | None = None
    """ALTER COLUMN SET STATISTICS."""
    options: Options = ()
    """Attribute options (n_distinct), or a foreign table's column options."""
    inherited: bool = False
    """It comes from a parent table alone and is not declared here."""


@dataclass(frozen=True, kw_only=True)
class PrimaryKey:
    """PRIMARY KEY (columns [WITHOUT OVERLAPS]) [INCLUDE (…)] [WITH (…)]."""

    name: Identifier
    columns: tuple[Identifier, ...]
    deferral: Deferral = "not deferrable"
    include: tuple[Identifier, ...] = ()
    without_overlaps: bool = False
    """The last column is a range that no two rows of the same key share. PostgreSQL 18 and later."""
    options: Options = ()
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unique:
    """UNIQUE [NULLS NOT DISTINCT] (columns [WITHOUT OVERLAPS]) [INCLUDE (…)] [WITH (…)]."""

    name: Identifier
    columns: tuple[Identifier, ...]
    nulls_not_distinct: bool = False
    include: tuple[Identifier, ...] = ()
    deferral: Deferral = "not deferrable"
    without_overlaps: bool = False
    options: Options = ()
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """CHECK (expression) [NO INHERIT] [NOT VALID] [NOT ENFORCED]."""

    name: Identifier
    expression: Expression
    no_inherit: bool = False
    validated: bool = True
    enforced: bool = True
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class IndexElement:
    """One key of an index, a partitioning or an exclusion constraint: a column or an expression, never both."""

    column: Identifier | None = None
    expression: Expression | None = None
    collation: Collation | None = None
    opclass: OperatorClass | None = None
    opclass_options: Options = ()
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, kw_only=True)
class ExclusionElement:
    """`element WITH operator`."""

    element: IndexElement
    operator: str


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """EXCLUDE USING method (elements) [INCLUDE (…)] [WITH (…)] [WHERE (predicate)]."""

    name: Identifier
    method: Identifier
    elements: tuple[ExclusionElement, ...]
    where: Expression | None = None
    deferral: Deferral = "not deferrable"
    include: tuple[Identifier, ...] = ()
    options: Options = ()
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """FOREIGN KEY (columns) REFERENCES target (target_columns)."""

    name: Identifier
    columns: tuple[Identifier, ...]
    target: Name
    target_columns: tuple[Identifier, ...]
    on_delete: Action = "no action"
    on_update: Action = "no action"
    set_columns: tuple[Identifier, ...] = ()
    """ON DELETE SET NULL/DEFAULT (these only); empty means all. PostgreSQL 15 and later."""
    match_full: bool = False
    deferral: Deferral = "not deferrable"
    period: bool = False
    """The last columns are ranges: PERIOD. PostgreSQL 18 and later."""
    validated: bool = True
    enforced: bool = True
    comment: str | None = None


Constraint: TypeAlias = PrimaryKey | Unique | Check | Exclusion | ForeignKey


@dataclass(frozen=True, kw_only=True)
class Index:
    """CREATE [UNIQUE] INDEX; those that a constraint owns are not listed apart from it."""

    name: Identifier
    elements: tuple[IndexElement, ...]
    method: Identifier = "btree"
    unique: bool = False
    nulls_not_distinct: bool = False
    include: tuple[Identifier, ...] = ()
    where: Expression | None = None
    options: Options = ()
    """Storage parameters, sorted: (("m", "16"),)."""
    only: bool = False
    """ON ONLY: an index of a partitioned table that its partitions do not follow (yet)."""
    statistics: tuple[tuple[int, int], ...] = ()
    """ALTER INDEX … ALTER COLUMN number SET STATISTICS."""
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """CREATE [CONSTRAINT] TRIGGER."""

    name: Identifier
    timing: Literal["before", "after", "instead of"]
    events: tuple[Literal["insert", "update", "delete", "truncate"], ...]
    function: Name
    arguments: tuple[str, ...] = ()
    """String constants, without their quotes."""
    level: Literal["row", "statement"] = "row"
    update_of: tuple[Identifier, ...] = ()
    when: Expression | None = None
    old_table: Identifier | None = None
    new_table: Identifier | None = None
    constraint: bool = False
    from_table: Name | None = None
    deferral: Deferral = "not deferrable"
    enabled: Enabled = "origin"
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """CREATE RULE, as the whole statement."""

    name: Identifier
    sql: Script
    enabled: Enabled = "origin"
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """CREATE POLICY; `roles` is ("public",) where it holds for everybody."""

    name: Identifier
    command: Literal["all", "select", "insert", "update", "delete"] = "all"
    permissive: bool = True
    roles: tuple[Identifier, ...] = ("public",)
    using: Condition | None = None
    with_check: Condition | None = None
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """CREATE STATISTICS (kinds) ON columns or (expressions); its schema is the table's unless `schema` says another."""

    name: Identifier
    on: tuple[IndexElement, ...]
    kinds: tuple[Literal["dependencies", "mcv", "ndistinct"], ...] = ()
    """Empty: all that PostgreSQL has for them."""
    schema: Identifier | None = None
    target: int | None = None
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Partitioning:
    """PARTITION BY strategy (key)."""

    strategy: Literal["range", "list", "hash"]
    key: tuple[IndexElement, ...]


@dataclass(frozen=True, kw_only=True)
class PartitionOf:
    """Which table this is a partition of, and for which values: `FOR VALUES …` or `DEFAULT`."""

    table: Name
    bound: str


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """SERVER … OPTIONS (…) of a foreign table."""

    server: Identifier
    options: Options = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with everything that hangs on it: plain, partitioned, a partition, or foreign."""

    name: Name
    columns: tuple[Column, ...]
    primary_key: PrimaryKey | None = None
    uniques: tuple[Unique, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    comment: str | None = None
    partition_by: Partitioning | None = None
    partition_of: PartitionOf | None = None
    inherits: tuple[Name, ...] = ()
    row_security: Literal["off", "on", "forced"] = "off"
    """`forced` holds for the table's owner too."""
    policies: tuple[Policy, ...] = ()
    rules: tuple[Rule, ...] = ()
    statistics: tuple[Statistics, ...] = ()
    unlogged: bool = False
    options: Options = ()
    """Storage and autovacuum parameters; those of its TOAST table begin with `toast.`."""
    replica_identity: str = "default"
    """`default`, `full`, `nothing`, or the name of a unique index."""
    cluster_on: Identifier | None = None
    access_method: Identifier | None = None
    of_type: Name | None = None
    foreign: Foreign | None = None
    owner: Identifier | None = None

    def column(self, name: str) -> Column:
        """The column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def constraints(self) -> Iterator[Constraint]:
        """All of them, the primary key first."""
        if self.primary_key:
            yield self.primary_key
        yield from self.uniques
        yield from self.checks
        yield from self.exclusions
        yield from self.foreign_keys

    @property
    def holds_rows(self) -> bool:
        """Whether rows are written to it by its own name: not a partition, and not somebody else's table."""
        return self.partition_of is None and self.foreign is None


@dataclass(frozen=True, kw_only=True)
class View:
    """CREATE VIEW. `options`: security_invoker, security_barrier, check_option."""

    name: Name
    query: Query
    options: Options = ()
    defaults: tuple[tuple[str, str], ...] = ()
    """Column defaults for INSERT, (column, expression), sorted."""
    column_comments: tuple[tuple[str, str], ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class MaterializedView:
    """CREATE MATERIALIZED VIEW; a unique index over all rows is what REFRESH … CONCURRENTLY needs."""

    name: Name
    query: Query
    populated: bool = True
    options: Options = ()
    indexes: tuple[Index, ...] = ()
    statistics: tuple[Statistics, ...] = ()
    column_comments: tuple[tuple[str, str], ...] = ()
    cluster_on: Identifier | None = None
    access_method: Identifier | None = None
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """CREATE SEQUENCE that is not behind an identity column."""

    name: Name
    type: Literal["smallint", "integer", "bigint"] = "bigint"
    sequence: SequenceOptions = SequenceOptions()
    owned_by: tuple[Name, str] | None = None
    """(table, column): it is dropped with that column."""
    unlogged: bool = False
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Enum:
    """CREATE TYPE … AS ENUM."""

    name: Name
    labels: tuple[str, ...]
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Domain:
    """CREATE DOMAIN."""

    name: Name
    base: TypeText
    nullable: bool = True
    default: Expression | None = None
    collation: Collation | None = None
    checks: tuple[Check, ...] = ()
    not_null: NotNull | None = None
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One field of a composite type."""

    name: Identifier
    type: TypeText
    collation: Collation | None = None
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Composite:
    """CREATE TYPE … AS (…)."""

    name: Name
    attributes: tuple[Attribute, ...]
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Range:
    """CREATE TYPE … AS RANGE."""

    name: Name
    subtype: TypeText
    opclass: OperatorClass | None = None
    collation: Collation | None = None
    canonical: Name | None = None
    difference: Name | None = None
    """subtype_diff."""
    multirange: Name | None = None
    """Where it is not the name that PostgreSQL makes up."""
    comment: str | None = None
    owner: Identifier | None = None


Type: TypeAlias = Enum | Domain | Composite | Range


@dataclass(frozen=True, kw_only=True)
class CollationObject:
    """CREATE COLLATION; `options` are its parameters (provider, locale, deterministic …)."""

    name: Name
    options: Options
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function or procedure; one of `body` and `sql_body` says what it does."""

    name: Name
    language: Identifier
    arguments: str = ""
    """As between the parentheses of CREATE FUNCTION, defaults included."""
    returns: str | None = None
    """`integer`, `SETOF app.orders`, `TABLE(id bigint)` …; None for a procedure."""
    body: Source | None = None
    sql_body: Source | None = None
    """A body in SQL-standard form: `RETURN …` or `BEGIN ATOMIC … END`."""
    link_symbol: tuple[str, str] | None = None
    """(library, symbol) of a function in C."""
    procedure: bool = False
    window: bool = False
    volatility: Literal["volatile", "stable", "immutable"] = "volatile"
    strict: bool = False
    security_definer: bool = False
    leakproof: bool = False
    parallel: Literal["unsafe", "restricted", "safe"] = "unsafe"
    cost: float | None = None
    rows: float | None = None
    support: Name | None = None
    settings: tuple[tuple[str, str], ...] = ()
    """SET name TO value while it runs, sorted; a list such as search_path as its parts joined by `, `."""
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class EventTrigger:
    """CREATE EVENT TRIGGER."""

    name: Identifier
    event: str
    function: Name
    tags: tuple[str, ...] = ()
    enabled: Enabled = "origin"
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Server:
    """CREATE SERVER of a foreign data wrapper. User mappings, which hold passwords, are in no model."""

    name: Identifier
    wrapper: Identifier
    type: str | None = None
    version: str | None = None
    options: Options = ()
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """A table of a publication, with its row filter and columns (15 and later)."""

    table: Name
    columns: tuple[Identifier, ...] = ()
    where: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Publication:
    """CREATE PUBLICATION."""

    name: Identifier
    all_tables: bool = False
    tables: tuple[PublishedTable, ...] = ()
    schemas: tuple[Identifier, ...] = ()
    options: Options = ()
    """publish, publish_via_partition_root, publish_generated_columns: where not the default."""
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Role:
    """CREATE ROLE, without a password. Only what a database refers to is in its model."""

    name: Identifier
    login: bool = False
    inherit: bool = True
    create_database: bool = False
    create_role: bool = False
    replication: bool = False
    bypass_row_security: bool = False
    superuser: bool = False
    member_of: tuple[Identifier, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """GRANT privileges ON kind object TO role, or the REVOKE of what PostgreSQL gives by default."""

    kind: Literal[
        "table",
        "sequence",
        "schema",
        "function",
        "procedure",
        "type",
        "domain",
        "language",
        "foreign server",
        "foreign data wrapper",
    ]
    object: str
    """As SQL: `app.orders`, `app.total(integer)`; views and materialized views are tables here."""
    role: Identifier
    """`public` is everybody."""
    privileges: tuple[str, ...]
    """In capitals, sorted."""
    columns: tuple[Identifier, ...] = ()
    grantable: bool = False
    revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class DefaultPrivilege:
    """ALTER DEFAULT PRIVILEGES [FOR ROLE owner] [IN SCHEMA schema] GRANT or REVOKE."""

    kind: Literal["tables", "sequences", "functions", "types", "schemas", "large objects"]
    role: Identifier
    privileges: tuple[str, ...]
    owner: Identifier | None = None
    schema: Identifier | None = None
    grantable: bool = False
    revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class Extension:
    """CREATE EXTENSION [SCHEMA]; `schema` None leaves the choice to the extension and the search path."""

    name: Identifier
    schema: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What a schema has beside its name."""

    name: Identifier
    comment: str | None = None
    owner: Identifier | None = None


@dataclass(frozen=True, kw_only=True)
class Raw:
    """An object that has no form of its own here, as the statements that make it.

    `kind` is PostgreSQL's word for it: operator, aggregate, cast, text search configuration, security label …
    """

    kind: str
    name: str
    sql: Script


@dataclass(frozen=True, kw_only=True)
class Database:
    """A whole schema. Tables, types and the rest are sorted by name; only columns keep the author's order."""

    extensions: tuple[Extension, ...] = ()
    schemas: tuple[str, ...] = ()
    types: tuple[Type, ...] = ()
    functions: tuple[Function, ...] = ()
    tables: tuple[Table, ...] = ()
    schema_details: tuple[Schema, ...] = ()
    """Of the schemas (public included) that have a comment or an owner."""
    roles: tuple[Role, ...] = ()
    collations: tuple[CollationObject, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    views: tuple[View, ...] = ()
    materialized_views: tuple[MaterializedView, ...] = ()
    servers: tuple[Server, ...] = ()
    event_triggers: tuple[EventTrigger, ...] = ()
    publications: tuple[Publication, ...] = ()
    grants: tuple[Grant, ...] = ()
    default_privileges: tuple[DefaultPrivilege, ...] = ()
    raw: tuple[Raw, ...] = ()

    def table(self, name: Name) -> Table:
        """The table of that name; KeyError if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(str(name))

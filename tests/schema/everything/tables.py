"""Tables of every kind: inherited, typed, foreign, partitioned."""

from __future__ import annotations

from data_platform.model.database import (
    Check,
    Foreign,
    ForeignKey,
    Index,
    IndexElement,
    NotNull,
    Partitioning,
    PartitionOf,
    Policy,
    PrimaryKey,
    Table,
    Trigger,
)
from schema.everything.builders import app, column, key, table

TABLES = (
    table(
        "base",
        column("id"),
        column("n", "integer", nullable=True, default="1", storage="plain"),
        column("t", "text", nullable=True, storage="main"),
        checks=(Check(name="base_n", expression="n > 0"),),
    ),
    table(
        "customers",
        column("id"),
        column("code", "app.code"),
        column("during", "daterange"),
        primary_key=PrimaryKey(name="customers_pkey", columns=("id", "during"), without_overlaps=True),
        row_security="on",
    ),
    Table(name=app("empty"), columns=(), replica_identity="full"),
    Table(
        name=app("heir"),
        columns=(
            column("id", inherited=True),
            column(
                "n", "integer", inherited=True, default="2", storage=None, not_null=NotNull(name="heir_n")
            ),
            column("t", "text", nullable=True, inherited=True, comment="inherited"),
            column("own", "text", nullable=True),
        ),
        inherits=(app("base"), app("empty")),
    ),
    table(
        "stays",
        column("customer"),
        column("during", "daterange"),
        column("order_id", "bigint", nullable=True),
        column("order_tenant", "uuid", nullable=True),
        foreign_keys=(
            ForeignKey(
                name="stays_customer",
                columns=("customer", "during"),
                target=app("customers"),
                target_columns=("id", "during"),
                period=True,
                comment="in that time",
            ),
            ForeignKey(
                name="stays_later",
                columns=("order_id",),
                target=app("orders"),
                target_columns=("id",),
                validated=False,
                on_delete="set null",
                set_columns=("order_id",),
                deferral="initially deferred",
                comment="not looked at",
            ),
            ForeignKey(
                name="stays_off",
                columns=("order_id",),
                target=app("orders"),
                target_columns=("id",),
                enforced=False,
                validated=False,
                on_update="cascade",
                match_full=True,
            ),
        ),
    ),
    table(
        "typed",
        column("id", default="7"),
        column("n", "text", nullable=True),
        of_type=app("row_of"),
        primary_key=PrimaryKey(name="typed_pkey", columns=("id",)),
    ),
    table("scratch", unlogged=True),
    table(
        "kept",
        column("id", nullable=True),
        primary_key=PrimaryKey(name="kept_pkey", columns=("id",), deferral="initially deferred"),
        foreign_keys=tuple(
            ForeignKey(
                name=f"kept_{action.replace(' ', '_')}",
                columns=("id",),
                target=app("orders"),
                target_columns=("id",),
                on_delete=action,
            )
            for action in ("cascade", "restrict", "set default")
        ),
        policies=(
            Policy(name="new", command="insert", with_check="id > 0"),
            Policy(name="changed", command="update", using="id > 0", with_check="id > 1"),
            Policy(name="gone", command="delete", using="false"),
        ),
    ),
    Table(
        name=app("elsewhere"),
        columns=(column("id", options=(("column_name", "it's"),)), column("n", "text", nullable=True)),
        foreign=Foreign(server="dpe_r_server", options=(("table", "x"),)),
        checks=(Check(name="elsewhere_id", expression="id > 0"),),
        comment="not here",
        owner="dpe_r_owner",
        triggers=(
            Trigger(name="elsewhere_touch", timing="before", events=("insert",), function=app("touch")),
        ),
    ),
)

PARTITIONS = (
    Table(
        name=app("events"),
        columns=(
            column("id", "bigint", identity="by default"),
            column("at", "timestamptz"),
            column("kind", "text", default="'a'::text"),
        ),
        primary_key=PrimaryKey(name="events_pkey", columns=("id", "at")),
        checks=(Check(name="events_kind", expression="kind <> ''", comment="not empty"),),
        indexes=(
            Index(name="events_at", elements=key("at"), comment="by time"),
            Index(name="events_only", elements=key("kind"), only=True, comment="not followed"),
        ),
        partition_by=Partitioning(strategy="range", key=(IndexElement(column="at"),)),
        triggers=(Trigger(name="events_touch", timing="before", events=("insert",), function=app("touch")),),
    ),
    Table(
        name=app("events_2026"),
        columns=(
            column("id", "bigint", identity="by default"),
            column("kind", "text"),
            column("at", "timestamptz"),
        ),
        primary_key=PrimaryKey(name="key of 2026", columns=("id", "at")),
        indexes=(Index(name="time of 2026", elements=key("at")),),
        partition_of=PartitionOf(
            table=app("events"), bound="FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
        ),
        partition_by=Partitioning(strategy="hash", key=(IndexElement(column="id", opclass="int8_ops"),)),
    ),
    Table(
        name=app("events_2026_a"),
        columns=(column("id", "bigint"), column("at", "timestamptz"), column("kind", "text")),
        partition_of=PartitionOf(table=app("events_2026"), bound="FOR VALUES WITH (MODULUS 1, REMAINDER 0)"),
    ),
    Table(
        name=app("listed"),
        columns=(column("id"), column("kind", "text")),
        partition_by=Partitioning(
            strategy="list", key=(IndexElement(expression="lower(kind)", collation="C", opclass="text_ops"),)
        ),
    ),
    Table(
        name=app("events_rest"),
        columns=(
            column("id", "bigint"),
            column("at", "timestamptz"),
            column("kind", "text", default="'rest'::text"),
        ),
        partition_of=PartitionOf(table=app("events"), bound="DEFAULT"),
    ),
)

"""The statements of an exchange: what makes a new table like the old one, and what gives it the old one's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import postgast

from data_platform.sql.text import MAX_IDENTIFIER_BYTES, Sql, identifier, literal, parse, phrase, qualified

BESIDE = "_dpe_new_"
"""What the names of the new table and its indexes begin with, until they have the old ones'."""


@dataclass(frozen=True)
class Beside:
    """A new table that waits for the exchange, and what the old one was when it was built."""

    schema: str
    name: str
    old: int
    hanging: Mapping[str, Any]
    rows: int = 0

    @property
    def new(self) -> str:
        return short(BESIDE + self.name)

    @property
    def table(self) -> Sql:
        """Under the name that all know."""
        return qualified(self.schema, self.name)

    @property
    def beside(self) -> Sql:
        return qualified(self.schema, self.new)


def short(name: str) -> str:
    """A name that PostgreSQL does not cut."""
    return name.encode()[:MAX_IDENTIFIER_BYTES].decode(errors="ignore")


def created(made: Beside, old: Sql) -> Sql:
    kind = Sql("UNLOGGED TABLE" if made.hanging["persistence"] == "u" else "TABLE")
    options = made.hanging["options"] or []
    pairs = ", ".join(
        f"{key} = {literal(value)}" for key, _, value in (option.partition("=") for option in options)
    )
    space = made.hanging["space"]
    return phrase(
        "CREATE {kind} {beside} (LIKE {old} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS)"
        " USING {method}{options}{space}",
        method=identifier(made.hanging["method"]),
        kind=kind,
        beside=made.beside,
        old=old,
        options=Sql(f" WITH ({pairs})") if pairs else Sql(""),
        space=phrase(" TABLESPACE {space}", space=identifier(space)) if space else Sql(""),
    )


def before(made: Beside) -> Iterator[Sql]:
    """What needs the rows, under names that are free."""
    beside, known = made.beside, made.hanging
    for number, one in enumerate(known["constraints"]):
        name = one["name"] if one["type"] == "f" else _interim(made, "c", number)
        yield phrase(
            "ALTER TABLE {beside} ADD CONSTRAINT {name} {text}",
            beside=beside,
            name=identifier(name),
            text=Sql(one["text"]),
        )
    for number, one in enumerate(known["indexes"]):
        if not one["owned"]:
            tree = parse(one["text"])
            index = tree.stmts[0].stmt.index_stmt
            index.idxname, index.relation.relname = _interim(made, "i", number), made.new
            yield Sql(postgast.deparse(tree))
    for number, one in enumerate(known["statistics"]):
        tree = parse(one["text"])
        statistics = tree.stmts[0].stmt.create_stats_stmt
        statistics.defnames[-1].string.sval = _interim(made, "s", number)
        statistics.relations[0].range_var.relname = made.new
        yield Sql(postgast.deparse(tree))
    for column in known["columns"]:
        change = phrase("ALTER TABLE {beside} ALTER {name} ", beside=beside, name=identifier(column["name"]))
        if column["target"] is not None and column["target"] >= 0:
            yield Sql(f"{change}SET STATISTICS {int(column['target'])}")
        for option in column["options"] or []:
            key, _, value = option.partition("=")
            yield Sql(f"{change}SET ({key} = {literal(value)})")
    yield phrase("ANALYZE {beside}", beside=beside)


def _interim(made: Beside, kind: str, number: int) -> str:
    return short(f"{BESIDE}{kind}{number}_{made.old}")


# --- once the old one is locked ---


def exchanging(made: Beside) -> Iterator[Sql]:
    known, table = made.hanging, made.table
    for one in known["sequences"]:
        sequence = qualified(one["schema"], one["name"])
        if one["identity"]:
            yield phrase(
                "SELECT setval(pg_get_serial_sequence({beside}, {column}), s.last_value, s.is_called)"
                " FROM {sequence} s",
                beside=literal(made.beside),
                column=literal(one["column"]),
                sequence=sequence,
            )
        else:
            yield phrase(
                "ALTER SEQUENCE {sequence} OWNED BY {beside}.{column}",
                sequence=sequence,
                beside=made.beside,
                column=identifier(one["column"]),
            )
    yield phrase("DROP TABLE {table}", table=table)
    yield phrase("ALTER TABLE {beside} RENAME TO {name}", beside=made.beside, name=identifier(made.name))
    yield from _names(made)
    yield from _rights(made)
    for one in known["triggers"]:
        yield Sql(one["text"])
        how = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}.get(one["enabled"])
        if how:
            yield phrase(
                "ALTER TABLE {table} {how} TRIGGER {name}",
                table=table,
                how=Sql(how),
                name=identifier(one["name"]),
            )
        yield from _comment("TRIGGER", identifier(one["name"]), one, table)
    for one in known["policies"]:
        yield _policy(one, table)
        yield from _comment("POLICY", identifier(one["name"]), one, table)
    if known["security"]:
        yield phrase("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", table=table)
    if known["forced"]:
        yield phrase("ALTER TABLE {table} FORCE ROW LEVEL SECURITY", table=table)
    yield phrase("ALTER TABLE {table} OWNER TO {owner}", table=table, owner=identifier(known["owner"]))


def _names(made: Beside) -> Iterator[Sql]:
    """What has interim names gets its own, and what is said of it."""
    known, table = made.hanging, made.table
    for number, one in enumerate(known["constraints"]):
        if one["type"] != "f":
            yield phrase(
                "ALTER TABLE {table} RENAME CONSTRAINT {interim} TO {name}",
                table=table,
                interim=identifier(_interim(made, "c", number)),
                name=identifier(one["name"]),
            )
        yield from _comment("CONSTRAINT", identifier(one["name"]), one, table)
    for number, one in enumerate(known["indexes"]):
        if not one["owned"]:
            yield _renamed("INDEX", qualified(made.schema, _interim(made, "i", number)), one["name"])
        yield from _comment("INDEX", qualified(made.schema, one["name"]), one, None)
        if one["clustered"]:
            yield phrase("ALTER TABLE {table} CLUSTER ON {name}", table=table, name=identifier(one["name"]))
        if one["identity"]:
            text = "ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name}"
            yield phrase(text, table=table, name=identifier(one["name"]))
    for number, one in enumerate(known["statistics"]):
        yield _renamed("STATISTICS", qualified(one["schema"], _interim(made, "s", number)), one["name"])
        yield from _comment("STATISTICS", qualified(one["schema"], one["name"]), one, None)
    for one in known["sequences"]:
        if one["identity"]:
            yield _renamed_identity(made, one)
    if known["identity"] in ("f", "n"):
        how = Sql("FULL" if known["identity"] == "f" else "NOTHING")
        yield phrase("ALTER TABLE {table} REPLICA IDENTITY {how}", table=table, how=how)
    yield from _comment("TABLE", table, known, None)


def _renamed(kind: str, interim: Sql, name: str) -> Sql:
    return phrase(
        "ALTER {kind} {interim} RENAME TO {name}", kind=Sql(kind), interim=interim, name=identifier(name)
    )


def _renamed_identity(made: Beside, one: Mapping[str, Any]) -> Sql:
    """The sequence that the new column made, under the name of the old one's."""
    source = (
        f"BEGIN EXECUTE format('ALTER SEQUENCE %s RENAME TO %I',"
        f" pg_get_serial_sequence({literal(made.table)}, {literal(one['column'])}), {literal(one['name'])}::text); END"
    )
    return phrase("DO {source}", source=literal(source))


def _rights(made: Beside) -> Iterator[Sql]:
    """Exactly those of the old one; what default privileges gave is taken away."""
    table = made.table
    source = phrase(
        "DECLARE g text; BEGIN FOR g IN SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC'"
        " ELSE quote_ident(pg_get_userbyid(a.grantee)) END FROM pg_class c, aclexplode(c.relacl) a"
        " WHERE c.oid = {table}::regclass"
        " LOOP EXECUTE format('REVOKE ALL ON TABLE %s FROM %s', {table}, g); END LOOP; END",
        table=literal(table),
    )
    yield phrase("DO {source}", source=literal(source))
    for one in made.hanging["grants"]:
        yield _grant(Sql(one["privilege"]), table, one)
    for column in made.hanging["columns"]:
        for one in column["grants"]:
            yield _grant(Sql(f"{one['privilege']} ({identifier(column['name'])})"), table, one)


def _grant(privilege: Sql, table: Sql, one: Mapping[str, Any]) -> Sql:
    return phrase(
        "GRANT {privilege} ON TABLE {table} TO {to}{again}",
        privilege=privilege,
        table=table,
        to=_role(one["to"]),
        again=Sql(" WITH GRANT OPTION" if one["again"] else ""),
    )


def _role(name: str | None) -> Sql:
    return Sql("PUBLIC") if name is None else identifier(name)


def _policy(one: Mapping[str, Any], table: Sql) -> Sql:
    command = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "*": "ALL"}[one["command"]]
    return phrase(
        "CREATE POLICY {name} ON {table} AS {kind} FOR {command} TO {roles}{using}{check}",
        name=identifier(one["name"]),
        table=table,
        kind=Sql("PERMISSIVE" if one["permissive"] else "RESTRICTIVE"),
        command=Sql(command),
        roles=Sql(", ".join(_role(role) for role in one["roles"])),
        using=Sql(f" USING ({one['using']})" if one["using"] else ""),
        check=Sql(f" WITH CHECK ({one['check']})" if one["check"] else ""),
    )


def _comment(kind: str, name: Sql, one: Mapping[str, Any], table: Sql | None) -> Iterator[Sql]:
    if one["comment"] is not None:
        on = phrase(" ON {table}", table=table) if table else Sql("")
        yield phrase(
            "COMMENT ON {kind} {name}{on} IS {text}",
            kind=Sql(kind),
            name=name,
            on=on,
            text=literal(one["comment"]),
        )

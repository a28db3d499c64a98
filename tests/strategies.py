"""Random model specs: every kind of object that the format has, with names that nobody would choose."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

HOSTILE = (
    "select",
    'a"b',
    "a.b",
    "; DROP TABLE x; --",
    "it's",
    "$$",
    "UPPER",
    "ünï",
    "名前",
    "a b",
    "{{ 7*7 }}",
    "%s",
    "x" * 63,
    "/* c */",
    "\\",
    "-- x\ny",
    "\u202e",
)

names = st.one_of(
    st.sampled_from(HOSTILE),
    st.from_regex(r"[a-z_][a-z0-9_]{0,12}", fullmatch=True),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=15),
).filter(lambda name: len(name.encode()) <= 63)

comments = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
)

NUMBERS = ("smallint", "integer", "bigint", "numeric(12, 3)", "double precision")
TEXTS = ("text", "varchar(40)", "char(7)")
OTHERS = (
    "boolean",
    "date",
    "timestamptz",
    "timestamp(3)",
    "time with time zone",
    "interval day to second(2)",
    "uuid",
    "jsonb",
    "bytea",
    "bit varying(9)",
    "inet",
    "int4range",
    "tstzmultirange",
    "point",
    "tsvector",
    "text[]",
    "integer[][]",
    "xml",
    "vector(3)",
    "halfvec(5)",
    "citext",
)
DEFAULTS = {
    "smallint": ("0", "-1", "1 + 2"),
    "integer": ("0", "length('abc')", "(1 << 3)"),
    "bigint": ("0", "abs(-3)"),
    "numeric(12, 3)": ("0", "1.50", "0::numeric"),
    "double precision": ("0", "random()"),
    "text": ("''", "'it''s'", "'a' || 'b'", "current_user", "E'\\\\n'"),
    "varchar(40)": ("''", "lower('A')"),
    "char(7)": ("'x'",),
    "boolean": ("true", "NOT true", "1 IS DISTINCT FROM 2"),
    "date": ("current_date", "'2020-01-01'"),
    "timestamptz": ("now()", "now() - interval '1 day'", "current_timestamp"),
    "uuid": ("gen_random_uuid()", "uuidv7()"),
    "jsonb": ("'{}'", "jsonb_build_object('a', 1)"),
    "text[]": ("'{}'", "ARRAY['a', 'b']", "ARRAY[]::text[]"),
    "int4range": ("'empty'", "int4range(1, 5)"),
    "citext": ("'X'",),
}


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@st.composite
def checks_on(draw: st.DrawFn, name: str, type_: str) -> str:
    column = quoted(name)
    if type_ in NUMBERS:
        forms = (
            f"{column} > 0",
            f"{column} BETWEEN 1 AND 10",
            f"{column} IN (1, 2, 3)",
            f"NOT ({column} < 0 OR {column} = 7)",
        )
    elif type_ in TEXTS or type_ == "citext":
        forms = (
            f"{column} <> ''",
            f"{column} ~ '^[a-z]+$'",
            f"{column} LIKE 'a%'",
            f"length({column}) <= 5",
            f"{column} IN ('a', 'b''c')",
        )
    else:
        forms = (
            f"{column} IS NOT NULL",
            f"num_nonnulls({column}) = 1",
            f"coalesce({column} IS NULL, false) = false",
        )
    return draw(st.sampled_from(forms))


@st.composite
def columns(draw: st.DrawFn, own_types: list[str], name: str) -> dict[str, Any]:
    type_ = draw(st.sampled_from((*NUMBERS, *TEXTS, *OTHERS, *(quoted(t) for t in own_types))))
    column: dict[str, Any] = {"type": type_}
    if draw(st.booleans()):
        column["nullable"] = draw(st.booleans())
    origin = draw(st.sampled_from(("none", "none", "default", "identity")))
    if origin == "default" and type_ in DEFAULTS:
        column["default"] = draw(st.sampled_from(DEFAULTS[type_]))
    elif origin == "identity" and type_ in ("smallint", "integer", "bigint"):
        column["identity"] = draw(st.sampled_from(("always", "by default")))
        column.pop("nullable", None)
    if type_ in TEXTS and draw(st.integers(0, 4)) == 0:
        column["collation"] = "C"
    if draw(st.integers(0, 3)) == 0:
        column["check"] = draw(checks_on(name, type_))
    if draw(st.integers(0, 3)) == 0:
        column["comment"] = draw(comments)
    return column


@st.composite
def types(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(("enum", "domain", "composite")))
    if kind == "enum":
        return {"enum": draw(st.lists(names, min_size=1, max_size=4, unique=True)), "comment": draw(comments)}
    if kind == "composite":
        fields = draw(st.lists(names, min_size=1, max_size=3, unique=True))
        return {
            "composite": {
                field: draw(st.sampled_from((*NUMBERS, *TEXTS, "uuid", "text[]"))) for field in fields
            }
        }
    base = draw(st.sampled_from((*NUMBERS, "text", "varchar(9)")))
    check = "VALUE > 0" if base in NUMBERS else "VALUE <> ''"
    domain: dict[str, Any] = {"domain": base, "checks": {draw(names): check}}
    if draw(st.booleans()):
        domain["nullable"] = False
    if draw(st.booleans()):
        domain["default"] = "1" if base in NUMBERS else "'x'"
    return domain


COMPARABLE = (*NUMBERS, *TEXTS, "boolean", "date", "timestamptz", "uuid", "citext", "inet", "int4range")


@st.composite
def indexes(draw: st.DrawFn, table: dict[str, dict[str, Any]]) -> dict[str, Any]:  # noqa: PLR0912 - a list of cases
    comparable = [name for name, column in table.items() if column["type"] in COMPARABLE]
    by_type = {column["type"]: name for name, column in table.items()}
    special: list[dict[str, Any]] = []
    if "jsonb" in by_type:
        special.append(
            {"columns": [{"column": by_type["jsonb"], "opclass": "jsonb_path_ops"}], "using": "gin"}
        )
    if "text[]" in by_type:
        special.append({"columns": [by_type["text[]"]], "using": "gin", "with": {"fastupdate": False}})
    if "vector(3)" in by_type:
        key = [{"column": by_type["vector(3)"], "opclass": "vector_cosine_ops"}]
        special += [
            {"columns": key, "using": "hnsw", "with": {"m": 8}},
            {"columns": key, "using": "ivfflat", "with": {"lists": 2}},
        ]
    if "text" in by_type:
        special.append(
            {
                "columns": [
                    {"expression": f"lower({quoted(by_type['text'])})", "opclass": "text_pattern_ops"}
                ],
                "unique": True,
            }
        )
        special.append({"columns": [by_type["text"]], "using": "hash"})
    if "timestamptz" in by_type:
        special.append(
            {"columns": [by_type["timestamptz"]], "using": "brin", "with": {"pages_per_range": 16}}
        )
    if "int4range" in by_type:
        special.append({"columns": [by_type["int4range"]], "using": "gist"})
    if special and (not comparable or draw(st.booleans())):
        return draw(st.sampled_from(special))
    if not comparable:
        return {}
    chosen = draw(st.lists(st.sampled_from(comparable), min_size=1, max_size=3, unique=True))
    index: dict[str, Any] = {"columns": []}
    for name in chosen:
        key: dict[str, Any] = {"column": name}
        if draw(st.booleans()):
            key["order"] = draw(st.sampled_from(("asc", "desc")))
        if draw(st.booleans()):
            key["nulls"] = draw(st.sampled_from(("first", "last")))
        index["columns"].append(key)
    if draw(st.booleans()):
        index["unique"] = True
        index["nulls_not_distinct"] = draw(st.booleans())
    if draw(st.booleans()):
        index["where"] = f"{quoted(chosen[0])} IS NOT NULL"
    rest = [name for name in comparable if name not in chosen]
    if rest and draw(st.booleans()):
        index["include"] = rest[:1]
    if draw(st.booleans()):
        index["with"] = {"fillfactor": 70}
    if draw(st.integers(0, 3)) == 0:
        index["comment"] = draw(comments)
    return index


@st.composite
def tables(draw: st.DrawFn, own_types: list[str]) -> dict[str, Any]:
    column_names = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    made = {name: draw(columns(own_types, name)) for name in column_names}
    table: dict[str, Any] = {"columns": made}
    texts = [name for name, column in made.items() if column["type"] == "text" and "identity" not in column]
    if texts and "search" not in made and draw(st.booleans()):
        made["search"] = {"type": "tsvector", "generated": f"to_tsvector('simple', {quoted(texts[0])})"}
        made["size"] = {
            "type": "integer",
            "nullable": True,
            "generated": {"expression": f"length({quoted(texts[0])})", "stored": draw(st.booleans())},
        }
    keys = [
        n
        for n, c in made.items()
        if c["type"] in COMPARABLE and not c.get("nullable") and "generated" not in c
    ]
    if keys and draw(st.booleans()):
        table["primary_key"] = draw(st.lists(st.sampled_from(keys), min_size=1, max_size=2, unique=True))
    candidates = [
        name for name, column in made.items() if column["type"] in COMPARABLE and "generated" not in column
    ]
    if candidates and draw(st.booleans()):
        unique: dict[str, Any] = {
            "columns": draw(st.lists(st.sampled_from(candidates), min_size=1, max_size=2, unique=True))
        }
        if draw(st.booleans()):
            unique["nulls_not_distinct"] = True
        if draw(st.integers(0, 3)) == 0:
            unique["deferral"] = draw(st.sampled_from(("initially immediate", "initially deferred")))
        table["unique"] = [unique]
    ranges = [name for name, column in made.items() if column["type"] == "int4range"]
    if ranges and draw(st.booleans()):
        table["exclude"] = [
            {"elements": [{"column": ranges[0], "with": "&&"}], "where": f"NOT isempty({quoted(ranges[0])})"}
        ]
    wanted = [draw(indexes(made)) for _ in range(draw(st.integers(0, 3)))]
    table["indexes"] = [index for index in wanted if index]
    if draw(st.integers(0, 2)) == 0:
        table["comment"] = draw(comments)
    if draw(st.booleans()):
        table["conventions"] = {
            "timestamps": draw(st.booleans()),
            "soft_delete": draw(st.booleans()),
            "metadata": draw(st.booleans()),
            "primary_key": draw(st.sampled_from(("uuid", "uuidv7", "identity", "none"))),
        }
    return table


def key_text(schema: str, name: str) -> str:
    """A table's or type's key in a spec: parts with a dot or a quote in them stand in double quotes."""
    parts = [name] if schema == "public" else [schema, name]
    return ".".join(quoted(part) if "." in part or part.startswith('"') else part for part in parts)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """A spec of kind `model` as data; it may still be refused for a reason that a random one cannot avoid."""
    type_names = draw(st.lists(names, max_size=2, unique=True))
    table_names = draw(
        st.lists(names.filter(lambda n: n not in type_names), min_size=1, max_size=4, unique=True)
    )
    schemas = draw(
        st.lists(
            st.sampled_from(("public", "shop", 'we"ird')),
            min_size=len(table_names),
            max_size=len(table_names),
        )
    )
    model: dict[str, Any] = {
        "kind": "model",
        "store": "Customer DB",
        "extensions": ["vector", "citext", "btree_gist"],
        "types": {key_text("public", name): draw(types(name)) for name in type_names},
        "tables": {},
    }
    keys = []
    for schema, name in zip(schemas, table_names, strict=True):
        key = key_text(schema, name)
        model["tables"][key] = draw(tables(type_names))
        keys.append(key)
    for key in keys:
        if draw(st.booleans()):
            _refer(draw, model, key, draw(st.sampled_from(keys)))
    return model


def _refer(draw: st.DrawFn, model: dict[str, Any], key: str, target: str) -> None:
    spec = model["tables"][target]
    rules = spec.get("conventions", {})
    has_key = "primary_key" in spec or (
        rules.get("primary_key", "none") != "none" and "id" not in spec["columns"]
    )
    if not has_key or ("primary_key" in spec and len(spec["primary_key"]) > 1):
        return
    model["tables"][key]["columns"]["parent ref"] = {
        "nullable": True,
        "references": {
            "table": target,
            "on_delete": draw(
                st.sampled_from(("cascade", "restrict", "set null", "no action", "set default"))
            ),
            "on_update": draw(st.sampled_from(("cascade", "no action"))),
            "deferral": draw(st.sampled_from(("not deferrable", "initially deferred"))),
        },
    }

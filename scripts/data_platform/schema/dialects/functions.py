"""Functions of PostgreSQL with a counterpart in the targets: one entry a function, everything else is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from sqlglot import exp

from data_platform.schema.dialects.literals import Untranslatable, string
from data_platform.schema.dialects.scope import Typed
from data_platform.schema.dialects.spellings import Kind

if TYPE_CHECKING:
    from data_platform.schema.dialects.reading import Node, Reader

_TEXTS = frozenset({"text", "citext"})
_NUMBERS = frozenset({"integer", "decimal", "float"})
_EXACT = frozenset({"integer", "decimal"})
_UUID_4_OF_SQLITE = (
    "LOWER(HEX(RANDOMBLOB(4)) || '-' || HEX(RANDOMBLOB(2)) || '-4' || SUBSTR(HEX(RANDOMBLOB(2)), 2) || '-' || "
    "SUBSTR('89AB', 1 + (RANDOM() & 3), 1) || SUBSTR(HEX(RANDOMBLOB(2)), 2) || '-' || HEX(RANDOMBLOB(6)))"
)
_JSON_TYPES = {"object": "OBJECT", "array": "ARRAY"}

Write: TypeAlias = Callable[["Reader", str, list[Typed]], Typed]


def call(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    """The counterpart of the call; Untranslatable if there is none."""
    write = _FUNCTIONS.get(name)
    if write is None:
        raise Untranslatable(f"there is no translation of the function `{name}`")
    return write(reader, name, arguments)


def _arity(name: str, arguments: list[Typed], *numbers: int) -> None:
    if len(arguments) not in numbers:
        raise Untranslatable(f"there is no translation of `{name}` with {len(arguments)} arguments")


def _now(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 0)
    if not reader.scope.volatile:
        raise Untranslatable("the time of day cannot be asked for here")
    if name == "current_date":
        return Typed(exp.CurrentDate(), "date")
    kind: Kind = "timestamp" if name == "localtimestamp" else "timestamptz"
    if reader.dialect == "sqlite":
        reader.note("the time has milliseconds")
        made = exp.Anonymous(this="STRFTIME", expressions=[string("%Y-%m-%dT%H:%M:%fZ"), string("now")])
        return Typed(made, kind)
    if reader.dialect == "mysql":
        return Typed(exp.CurrentTimestamp(this=exp.Literal.number(6)), kind)
    if kind == "timestamp":
        return Typed(exp.cast(exp.CurrentTimestamp(), "TIMESTAMP", dialect="postgres"), kind)
    return Typed(exp.CurrentTimestamp(), kind)


@lru_cache(maxsize=1)
def _uuid_4_of_sqlite() -> exp.Expr:
    return exp.maybe_parse(_UUID_4_OF_SQLITE, dialect="sqlite")


def _uuid(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 0)
    by_time = name == "uuidv7"
    if by_time and reader.dialect != "duckdb":
        reader.note("new UUIDs are not ordered by time")
    match reader.dialect:
        case "mysql":
            if not by_time:
                reader.note("UUID() makes version 1, which shows the time and the server")
            return Typed(exp.Anonymous(this="UUID"), "uuid")
        case "sqlite":
            return Typed(_uuid_4_of_sqlite().copy(), "uuid")
        case "duckdb":
            return Typed(exp.Anonymous(this="UUIDV7" if by_time else "UUID"), "uuid")
        case "bigquery":
            return Typed(exp.Anonymous(this="GENERATE_UUID"), "uuid")
        case "snowflake":
            return Typed(exp.Anonymous(this="UUID_STRING"), "uuid")
    raise Untranslatable(f"there is no translation of the function `{name}`")


def _of_text(made: type[exp.Func], kind: Kind, *, folds: bool = False) -> Write:
    def translate(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
        _arity(name, arguments, 1)
        subject = reader.require(arguments[0], _TEXTS, f"`{name}`")
        if folds and reader.dialect == "sqlite":
            reader.note(f"`{name}` changes ASCII letters only")
        return Typed(made(this=subject), kind)

    return translate


def _length(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 1)
    if arguments[0].kind != "bytes":
        return _of_text(exp.Length, "integer")(reader, name, arguments)
    # A BLOB's length is in bytes in SQLite.
    word = "LENGTH" if reader.dialect == "sqlite" else "OCTET_LENGTH"
    return Typed(exp.Anonymous(this=word, expressions=[arguments[0].node]), "integer")


def _octets(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 1)
    if arguments[0].kind != "bytes":
        raise Untranslatable("the bytes of a text are not those of PostgreSQL's encoding")
    return _length(reader, name, arguments)


def _abs(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 1)
    return Typed(exp.Abs(this=reader.require(arguments[0], _NUMBERS, "`abs`")), arguments[0].kind)


def _round(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 1, 2)
    parts = [reader.require(argument, _EXACT, "`round`") for argument in arguments]
    return Typed(exp.Round(this=parts[0], decimals=parts[1] if len(parts) > 1 else None), "decimal")


def _substring(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 2, 3)
    numbers = [argument.node for argument in arguments[1:]]
    if not all(
        isinstance(node, exp.Literal) and not node.is_string and int(node.name) > 0 for node in numbers
    ):
        raise Untranslatable(f"`{name}` with places that are computed or below 1 has no exact counterpart")
    subject = reader.require(arguments[0], _TEXTS, f"`{name}`")
    length = numbers[1] if len(numbers) > 1 else None
    return Typed(exp.Substring(this=subject, start=numbers[0], length=length), "text")


def _replace(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 3)
    if not all(argument.node.is_string and argument.node.name for argument in arguments[1:2]):
        raise Untranslatable("`replace` of a computed text has no exact counterpart")
    parts = [reader.require(argument, _TEXTS | {"literal"}, "`replace`") for argument in arguments]
    return Typed(exp.Anonymous(this="REPLACE", expressions=parts), "text")


def _count_nulls(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    """num_nonnulls(a, b) as a sum of ones and zeros, which every engine can count."""
    if not arguments or any(argument.kind == "composite" for argument in arguments):
        raise Untranslatable(f"there is no translation of `{name}` over these values")
    null, filled = ("0", "1") if name == "num_nonnulls" else ("1", "0")
    terms: list[exp.Expr] = []
    for argument in arguments:
        test = exp.Is(this=argument.node, expression=exp.null())
        arm = exp.If(this=test, true=exp.Literal.number(null))
        terms.append(exp.Case(ifs=[arm], default=exp.Literal.number(filled)))
    total = terms[0]
    for term in terms[1:]:
        total = exp.Add(this=total, expression=term)
    return Typed(total, "integer")


def _next_value(reader: Reader, name: str, arguments: list[Typed]) -> Typed:
    _arity(name, arguments, 1)
    if reader.dialect != "duckdb" or not arguments[0].node.is_string:
        raise Untranslatable("a sequence has no form in this target")
    sequence = reader.scope.sequence(arguments[0].node.name)
    return Typed(exp.Anonymous(this="NEXTVAL", expressions=[string(sequence)]), "integer")


def json_type_test(reader: Reader, node: Node, operator: str) -> Typed | None:
    """`jsonb_typeof(x) = 'object'`, whose result is spelled differently everywhere; None for any other comparison."""
    asked = node.lexpr.func_call
    if not node.lexpr.HasField("func_call") or asked.funcname[-1].string.sval not in (
        "jsonb_typeof",
        "json_typeof",
    ):
        return None
    wanted = node.rexpr
    while wanted.HasField("type_cast"):
        wanted = wanted.type_cast.arg
    word = _JSON_TYPES.get(wanted.a_const.sval.sval if wanted.HasField("a_const") else "")
    if word is None or operator not in ("=", "<>") or reader.dialect not in ("mysql", "sqlite", "duckdb"):
        raise Untranslatable("the names of JSON's types differ here")
    subject = reader.require(reader.read(asked.args[0]), frozenset({"json"}), "`jsonb_typeof`")
    word = word.lower() if reader.dialect == "sqlite" else word
    made = exp.EQ if operator == "=" else exp.NEQ
    test = exp.Anonymous(this="JSON_TYPE", expressions=[subject])
    return Typed(made(this=test, expression=string(word)), "boolean")


def json_text(reader: Reader, node: Node) -> Typed:
    """`document ->> 'key'`."""
    subject, key = reader.read(node.lexpr), reader.read(node.rexpr)
    name = key.node.name if key.node.is_string else ""
    if not name.isidentifier() or reader.dialect not in ("mysql", "sqlite", "duckdb"):
        raise Untranslatable("`->>` has no exact counterpart here")
    document = reader.require(subject, frozenset({"json"}), "`->>`")
    path = string(f"$.{name}")
    if reader.dialect == "mysql":
        reader.note("JSON_VALUE gives NULL for an object or an array")
        return Typed(exp.Anonymous(this="JSON_VALUE", expressions=[document, path]), "text")
    if reader.dialect == "sqlite":
        got = exp.Anonymous(this="JSON_EXTRACT", expressions=[document, path])
        reader.note("true and false come as 1 and 0 from JSON")
        return Typed(exp.cast(got, "TEXT"), "text")
    return Typed(exp.Anonymous(this="JSON_EXTRACT_STRING", expressions=[document, path]), "text")


_FUNCTIONS: dict[str, Write] = {
    **dict.fromkeys(
        (
            "now",
            "transaction_timestamp",
            "statement_timestamp",
            "clock_timestamp",
            "localtimestamp",
            "current_date",
        ),
        _now,
    ),
    **dict.fromkeys(("gen_random_uuid", "uuidv4", "uuid_generate_v4", "uuidv7"), _uuid),
    "lower": _of_text(exp.Lower, "text", folds=True),
    "upper": _of_text(exp.Upper, "text", folds=True),
    "length": _length,
    "octet_length": _octets,
    **dict.fromkeys(("char_length", "character_length"), _of_text(exp.Length, "integer")),
    "btrim": _of_text(exp.Trim, "text"),
    "abs": _abs,
    "round": _round,
    **dict.fromkeys(("substr", "substring"), _substring),
    "replace": _replace,
    **dict.fromkeys(("num_nonnulls", "num_nulls"), _count_nulls),
    "nextval": _next_value,
}

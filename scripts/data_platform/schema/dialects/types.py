"""A type of the model in the target: its name there, what it no longer checks, and conditions that make up for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from data_platform.model.database import Check, Composite, Domain, Enum, Expression, Name, Range, Type
from data_platform.model.design import Design
from data_platform.schema.dialects.names import Names
from data_platform.schema.dialects.spellings import (
    AS_JSON,
    AS_TEXT,
    CHECKS,
    HELD_AS_TEXT,
    NOTES,
    SPELLINGS,
    Kind,
)
from data_platform.schema.dialects.targets import Dialect, Target
from data_platform.schema.dialects.writing import quote
from data_platform.sql.types import TypeReference, reference

_BRACKETS = re.compile(r"(?:\[\s*[0-9]*\s*\]\s*)+\Z")
_PRECISION: dict[Dialect, tuple[int, int]] = {
    "mysql": (65, 30),
    "sqlite": (18, 0),
    "duckdb": (38, 37),
    "bigquery": (38, 9),
    "snowflake": (38, 37),
    "spark": (38, 38),
}
"""The most digits of a decimal number, and the most after the point."""
_PLAIN_NUMERIC: dict[Dialect, str] = {
    "mysql": "DECIMAL(65, 30)",
    "sqlite": "REAL",
    "duckdb": "DECIMAL(38, 10)",
    "bigquery": "BIGNUMERIC",
    "snowflake": "DECIMAL(38, 10)",
    "spark": "DECIMAL(38, 10)",
}
_MAX_ROW_TEXT = 16_000
"""Characters of a VARCHAR in MySQL, four bytes each, in a row of at most 65,535 bytes."""
_MICROSECONDS = 6
_OF_EXTENSIONS = frozenset({"citext", "vector", "halfvec"})
"""These may be in any schema."""


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """A type in the target. Texts with `{c}` take the column's quoted name."""

    text: str
    kind: Kind
    size: int | None = None
    """Of varchar(size) and char(size)."""
    notes: tuple[str, ...] = ()
    """What is different, as the rest of a sentence about the column."""
    losses: tuple[str, ...] = ()
    """The same, where rows that PostgreSQL refuses are now taken."""
    checks: tuple[str, ...] = ()
    nullable: bool = True
    default: Expression | None = None
    domain_checks: tuple[tuple[str, Check], ...] = ()
    """(domain's name, check) of the domains it is made of."""


class Types:
    """The types of one design in one target."""

    def __init__(self, design: Design, target: Target, names: Names) -> None:
        self._own: Mapping[Name, Type] = {type_.name: type_ for type_ in design.database.types}
        self._path = design.search_path
        self._target = target
        self._names = names

    def mapped(self, text: str) -> Mapped:
        """The type `text` in the target."""
        found = reference(text)
        if found.array:
            return self._array(text, found)
        own = self.own(found)
        return self._built_in(found) if own is None else self.mapped_own(own)

    def mapped_own(self, own: Type) -> Mapped:
        """A type of the model in the target."""
        match own:
            case Enum():
                return self._enum(own)
            case Domain():
                return self._domain(own)
            case Composite():
                return self._composite(own)
            case Range():
                return self.held_as_text()

    def own(self, found: TypeReference) -> Type | None:
        """The model's own type of that name, as the search path finds it."""
        schemas = (found.schema,) if found.schema else self._path
        return next(
            (self._own[Name(s, found.name)] for s in schemas if Name(s, found.name) in self._own), None
        )

    def _built_in(self, found: TypeReference) -> Mapped:
        name, numbers = found.name, [int(part) for part in found.modifiers if part.isdigit()]
        if name == "numeric":
            return self._numeric(numbers)
        if name in ("varchar", "bpchar"):
            return self._characters(name, numbers)
        spelling = SPELLINGS.get(name)
        if spelling is None or (found.schema is not None and name not in _OF_EXTENSIONS):
            return self.held_as_text()
        dialect = self._target.name
        note = NOTES[dialect].get(name)
        check = CHECKS[dialect].get(name)
        made = Mapped(
            text=getattr(spelling, dialect),
            kind=spelling.kind,
            notes=(note.format(type=name),) if note else (),
            checks=(check,) if check else (),
        )
        if spelling.kind == "vector":
            return self._vector(made, numbers)
        return self._less_precise(made, found)

    def held_as_text(self, note: str = HELD_AS_TEXT) -> Mapped:
        """For a type without a counterpart."""
        return Mapped(text=AS_TEXT[self._target.name], kind="other", notes=(note,))

    def _numeric(self, numbers: list[int]) -> Mapped:
        dialect = self._target.name
        if not numbers:
            note = "has no limit in PostgreSQL, and is rounded here to what fits"
            return Mapped(text=_PLAIN_NUMERIC[dialect], kind="decimal", notes=(note,))
        precision, scale = numbers[0], numbers[1] if len(numbers) > 1 else 0
        most, after = _PRECISION[dialect]
        if dialect == "sqlite":
            return _sqlite_numeric(precision, scale, most)
        if dialect == "bigquery":
            return _bigquery_numeric(precision, scale)
        note = f"has {precision} digits in PostgreSQL and at most {most} here, {after} after the point"
        fits = precision <= most and scale <= min(precision, after)
        text = f"DECIMAL({min(precision, most)}, {max(0, min(scale, after, precision, most))})"
        return Mapped(text=text, kind="decimal", notes=() if fits else (note,))

    def _characters(self, name: str, numbers: list[int]) -> Mapped:
        dialect, size = self._target.name, numbers[0] if numbers else None
        if size is None:
            return Mapped(text=AS_TEXT[dialect], kind="text")
        padded = ("loses trailing spaces of its own in PostgreSQL and keeps them here",)
        notes = padded if name == "bpchar" else ()
        limit = f"LENGTH({{c}}) <= {size}"
        match dialect:
            case "mysql":
                if size > _MAX_ROW_TEXT:
                    return Mapped(text="LONGTEXT", kind="text", checks=(f"CHAR_{limit}",), notes=notes)
                return Mapped(text=f"VARCHAR({size})", kind="text", size=size, notes=notes)
            case "sqlite" | "duckdb":
                # Both read VARCHAR(n) and forget the n.
                return Mapped(text="TEXT", kind="text", size=size, checks=(limit,), notes=notes)
            case "spark":
                return Mapped(text=f"VARCHAR({size})", kind="text", size=size, notes=notes)
        word = "STRING" if dialect == "bigquery" else "VARCHAR"
        return Mapped(text=f"{word}({size})", kind="text", size=size, notes=notes)

    def _vector(self, made: Mapped, numbers: list[int]) -> Mapped:
        match self._target.name, numbers:
            case "duckdb", [size]:
                return replace(made, text=f"FLOAT[{size}]")
            case "duckdb", _:
                return replace(made, text="FLOAT[]", notes=(*made.notes, "is a list of any length"))
            case "snowflake", [size] if size <= 4096:
                return replace(made, text=f"VECTOR(FLOAT, {size})")
            case "snowflake", _:
                return replace(made, text="ARRAY", notes=("is an array: its dimensions are not checked",))
        return made

    def _less_precise(self, made: Mapped, found: TypeReference) -> Mapped:
        if made.kind in ("time", "timestamp", "timestamptz"):
            return self._fraction(made, found.modifiers)
        if found.modifiers:
            return replace(made, notes=(*made.notes, "has fields or a precision in PostgreSQL and none here"))
        return made

    def _fraction(self, made: Mapped, modifiers: tuple[str, ...]) -> Mapped:
        digits = modifiers[0] if modifiers else str(_MICROSECONDS)
        if "(6)" in made.text:
            return replace(made, text=made.text.replace("(6)", f"({digits})"))
        if digits == str(_MICROSECONDS):
            return made
        note = f"is rounded to {digits} digits of a second in PostgreSQL and not here"
        return replace(made, notes=(*made.notes, note))

    def _array(self, text: str, found: TypeReference) -> Mapped:
        dimensions = _dimensions(text)
        element = self.mapped(_BRACKETS.sub("", text) if _BRACKETS.search(text) else _before_array(text))
        losses = ("has elements that no domain or enum checks any more",) if element.domain_checks else ()
        dialect = self._target.name
        if dialect == "duckdb":
            notes = element.notes + (("has that number of dimensions only",) if dimensions > 1 else ())
            return Mapped(text=element.text + "[]" * dimensions, kind="array", notes=notes, losses=losses)
        if dialect == "spark" or (dialect == "bigquery" and dimensions == 1):
            made = element.text
            for _ in range(dimensions):
                made = f"ARRAY<{made}>"
            more = ("cannot hold NULL among its elements",) if dialect == "bigquery" else ()
            return Mapped(text=made, kind="array", notes=(*element.notes, *more), losses=losses)
        if dialect == "snowflake":
            return Mapped(
                text="ARRAY", kind="array", notes=("does not check its elements' type",), losses=losses
            )
        return self._json("array", losses)

    def _json(self, what: Kind, losses: tuple[str, ...]) -> Mapped:
        dialect = self._target.name
        note = f"is a JSON text of the {what}: the types inside are not checked"
        check = ("{c} IS NULL OR JSON_VALID({c})",) if dialect == "sqlite" else ()
        return Mapped(text=AS_JSON[dialect], kind=what, notes=(note,), losses=losses, checks=check)

    def _enum(self, own: Enum) -> Mapped:
        if not all(label.isprintable() for label in own.labels):
            hidden = (
                f"is text: a label of the enum {own.name} holds an invisible character, and none is checked"
            )
            return Mapped(text=AS_TEXT[self._target.name], kind="enum", losses=(hidden,))
        labels = ", ".join(self._string(label) for label in own.labels)
        match self._target.name:
            case "mysql" if not self._enum_problem(own):
                return Mapped(text=f"ENUM({labels})", kind="enum")
            case "duckdb" if not self._enum_problem(own):
                return Mapped(text=self._names.relation(own.name), kind="enum")
            case "mysql" | "sqlite" | "duckdb":
                text = f"VARCHAR({max(map(len, own.labels))})" if self._target.name == "mysql" else "TEXT"
                note = "is text with a check: it sorts by the alphabet, not in the enum's order"
                return Mapped(
                    text=text, kind="enum", notes=(note,), checks=(f"{{c}} IN ({_braced(labels)})",)
                )
        lost = f"is text: labels outside the enum {own.name} are not refused"
        return Mapped(text=AS_TEXT[self._target.name], kind="enum", losses=(lost,))

    def _enum_problem(self, own: Enum) -> bool:
        """Whether the target's own ENUM would read two labels as one, or cut one."""
        if self._target.name == "duckdb":
            return bool(self._names.problem(own.name.name)) or not own.labels
        return any(label != label.rstrip(" ") or "," in label for label in own.labels) or not own.labels

    def _string(self, value: str) -> str:
        return quote(value, self._target.name)

    def _domain(self, own: Domain) -> Mapped:
        base = self.mapped(own.base)
        own_checks = tuple((own.name.name, check) for check in own.checks)
        return replace(
            base,
            nullable=base.nullable and own.nullable,
            default=own.default if own.default is not None else base.default,
            domain_checks=base.domain_checks + own_checks,
        )

    def _composite(self, own: Composite) -> Mapped:
        parts = [(part.name, self.mapped(part.type)) for part in own.attributes]
        strict = any(part.domain_checks or part.losses or not part.nullable for _, part in parts)
        losses = ("has fields that no domain or enum checks any more",) if strict else ()
        writable = not any(self._names.problem(name) for name, _ in parts)
        match self._target.name:
            case "duckdb" if writable:
                text = ", ".join(f"{self._names.quoted(name)} {part.text}" for name, part in parts)
                return Mapped(
                    text=f"STRUCT({text})", kind="composite", notes=_of_fields(parts), losses=losses
                )
            case "bigquery" if writable:
                text = ", ".join(f"{self._names.quoted(name)} {part.text}" for name, part in parts)
                return Mapped(
                    text=f"STRUCT<{text}>", kind="composite", notes=_of_fields(parts), losses=losses
                )
            case "spark" if writable:
                text = ", ".join(f"{self._names.quoted(name)}: {part.text}" for name, part in parts)
                return Mapped(
                    text=f"STRUCT<{text}>", kind="composite", notes=_of_fields(parts), losses=losses
                )
            case "snowflake":
                note = "is an OBJECT: its fields and their types are not checked"
                return Mapped(text="OBJECT", kind="composite", notes=(note,), losses=losses)
        return self._json("composite", losses)


def _of_fields(parts: list[tuple[str, Mapped]]) -> tuple[str, ...]:
    return tuple(f"has a field `{name}` that {note}" for name, part in parts for note in part.notes)


def _sqlite_numeric(precision: int, scale: int, most: int) -> Mapped:
    limit = f"ABS({{c}}) < 1{'0' * max(0, precision - max(scale, 0))}"
    if scale <= 0 and precision <= most:
        return Mapped(text="INTEGER", kind="decimal", checks=(limit,))
    note = "is double precision: about 15 digits, and sums of it drift"
    return Mapped(text="REAL", kind="decimal", notes=(note,), checks=(f"{limit}.0",))


def _bigquery_numeric(precision: int, scale: int) -> Mapped:
    for word, after, before in (("NUMERIC", 9, 29), ("BIGNUMERIC", 38, 38)):
        if 0 <= scale <= after and max(1, scale) <= precision <= scale + before:
            return Mapped(text=f"{word}({precision}, {scale})", kind="decimal")
    note = f"has {precision} digits in PostgreSQL and at most 76 here, 38 after the point"
    return Mapped(text="BIGNUMERIC", kind="decimal", notes=(note,))


def _dimensions(text: str) -> int:
    brackets = _BRACKETS.search(text)
    return brackets[0].count("[") if brackets else 1


def _before_array(text: str) -> str:
    """The element of `integer ARRAY` and `integer ARRAY[3]`."""
    return re.sub(r"(?i)\s+array\s*\Z", "", text)


def _braced(text: str) -> str:
    """`text` safe for str.format, which puts the column's name in."""
    return text.replace("{", "{{").replace("}", "}}")


def conditions(mapped: Mapped, column: str) -> Iterator[str]:
    """Its checks, on the column of that quoted name."""
    for check in mapped.checks:
        yield check.format(c=column)

"""What every reader of a model spec shares: the document, the errors found so far, and how names resolve."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import postgast

from data_platform.model.database import Name
from data_platform.model.design import Mark
from data_platform.report.finding import Finding
from data_platform.spec.document import MAX_FINDINGS, Document, Path_, SpecProblem
from data_platform.spec.model import texts
from data_platform.spec.model.extensions import KNOWN_EXTENSIONS
from data_platform.spec.model.scalars import as_sql
from data_platform.spec.naming import Namer, parse_name
from data_platform.sql import phrases, statements, types
from data_platform.sql.text import SPACE, NotSql, check_identifier, expression, expression_tree, identifier


@dataclass
class Context:
    """One reading of one document. Readers add to `findings` and go on, so that all errors come out at once."""

    document: Document
    server_version: int
    default_schema: str
    extensions: Mapping[str, str | None]
    """Name → schema, None where the spec leaves it to the extension."""
    findings: list[Finding] = field(default_factory=list)
    marks: dict[Path_, Mark] = field(default_factory=dict)
    """Places of parts under names that the spec does not spell out, such as an index's."""
    imported: bool = False
    """The model describes a database that is there: what PostgreSQL accepts is accepted, wise or not."""
    types: dict[Name, Path_] = field(default_factory=dict)
    tables: dict[Name, Path_] = field(default_factory=dict)
    views: dict[Name, Path_] = field(default_factory=dict)
    """Materialized ones included."""
    functions: set[Name] = field(default_factory=set)
    collations: set[Name] = field(default_factory=set)
    schemas: set[str] = field(default_factory=set)
    has_raw: bool = False
    """There are objects without a form of their own: types and functions among them are not known by name."""
    relation_names: dict[str, Namer] = field(default_factory=dict)
    """By schema: tables, views, sequences, composite types and indexes share one namespace in PostgreSQL."""
    type_names: dict[str, Namer] = field(default_factory=dict)
    """By schema: types of all kinds, and tables and views, whose rows have types, share another."""

    def error(self, path: Path_, rule: str, message: str, fix: str | None = None) -> None:
        """Note an error at `path`."""
        self.findings.append(self.document.error(path, rule, message, fix))
        if len(self.findings) >= MAX_FINDINGS:
            self.raise_findings()

    def raise_findings(self) -> None:
        """SpecProblem with the errors so far, if there are any."""
        if self.findings:
            raise SpecProblem(
                tuple(sorted(self.findings, key=lambda f: (f.line or 0, f.column or 0, f.message)))
            )

    def namer(self, schema: str) -> Namer:
        """The names that relations of `schema` have taken."""
        return self.relation_names.setdefault(schema, Namer())

    def type_namer(self, schema: str) -> Namer:
        """The names that types of `schema` have taken."""
        return self.type_names.setdefault(schema, Namer())

    def name(self, text: str, path: Path_, schema: str | None = None) -> Name | None:
        """`text` as a qualified name; one without a schema is in `schema`, or the default one."""
        try:
            return parse_name(text, schema or self.default_schema)
        except NotSql as problem:
            self.error(path, "spec-name", f"{problem}", "a name of 1 to 63 bytes")
            return None

    def identifier(self, text: str, path: Path_) -> bool:
        """Whether `text` can be a name; notes an error if not."""
        return (
            self._attempt(lambda: check_identifier(text), path, "spec-name", "a name of 1 to 63 bytes")
            is not _FAILED
        )

    def expression(self, value: Any, path: Path_, columns: Collection[str] | None) -> str:
        """`value` as one SQL expression over `columns` (None: not checked); the text stays as written."""
        text = as_sql(value)
        for parts in self._columns_of(text, path):
            if columns is not None:
                self.known_column(parts[-1], columns, path)
        return text.strip(SPACE)

    def constant(self, value: Any, path: Path_) -> str:
        """`value` as the expression of a default: it cannot refer to columns."""
        text = as_sql(value)
        for parts in self._columns_of(text, path):
            message = f"`{'.'.join(parts)}` would be a column, and a default cannot refer to one"
            self.error(path, "spec-default-column", message, f"\"'{parts[-1]}'\" if it is meant as text")
        return text.strip(SPACE)

    def _columns_of(self, text: str, path: Path_) -> list[tuple[str, ...]]:
        """The columns that an expression refers to; notes an error if `text` is none."""
        fix = "write one PostgreSQL expression; a text constant needs its own quotes: \"'new'\""
        check = phrases.anything_or_deep if self.imported else expression
        if self._attempt(lambda: check(text), path, "spec-expression", fix) is _FAILED:
            return []
        tree = parse_tree(text)
        return list(statements.column_references(tree)) if tree is not None else []

    def text(self, kind: str, value: Any, path: Path_, columns: Collection[str] | None) -> str:
        """`value` as a text of the kind that a field's annotation names."""
        match kind:
            case "identifier":
                self.identifier(value, path)
                return str(value)
            case "expression":
                return self.expression(value, path, columns)
            case "constant":
                return self.constant(value, path)
            case "type":
                return self.type(value, path)
            case "collation":
                return self.collation(value, path)
            case "dotted":
                for part in value.split("."):
                    self.identifier(part, path)
                return str(value)
            case "source":
                return str(value)
        return self._checked(_CHECKS[kind], as_sql(value), path)

    def _checked(self, check: Callable[[str], str], text: str, path: Path_) -> str:
        made = self._attempt(lambda: check(text), path, "spec-sql", "write it as in PostgreSQL's own DDL")
        return text if made is _FAILED else str(made)

    def collation(self, text: str, path: Path_) -> str:
        """A collation's name; one of the model's own gets its schema, and stands as `schema."name"`."""
        if not text.endswith('"'):
            self.identifier(text, path)
            own = Name(self.default_schema, text)
            return _collation_text(own) if own in self.collations else text
        self.name(text, path)
        return text

    def known_column(self, name: str, columns: Collection[str], path: Path_) -> bool:
        """Whether `name` is one of `columns`; notes an error with the nearest name if not."""
        if name in columns:
            return True
        self.error(
            path,
            "spec-unknown-column",
            f"no column `{name}` in this table{_among(columns)}",
            near(name, columns) or "add it",
        )
        return False

    def known_columns(self, names: Iterable[str], columns: Collection[str], path: Path_) -> bool:
        """`known_column` for a list of names in the spec."""
        return all([self.known_column(name, columns, (*path, str(i))) for i, name in enumerate(names)])

    def type(self, text: str, path: Path_) -> str:
        """`text` as a type; one of the model's own types gets its schema when that is not public."""
        try:
            reference = types.reference(text)
        except NotSql as problem:
            self.error(
                path,
                "spec-type",
                f"`{text}` is not a type: {problem}",
                "such as text, bigint or numeric(12, 2)",
            )
            return text
        if reference.name in types.SERIAL:
            self.error(
                path,
                "spec-type",
                f"`{text}` is not a type but a sequence default",
                "type: bigint, identity: always",
            )
            return text
        if reference.schema is not None:
            own = (
                self._is_type(Name(reference.schema, reference.name))
                or reference.schema in self._foreign_schemas()
            )
            if not own:
                self._unknown_type(text, path)
            return text.strip()
        if reference.name in types.BUILT_IN:
            return text.strip()
        for extension, schema in self.extensions.items():
            if reference.name in types.OF_EXTENSIONS.get(extension, ()):
                return text.strip() if schema in (None, "public") else str(types.with_schema(text, schema))
        for schema in (self.default_schema, "public"):
            if self._is_type(Name(schema, reference.name)):
                return text.strip() if schema == "public" else str(types.with_schema(text, schema))
        if not (self.has_unknown_extensions or self.has_raw):
            self._unknown_type(text, path)
        return text.strip()

    def _is_type(self, name: Name) -> bool:
        """Whether the model has a type of that name; the rows of a table or a view have one."""
        return name in self.types or name in self.tables or name in self.views

    def known_function(self, name: Name, path: Path_) -> None:
        """Note an error if no function of that name can be there."""
        elsewhere = self.extensions or self.has_raw or name.schema in ("pg_catalog", "information_schema")
        if name not in self.functions and not elsewhere:
            message = f"no function `{name}` in this model"
            fix = near(name.name, [known.name for known in self.functions]) or "add it under `functions:`"
            self.error(path, "spec-unknown-function", message, fix)

    def needs_version(self, version: int, what: str, path: Path_) -> None:
        """Note an error if the spec's server is older than `version`."""
        if self.server_version < version:
            message = f"{what} needs PostgreSQL {version}; `server_version` is {self.server_version}"
            self.error(path, "spec-server-version", message, f"server_version: {version}, or do without")

    def _extension_types(self) -> set[str]:
        return {name for extension in self.extensions for name in types.OF_EXTENSIONS.get(extension, ())}

    @property
    def has_unknown_extensions(self) -> bool:
        """Whether an extension is listed whose types and index methods we do not know."""
        return bool(self.extensions.keys() - KNOWN_EXTENSIONS)

    def _foreign_schemas(self) -> set[str]:
        # A type of an extension that we have no list for may live in any schema but ours.
        everywhere = {"pg_catalog", "information_schema"}
        if self.has_raw or self.has_unknown_extensions:
            return everywhere | self.schemas | {"public"}
        if self._extension_types():
            return everywhere | {schema or "public" for schema in self.extensions.values()}
        return everywhere

    def _unknown_type(self, text: str, path: Path_) -> None:
        for extension, names in types.OF_EXTENSIONS.items():
            if types.reference(text).name in names:
                message = (
                    f"the type `{text}` comes with the extension {extension}, which the spec does not list"
                )
                self.error(path, "spec-type", message, f"extensions: [{extension}]")
                return
        own = [name.name for name in self.types]
        message = f"unknown type `{text}`; expected a PostgreSQL type or one under `types:`{_among(own)}"
        nearest = near(text.lower(), [*own, *types.BUILT_IN, *self._extension_types(), *_COMMON_NAMES])
        self.error(path, "spec-type", message, nearest or "declare it under `types:`")

    def _attempt(self, check: Callable[[], object], path: Path_, rule: str, fix: str | None = None) -> object:
        try:
            return check()
        except NotSql as problem:
            at = f" (at character {problem.offset + 1})" if problem.offset is not None else ""
            self.error(path, rule, f"{problem}{at}", fix)
            return _FAILED


_FAILED = object()

_CHECKS: Mapping[str, Callable[[str], str]] = {
    "query": texts.query,
    "script": texts.script,
    "rule": texts.rule,
    "condition": texts.condition,
    "bound": texts.bound,
    "sql body": texts.sql_body,
}
"""What a kind of text must be, for kinds that need nothing but the text."""

_COMMON_NAMES = ("integer", "bigint", "smallint", "boolean", "varchar", "decimal", "double precision", "real")


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`."""
    matches = difflib.get_close_matches(name, sorted(set(known)), 1, 0.5)
    return matches[0] if matches else None


def _among(names: Collection[str]) -> str:
    shown = sorted(names)[:12]
    return f" ({', '.join(shown)}{', …' if len(names) > len(shown) else ''})" if shown else ""


def _collation_text(name: Name) -> str:
    """As a model holds it: the schema as an identifier, the name in double quotes."""
    quoted = name.name.replace('"', '""')
    return f'{identifier(name.schema)}."{quoted}"'


def parse_tree(text: str) -> postgast.pg_query_pb2.Node | None:
    """The tree of an expression, or None if it is too deep to look into, or has been reported as wrong already."""
    try:
        return expression_tree(text)
    except NotSql:
        return None

"""What the policies of a database say about tenants: which settings they read, and which column each is compared with.

Read from the server's own print of the policies, and from the bodies of the functions that they call. No server here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import postgast
from postgast import pg_query_pb2 as pb

from data_platform.model.database import Database, Function, Name, Policy, Table
from data_platform.sql.text import NotSql, expression_tree, tokens_of

_READ = "current_setting"


@dataclass(frozen=True, order=True)
class Compared:
    """A column that policies compare with a setting."""

    column: str
    setting: str


@dataclass(frozen=True)
class Guarded:
    """A table whose policies read settings. `compared` is empty where they look the tenant up in another table."""

    table: Table
    settings: tuple[str, ...]
    compared: tuple[Compared, ...]
    policies: tuple[Policy, ...]
    """Those that read a setting."""

    def means(self, applying: Collection[str]) -> bool:
        """Whether a role to which these policies apply is a tenant's: one of them reads a setting, and none that is
        meant for certain roles lets it see more."""
        mine = [policy for policy in self.table.policies if policy.name in applying]
        reading = [policy for policy in mine if policy in self.policies]
        bound = any(not policy.permissive for policy in reading)
        free = any(p.permissive and p not in self.policies and "public" not in p.roles for p in mine)
        return bool(reading) and any(policy.permissive for policy in mine) and (bound or not free)


@dataclass(frozen=True)
class Tenancy:
    """All guarded tables, and the texts that stand beside a setting: keys, where it holds a JSON object."""

    guarded: tuple[Guarded, ...]
    json_keys: tuple[str, ...]

    @property
    def main(self) -> Compared | None:
        """The comparison that most tables have: the one that tells tenants apart."""
        counts = Counter(compared for guard in self.guarded for compared in guard.compared)
        return min(counts, key=lambda compared: (-counts[compared], compared)) if counts else None

    def first(self, guard: Guarded) -> Compared | None:
        """A table's own comparison with the main setting, or whichever it has."""
        main = self.main
        ordered = sorted(
            guard.compared, key=lambda c: (c != main, main is None or c.setting != main.setting, c)
        )
        return ordered[0] if ordered else None

    def forgotten(self, database: Database) -> Iterator[Table]:
        """Tables with a column that tells tenants apart elsewhere, but without row-level security."""
        guarded = {guard.table.name for guard in self.guarded}
        names = self._telling(None)
        for table in database.tables:
            has = any((column.name, column.type) in names for column in table.columns)
            if has and table.holds_rows and table.name not in guarded and table.row_security == "off":
                yield table

    def tenant_column(self, table: Table) -> str | None:
        """The column that says whose a row is: that of the table's policies, else one like that of other tables."""
        main = self.main
        if main is None:
            return None
        guard = next((guard for guard in self.guarded if guard.table.name == table.name), None)
        first = self.first(guard) if guard else None
        if first is not None:
            return first.column if first.setting == main.setting else None
        names = self._telling(main.setting) if guard is None else set()
        return next((c.name for c in table.columns if (c.name, c.type) in names), None)

    def _telling(self, setting: str | None) -> set[tuple[str, str]]:
        """Names and types of the columns that are compared with the setting, or with any; not a table's own key."""
        return {
            (compared.column, guard.table.column(compared.column).type)
            for guard in self.guarded
            for compared in guard.compared
            if not _is_key(guard.table, compared.column) and setting in (None, compared.setting)
        }


def tenancy(database: Database) -> Tenancy:
    """What the policies of all tables say together."""
    functions = by_name(database.functions)
    guarded = tuple(
        guard
        for table in database.tables
        if table.policies and table.holds_rows and (guard := _guarded(table, functions)) is not None
    )
    texts = [text for guard in guarded for policy in guard.policies for text in _texts(policy)]
    bodies = [function.body or function.sql_body or "" for function in database.functions]
    keys = dict.fromkeys(key for text in (*texts, *bodies) if guarded for key in _json_keys(text))
    return Tenancy(guarded, tuple(keys))


def _guarded(table: Table, functions: Mapping[str, Sequence[Function]]) -> Guarded | None:
    reading = tuple(p for p in table.policies if any(settings_in(text, functions) for text in _texts(p)))
    if not reading or table.row_security == "off":
        return None
    texts = [text for policy in reading for text in _texts(policy)]
    settings = dict.fromkeys(name for text in texts for name in settings_in(text, functions))
    compared = dict.fromkeys(pair for text in texts for pair in _comparisons(text, table, functions))
    return Guarded(table, tuple(settings), tuple(compared), reading)


def _texts(policy: Policy) -> tuple[str, ...]:
    return tuple(text for text in (policy.using, policy.with_check) if text is not None)


def by_name(functions: Sequence[Function]) -> Mapping[str, Sequence[Function]]:
    """Functions by their name without a schema."""
    found: dict[str, list[Function]] = {}
    for function in functions:
        found.setdefault(function.name.name, []).append(function)
    return found


def _is_key(table: Table, column: str) -> bool:
    return table.primary_key is not None and table.primary_key.columns == (column,)


# --- settings that a text reads ---


def settings_in(
    text: str, functions: Mapping[str, Sequence[Function]], seen: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The names in `current_setting('name', …)`, there and in the functions called, in whatever language."""
    words = words_of(text)
    found: dict[str, None] = {}
    for place, word in enumerate(words[:-2]):
        name = word.strip('"').lower()
        if words[place + 1] != "(":
            continue
        if name == _READ and words[place + 2].startswith("'"):
            found[_unquoted(words[place + 2])] = None
        for function in functions.get(word.strip('"'), ()) if word not in seen else ():
            body = function.body or function.sql_body or ""
            found |= dict.fromkeys(settings_in(body, functions, seen | {word}))
    return tuple(found)


def words_of(text: str) -> list[str]:
    """The tokens of a text in SQL or PL/pgSQL; none where it is neither."""
    try:
        raw, tokens = tokens_of(text)
    except NotSql:
        return []
    return [raw[token.start : token.end].decode() for token in tokens]


def _unquoted(word: str) -> str:
    return word[1:-1].replace("''", "'")


def _json_keys(text: str) -> Iterator[str]:
    words = words_of(text)
    for operator, key in pairwise(words):
        if operator == "->>" and key.startswith("'"):
            yield _unquoted(key)


# --- comparisons ---


def _comparisons(text: str, table: Table, functions: Mapping[str, Sequence[Function]]) -> Iterator[Compared]:
    try:
        tree = expression_tree(text)
    except NotSql:
        return
    known = {column.name for column in table.columns}
    for node in postgast.find_nodes(tree, pb.A_Expr):
        if [part.string.sval for part in node.name] != ["="]:
            continue
        for side, other in ((node.lexpr, node.rexpr), (node.rexpr, node.lexpr)):
            column = _column(side, table.name)
            if column in known:
                yield from (Compared(str(column), setting) for setting in _settings_of(other, functions))


def _column(node: pb.Node, table: Name) -> str | None:
    """The column of that very table which a side of a comparison is, casts aside."""
    while node.HasField("type_cast"):
        node = node.type_cast.arg
    if not node.HasField("column_ref"):
        return None
    *qualifier, name = (part.string.sval for part in node.column_ref.fields)
    return name if not qualifier or qualifier[-1] == table.name else None


def _settings_of(node: pb.Node, functions: Mapping[str, Sequence[Function]]) -> Iterator[str]:
    for call in postgast.find_nodes(node, pb.FuncCall):
        name = call.funcname[-1].string.sval
        if name == _READ and call.args and call.args[0].WhichOneof("node") is not None:
            yield from (
                part.sval.sval for part in postgast.find_nodes(call.args[0], pb.A_Const) if part.sval.sval
            )
        for function in functions.get(name, ()):
            body = function.body or function.sql_body or ""
            yield from settings_in(body, functions, frozenset({name}))

"""What a table of a change stream was like, and what it means that it is like something else now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data_platform.errors import UsageProblem
from data_platform.pipeline.plan import Chain
from data_platform.postgres.replication import slots
from data_platform.postgres.replication.decoding import Table
from data_platform.spec.pipeline import Drift, Pipeline, Source
from data_platform.sql.text import Sql

Types = Mapping[str, tuple[int, int]]
"""Of each column the oid of its type, and the modifier."""
_RESNAPSHOT = "dpe pipeline run --resnapshot"


@dataclass(frozen=True)
class Known:
    """A table as it was when it was last seen. `read` are the columns that go to the target, with types there."""

    table: str
    oid: int
    types: Types
    read: Mapping[str, Sql]

    @classmethod
    def first(cls, source: Source, oid: int, columns: Mapping[str, tuple[str, int, int]]) -> Known:
        """Of a source as the catalog describes it. UsageProblem for a column that is declared and not there."""
        missing = [name for name in source.columns if name not in columns]
        if missing:
            raise UsageProblem(
                f"{source.table} does not have {', '.join(missing)}",
                expected=f"of these: {', '.join(columns)}",
            )
        wanted = source.columns or {name: Sql(type_) for name, (type_, _, _) in columns.items()}
        types = {name: (type_oid, modifier) for name, (_, type_oid, modifier) in columns.items()}
        return cls(str(source.table), oid, types, dict(wanted))

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Known:
        """From a checkpoint."""
        types = {name: (type_oid, modifier) for name, (type_oid, modifier) in kept["types"].items()}
        return cls(kept["table"], kept["oid"], types, {name: Sql(t) for name, t in kept["read"].items()})

    def kept(self) -> dict[str, Any]:
        """For a checkpoint."""
        types = {name: list(one) for name, one in self.types.items()}
        return {"table": self.table, "oid": self.oid, "types": types, "read": dict(self.read)}


def types_of(table: Table) -> Types:
    """The columns of a message."""
    return {column.name: (column.type_oid, column.modifier) for column in table.columns}


def refusal(
    spec: Pipeline, found: Sequence[Chain], tables: Mapping[str, Known], table: Table
) -> UsageProblem | None:
    """Why nothing behind this description may be applied; None where it may."""
    name = f"{table.schema}.{table.name}"
    source = next((n for n, known in tables.items() if known.oid == table.oid), None)
    if source is None:
        again = next((known for known in tables.values() if known.table == name), None)
        if again is None:
            return None  # published for somebody else
        return UsageProblem(f"{name} was dropped and made again", where=spec.file, try_=_RESNAPSHOT)
    known = tables[source]
    if known.table != name:
        return UsageProblem(
            f"{known.table} is called {name} now", where=spec.file, try_=f"table: {name}, then {_RESNAPSHOT}"
        )
    keys = {column.name for column in table.columns if column.is_key}
    for chain in found:
        if chain.sources[0].name == source:
            wanted = set(chain.target.key)
            if not (wanted <= keys if table.identity == "f" else wanted == keys):
                return UsageProblem(
                    f"the replica identity of {name} is ({', '.join(sorted(keys))}) now, the target's key is"
                    f" ({', '.join(chain.target.key)})",
                    where=spec.file,
                    try_=f"the same columns, then {_RESNAPSHOT}",
                )
    told = _differences(known, spec.source(source), types_of(table)) if spec.drift == "freeze" else ""
    if told:
        return UsageProblem(
            f"the source `{source}` has drifted: {told}",
            where=name,
            expected=f"these columns: {', '.join(known.types)}",
            try_="change the target, then `drift: evolve` or `drift: ignore`, or --resnapshot",
        )
    return None


def _differences(known: Known, source: Source | None, now: Types) -> str:
    """What changed that the spec does not say, as a part of a sentence; empty where nothing did."""
    declared = source.columns if source else {}
    added = [name for name in now if name not in known.types and name not in declared]
    gone = [name for name in known.types if name not in now and (not declared or name in declared)]
    other = [name for name, type_ in now.items() if known.types.get(name, type_) != type_]
    told = [f"it has {', '.join(added)} now"] if added else []
    told += [f"it has no {', '.join(gone)} any more"] if gone else []
    told += [f"the type of {', '.join(other)} is another one"] if other else []
    return "; ".join(told)


def taken_over(known: Known, source: Source, table: Table, drift: Drift, conninfo: str) -> Known:
    """What is known from now on: with `evolve` new columns are read, and so are those that the spec declares."""
    now = types_of(table)
    if now == known.types:
        return known
    added = [name for name in now if name not in known.types]
    read = dict(known.read)
    wanted = [name for name in added if name not in read and (drift == "evolve" or name in source.columns)]
    if wanted:
        texts = slots.types_named(conninfo, [now[name] for name in wanted])
        read |= {name: source.columns.get(name, Sql(text)) for name, text in zip(wanted, texts, strict=True)}
    return replace(known, types=now, read=read)

"""Lineage for a program, as a picture in Mermaid, and what could not be told as findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from data_platform.pipeline.lineage_select import TargetLineage
from data_platform.report.finding import Finding
from data_platform.spec.pipeline import Pipeline

_SHOWN = 60


def result(spec: Pipeline, found: Sequence[TargetLineage]) -> dict[str, Any]:
    """The `result` of the JSON envelope."""
    return {
        "pipeline": spec.name,
        "store": spec.store,
        "pattern": spec.pattern,
        "targets": [
            {
                "table": one.table,
                "from": one.source,
                "columns": [
                    {
                        "column": column.name,
                        "sources": [asdict(origin) for origin in column.origins],
                        "expressions": list(column.expressions),
                        "unresolved": list(column.unresolved),
                    }
                    for column in one.columns
                ],
                "unresolved": list(one.unresolved),
            }
            for one in found
        ],
    }


def findings_of(spec: Pipeline, found: Sequence[TargetLineage]) -> tuple[Finding, ...]:
    """What could not be told, once each."""
    return tuple(_unresolved(spec, found))


def _unresolved(spec: Pipeline, found: Sequence[TargetLineage]) -> Iterator[Finding]:
    for one in found:
        told = [(one.table, message) for message in one.unresolved]
        told += [(f"{one.table}.{c.name}", message) for c in one.columns for message in c.unresolved]
        for name, message in dict.fromkeys(told):
            yield Finding(
                rule="lineage-unresolved",
                severity="warning",
                message=message,
                evidence="parsed",
                file=spec.file,
                object=name,
                fix="columns: in the source, and names instead of *",
            )


def mermaid(found: Sequence[TargetLineage]) -> str:
    """A flowchart: relations as boxes of columns; a dotted arrow where a value is not the same on the other side."""
    sources: dict[str, list[str]] = {}
    for one in found:
        for column in one.columns:
            for origin in column.origins:
                names = sources.setdefault(origin.relation, [])
                if origin.column not in names:
                    names.append(origin.column)
    place = {
        (table, name): f"s{i}_{j}"
        for i, (table, names) in enumerate(sources.items())
        for j, name in enumerate(names)
    }
    lines = ["flowchart LR"]
    for number, (table, names) in enumerate(sources.items()):
        lines += _box(f"s{number}", table, [(place[table, name], name) for name in names])
    for number, one in enumerate(found):
        nodes = [(f"t{number}_{i}", column.name) for i, column in enumerate(one.columns)]
        nodes += [(f"t{number}_u{i}", f"? {message}") for i, message in enumerate(one.unresolved)]
        lines += _box(f"t{number}", one.table, nodes)
    for number, one in enumerate(found):
        for i, column in enumerate(one.columns):
            for origin in column.origins:
                by = column.expressions[-1].partition(": ")[2] if column.expressions else ""
                arrow = "-->" if origin.how == "identity" else "-.->"
                label = f'|"{_text(by)}"|' if by and origin.how != "identity" else ""
                lines.append(f"  {place[origin.relation, origin.column]} {arrow}{label} t{number}_{i}")
            for j, message in enumerate(column.unresolved):
                lines += [f'  t{number}_{i}_u{j}["? {_text(message)}"] -.-> t{number}_{i}']
    return "\n".join(lines) + "\n"


def _box(identity: str, title: str, nodes: Sequence[tuple[str, str]]) -> list[str]:
    inside = [f'    {node}["{_text(name)}"]' for node, name in nodes]
    return [f'  subgraph {identity}["{_text(title)}"]', *inside, "  end"]


def _text(text: str) -> str:
    """Within quotes of Mermaid, on one line and not too long."""
    line = " ".join(text.split())
    line = line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
    for sign, name in (("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;")):
        line = line.replace(sign, name)
    return line

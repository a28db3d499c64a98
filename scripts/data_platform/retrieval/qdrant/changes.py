"""From what a Qdrant server has to what a spec asks for, as calls of its REST interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_platform.qdrant.calls import Call, Server, path_of
from data_platform.retrieval.design import Design
from data_platform.retrieval.qdrant.collection import alias_swap, collection, differences, payload_indexes
from data_platform.spec.retrieval import Retrieval


@dataclass(frozen=True)
class Change:
    """The calls, the collection that they lead to, and what forced a new one."""

    calls: tuple[Call, ...]
    to: str
    because: tuple[str, ...] = ()


def change(spec: Retrieval, made: Design, server: Server) -> Change:
    """A collection behind the alias `name`: what can be changed is, else a new one is made beside.

    A new collection is empty: the alias is switched once it is loaded (`dpe qdrant alias`), at once only where there is
    nothing to lose.
    """
    current = server.current(spec.name)
    wanted = collection(spec, made)
    if current is None:
        to = _free(spec.name, server)
        return Change((*_made(to, spec, wanted), _switched(spec.name, to, existing=False)), to)
    config = server.collections[current]
    reasons = tuple(differences(wanted, config.get("params", {})))
    if reasons:
        to = _free(spec.name, server)
        return Change(_made(to, spec, wanted), to, reasons)
    return Change(tuple(_mended(current, spec, wanted, config)), current)


def _free(name: str, server: Server) -> str:
    number = 1
    while f"{name}_v{number}" in server.collections:
        number += 1
    return f"{name}_v{number}"


def _made(to: str, spec: Retrieval, wanted: Mapping[str, Any]) -> tuple[Call, ...]:
    indexes = payload_indexes(spec).values()
    return (
        Call("PUT", path_of(to), wanted, "the collection"),
        *(
            Call("PUT", path_of(to, "/index?wait=true"), one, f"filters by {one['field_name']}")
            for one in indexes
        ),
    )


def _switched(alias: str, to: str, *, existing: bool) -> Call:
    return Call(
        "POST",
        "/collections/aliases",
        alias_swap(alias, to, existing=existing),
        "applications name the alias",
    )


def _mended(
    current: str, spec: Retrieval, wanted: Mapping[str, Any], config: Mapping[str, Any]
) -> list[Call]:
    calls = []
    hnsw = {k: v for k, v in wanted["hnsw_config"].items() if config.get("hnsw_config", {}).get(k) != v}
    if hnsw:
        calls.append(
            Call("PATCH", path_of(current), {"hnsw_config": hnsw}, "the graph is built again beside")
        )
    quantization = wanted.get("quantization_config")
    if quantization and not config.get("quantization_config"):
        body = {"quantization_config": quantization}
        calls.append(Call("PATCH", path_of(current), body, "quantized beside, searches go on"))
    there = config.get("payload_schema", {})
    calls += [
        Call("PUT", path_of(current, "/index?wait=true"), body, f"filters by {name}")
        for name, body in payload_indexes(spec).items()
        if name not in there
    ]
    return calls

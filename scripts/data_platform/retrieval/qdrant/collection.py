"""A retrieval spec as a Qdrant collection: bodies of its REST interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_platform.retrieval.design import Design
from data_platform.spec.retrieval import GIB, Retrieval

DISTANCES = {"cosine": "Cosine", "l2": "Euclid", "ip": "Dot"}
_SCHEMAS = {
    "text": "keyword",
    "integer": "integer",
    "bigint": "integer",
    "smallint": "integer",
    "boolean": "bool",
    "date": "datetime",
    "timestamptz": "datetime",
    "uuid": "uuid",
    "real": "float",
    "numeric": "float",
}
VECTOR, WORDS = "content", "words"
"""Names of the vectors of a point: by meaning, and sparse by words."""
_POINT_OVERHEAD = 1.5
"""Qdrant's own rule: memory = vectors × 1.5, for graph, ids and what is being optimised."""
_SHARE = 0.6


@dataclass(frozen=True)
class Sizes:
    """What the collection takes, and how it is spread."""

    memory_bytes: int
    quantized_bytes: int
    nodes: int


def sizes(spec: Retrieval) -> Sizes:
    """In memory with full vectors, with quantized ones, and on how many nodes of the spec's memory."""
    rows, model = spec.needs.rows_in_a_year, spec.model
    # Of a sparse vector each place and its number, which are not quantized.
    full = round(rows * (8 * model.non_zero if model.non_zero else 4 * model.dimensions) * _POINT_OVERHEAD)
    small = full if model.non_zero else round(rows * model.dimensions * _POINT_OVERHEAD)
    room = spec.needs.memory_bytes * _SHARE
    return Sizes(full, small, max(1, -(-small // round(room)) if full > room else 1))


def collection(spec: Retrieval, made: Design) -> dict[str, Any]:
    """The body of PUT /collections/NAME."""
    size = sizes(spec)
    sparse = spec.model.non_zero is not None
    quantized = not sparse and size.memory_bytes > spec.needs.memory_bytes * _SHARE
    dense = {
        "size": spec.model.dimensions,
        "distance": DISTANCES[spec.model.distance],
        "on_disk": quantized,
    }
    body: dict[str, Any] = {
        "vectors": {} if sparse else {VECTOR: dense},
        "hnsw_config": {"m": made.index.m, "ef_construct": max(100, made.index.ef_construction)},
        "shard_number": size.nodes,
        "replication_factor": 2 if size.nodes > 1 else 1,
        "write_consistency_factor": 1,
        "on_disk_payload": spec.needs.memory_bytes < 64 * GIB,
    }
    if spec.tenants:
        # One graph for each tenant and none over all: searches are always for one.
        body["hnsw_config"] |= {"payload_m": made.index.m, "m": 0}
    if sparse or spec.hybrid:
        words = {WORDS: {"modifier": "idf"}} if spec.hybrid else {}
        body["sparse_vectors"] = {**({VECTOR: {}} if sparse else {}), **words}
    if quantized:
        body["quantization_config"] = {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}}
    return body


def payload_indexes(spec: Retrieval) -> dict[str, dict[str, Any]]:
    """Field → the body of PUT /collections/NAME/index, before any point is there: the graph then has links for them."""
    found: dict[str, dict[str, Any]] = {}
    if spec.tenants:
        kind = "uuid" if spec.tenants.type == "uuid" else "keyword"
        found[spec.tenants.column] = {
            "field_name": spec.tenants.column,
            "field_schema": {"type": kind, "is_tenant": True},
        }
    for one in spec.filters:
        kind = _SCHEMAS.get(one.type.rstrip("[]").split("(")[0].strip(), "keyword")
        found[one.name] = {"field_name": one.name, "field_schema": kind}
    return found


def alias_swap(alias: str, to: str, *, existing: bool) -> dict[str, Any]:
    """The body of POST /collections/aliases: both in one step, so that no search finds nothing."""
    away = [{"delete_alias": {"alias_name": alias}}] if existing else []
    return {"actions": [*away, {"create_alias": {"collection_name": to, "alias_name": alias}}]}


def differences(wanted: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """What cannot be changed in place: vectors' size or distance, sparse vectors, the number of shards."""
    told = []
    vectors = params.get("vectors") or {}
    for name, body in wanted["vectors"].items():
        own = vectors.get(name) or {}
        told += [
            f"{name}.{key}: {own.get(key)!r} is to be {body[key]!r}"
            for key in ("size", "distance")
            if own.get(key) != body[key]
        ]
    if set(wanted.get("sparse_vectors", {})) - set(params.get("sparse_vectors") or {}):
        told.append("sparse vectors are missing")
    if params.get("shard_number", 1) != wanted["shard_number"]:
        told.append(f"shard_number: {params.get('shard_number', 1)} is to be {wanted['shard_number']}")
    return told

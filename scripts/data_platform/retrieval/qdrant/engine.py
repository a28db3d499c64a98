"""The collection on Qdrant's engine in this process: does it find what an exact search does, with filters, quantized?

The vectors are made up around centres, as embeddings lie; the figures tell that the configuration works, not what
recall the user's vectors have. Aliases, shards and replicas are the server's, and are not in the engine.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_platform.errors import EnvironmentProblem
from data_platform.retrieval.embedding.models import normalised
from data_platform.retrieval.exact import Matrix, distances, nearest
from data_platform.retrieval.qdrant.collection import VECTOR
from data_platform.spec.retrieval import Model, Retrieval

QUERIES, K = 30, 10
_BYTES = 16_000_000
"""Of vectors: below 10 MB, its default full_scan_threshold, the engine makes no graph."""
_MOST_ROWS = 20_000
"""Of short vectors 16 MB are millions: so many are enough, with thresholds that are as much of them."""
SHARES = (0.2, 0.05, 0.01, 0.001)
_WIDEST = 4_000
"""Dimensions of what is made up, whatever the sparse ones of the spec have."""


@dataclass(frozen=True)
class Found:
    """Recall against an exact search, and the fewest rows of K that came."""

    share: float
    recall: float
    rows: int
    wanted: int


def tried(spec: Retrieval, body: dict[str, Any], *, seed: int = 1) -> tuple[Found, ...]:
    """Without a filter (share 1), and with filters of several shares. EnvironmentProblem without the engine."""
    try:
        import qdrant_edge as edge  # noqa: PLC0415
    except ImportError:
        raise EnvironmentProblem(
            "no Qdrant engine to try it on", expected="qdrant-edge-py", try_="dpe setup --extra qdrant"
        ) from None
    model = spec.model
    rows = min(_MOST_ROWS, max(2_000, _BYTES // (4 * min(model.dimensions, _WIDEST))))
    values, parts = _made_up(rows, min(model.dimensions, _WIDEST), seed)
    if model.non_zero:
        values = _thinned(values, model)
    with tempfile.TemporaryDirectory() as folder:
        shard = edge.EdgeShard.create(str(Path(folder)), _config(edge, spec, body, rows))
        try:
            _fill(edge, shard, values, parts, sparse=model.non_zero is not None)
            asked = _params(edge, body)
            return tuple(_asked(edge, shard, spec, values, parts, share, asked) for share in (1.0, *SHARES))
        finally:
            shard.close()


def _made_up(rows: int, width: int, seed: int) -> tuple[Matrix, Any]:
    drawn = np.random.default_rng(seed)
    centres = drawn.normal(size=(50, width))
    values = centres[drawn.integers(0, 50, rows)] + 0.5 * drawn.normal(size=(rows, width))
    return values.astype(np.float32), drawn.permutation(rows) * 1000 // rows


def _thinned(values: Matrix, model: Model) -> Matrix:
    """All but the largest numbers of each vector are zero, as many as the spec says are not."""
    most = min(model.non_zero or 0, values.shape[1])
    least = np.partition(values, -most, axis=1)[:, -most][:, None]
    thin = np.where(values >= least, np.abs(values), 0).astype(np.float32)
    thin[:, 0] = 0.1  # what has no place in common with the query is not found at all
    return thin if model.distance == "ip" else normalised(thin)


def _as_query(edge: Any, vector: Any, *, sparse: bool) -> Any:
    if not sparse:
        return vector.tolist()
    places = np.flatnonzero(vector)
    return edge.SparseVector(places.tolist(), vector[places].tolist())


def _config(edge: Any, spec: Retrieval, body: dict[str, Any], rows: int) -> Any:
    share = min(1.0, rows * spec.model.dimensions * 4 / _BYTES)
    hnsw = body["hnsw_config"]
    distance = {"cosine": edge.Distance.Cosine, "l2": edge.Distance.Euclid, "ip": edge.Distance.Dot}
    quantized = body.get("quantization_config", {}).get("scalar")
    kind = edge.EdgeVectorParams(size=spec.model.dimensions, distance=distance[spec.model.distance])
    sparse = spec.model.non_zero is not None
    return edge.EdgeConfig(
        vectors={} if sparse else {VECTOR: kind},
        sparse_vectors={VECTOR: edge.EdgeSparseVectorParams()} if sparse else None,
        hnsw_config=edge.HnswIndexConfig(
            m=hnsw["m"] or hnsw["payload_m"],
            ef_construct=hnsw["ef_construct"],
            full_scan_threshold=max(10, round(10_000 * share)),
        ),
        quantization_config=edge.ScalarQuantizationConfig(
            edge.ScalarType.Int8, quantile=quantized["quantile"]
        )
        if quantized
        else None,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=max(1, round(1_000 * share))),
    )


def _fill(edge: Any, shard: Any, values: Matrix, parts: Any, *, sparse: bool) -> None:
    shard.update(edge.UpdateOperation.create_field_index("part", edge.PayloadSchemaType.Integer))
    for first in range(0, len(values), 1_000):
        points = [
            edge.Point(
                number,
                {VECTOR: _as_query(edge, values[number], sparse=sparse)},
                {"part": int(parts[number])},
            )
            for number in range(first, min(first + 1_000, len(values)))
        ]
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.optimize()


def _params(edge: Any, body: dict[str, Any]) -> Any:
    """Quantized vectors find twice the candidates, the full ones put them in order: without it recall falls."""
    if "quantization_config" not in body:
        return edge.SearchParams(hnsw_ef=128)
    rescored = edge.QuantizationSearchParams(rescore=True, oversampling=2.0)
    return edge.SearchParams(hnsw_ef=128, quantization=rescored)


def _asked(
    edge: Any, shard: Any, spec: Retrieval, values: Matrix, parts: Any, share: float, params: Any
) -> Found:
    limit = round(share * 1000)
    own = np.flatnonzero(parts < limit)
    truth = nearest(values[:QUERIES], values[own], spec.model.distance, K)
    passing = (
        edge.Filter(must=[edge.FieldCondition("part", range=edge.RangeFloat(lt=limit))])
        if share < 1
        else None
    )
    hits, fewest = [], K
    for query, near in zip(values[:QUERIES], truth.distances, strict=True):
        request = edge.QueryRequest(
            limit=K,
            query=edge.Query.Nearest(
                _as_query(edge, query, sparse=spec.model.non_zero is not None), using=VECTOR
            ),
            filter=passing,
            params=params,
        )
        found = [int(point.id) for point in shard.query(request)]
        # By distance: of rows that are equally far none is the right one.
        got = distances(query, values[[one for one in found if parts[one] < limit]], spec.model.distance)
        hits.append(int((got <= near[-1] + 1e-5 * max(1.0, abs(near[-1]))).sum()) / len(near))
        fewest = min(fewest, len(found))
    return Found(share, float(np.mean(hits)), fewest, min(K, len(own)))

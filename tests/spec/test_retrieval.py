"""A spec of kind `retrieval`: what is read, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_platform.spec import document, validate
from data_platform.spec.document import SpecProblem
from data_platform.spec.retrieval import GIB, Hybrid, Retrieval, read_retrieval, size_of

MINIMAL = (
    "kind: retrieval\nstore: Shop\nname: help\nmodel: {name: m, provider: onnx, path: m, dimensions: 3}\n"
)

SPARSE = MINIMAL.replace("onnx", "precomputed").replace("3}", "30522, non_zero: 9}")


def read(tmp_path: Path, text: str) -> Retrieval:
    path = tmp_path / "help.yaml"
    path.write_text(text)
    found = document.read(path)
    validate.check(found, "retrieval")
    return read_retrieval(found)


def test_the_example_is_read(tmp_path: Path) -> None:
    spec = read(tmp_path, validate.example_text("retrieval"))
    assert spec.chunking.strategy == "markdown"
    assert spec.needs.recall == 0.95
    assert spec.needs.memory_bytes == 8 * GIB
    assert spec.hybrid is not None
    assert spec.filters[0].name == "category"


def test_what_is_left_out_has_defaults(tmp_path: Path) -> None:
    spec = read(tmp_path, MINIMAL)
    assert (spec.target, spec.server_version, spec.needs.k, spec.hybrid) == ("pgvector", 18, 10, None)
    assert read(tmp_path, MINIMAL + "hybrid: true\n").hybrid is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "chunking: {size: 100, overlap: 100}", "leaves nothing new"),
        (MINIMAL + "chunking: {unit: tokens}", "tokens of which tokenizer"),
        (MINIMAL + "memory: much", "`much` is no size"),
        (MINIMAL + "filters: [{name: content, type: text}]", "a `content` of its own"),
        (MINIMAL + "filters: [{name: weight, type: integer}]", "a `weight` of its own"),
        (MINIMAL.replace("name: ", "name: 100%_", 1), "placeholder"),
        (MINIMAL + "filters: [{name: a, type: text}, {name: a, type: text}]", "here twice"),
        (MINIMAL + "filters: [{name: a, type: 'text; DROP'}]", "text; DROP"),
        (MINIMAL + "tenants: {column: a, type: nonsense(}", "nonsense("),
        (MINIMAL.replace("path: m, ", ""), "needs `path:`"),
        (MINIMAL.replace("onnx, path: m", "openai"), "needs `url:`"),
        (MINIMAL + "queries: {recall: 1}", "recall"),
        (MINIMAL.replace("dimensions: 3", "dimensions: 20000"), "dimensions"),
        (MINIMAL + "chunkng: {}", "chunking"),
        (MINIMAL + "settings: {type: sparsevec}", "sparsevec without"),
        (MINIMAL.replace("3}", "3, non_zero: 2}"), "models of provider onnx are dense"),
        (SPARSE + "settings: {type: bit}", "an index of bit"),
        (SPARSE + "settings: {index: ivfflat}", "IVFFlat takes no sparsevec"),
        (SPARSE.replace("9}", "2000}") + "settings: {index: hnsw}", "HNSW takes 1,000"),
        (SPARSE.replace("9}", "9, distance: l2}") + "target: qdrant", "by inner product only"),
        (SPARSE.replace("9}", "9, normalised: false}") + "target: qdrant", "by inner product only"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecProblem) as told:
        read(tmp_path, text)
    assert any(message in f"{one.message} {one.fix} {one.object}" for one in told.value.findings), told.value
    assert all(one.line for one in told.value.findings)


def test_sparse_vectors_go_into_qdrant_by_inner_product(tmp_path: Path) -> None:
    for model in (SPARSE, SPARSE.replace("9}", "9, distance: ip, normalised: false}")):
        assert read(tmp_path, model + "target: qdrant").model.non_zero == 9


def test_sizes() -> None:
    assert size_of("512MB") == 512 * 1024**2
    assert size_of("1.5 gb") == round(1.5 * GIB)
    assert size_of("8") is None


@pytest.mark.parametrize(
    ("text", "hybrid"),
    [
        ("hybrid: {language: german, weight: 0.3}", Hybrid(language="german", weight=0.3)),
        (
            "hybrid: {language: german, weight: 0.3}\nsettings: {weight: 0.0}",
            Hybrid(language="german", weight=0.0),
        ),
        ("hybrid: true\nsettings: {weight: 0.75}", Hybrid(weight=0.75)),
        ("settings: {weight: 0.75}", None),
    ],
)
def test_a_measured_weight_goes_before_that_of_hybrid(
    tmp_path: Path, text: str, hybrid: Hybrid | None
) -> None:
    assert read(tmp_path, MINIMAL + text).hybrid == hybrid

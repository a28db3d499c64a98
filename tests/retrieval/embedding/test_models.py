"""Models: the real MiniLM, static vectors, an HTTP server with all its faults, vectors made elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_platform.errors import EnvironmentProblem, UsageProblem
from data_platform.retrieval.embedding import checked, distances_by, embedder, fingerprint
from data_platform.retrieval.embedding.http import Server
from data_platform.spec.retrieval import Model
from retrieval.embedding.server import WIDTH, Fake, running, vector_of

HERE = Path()


@pytest.fixture
def server() -> Iterator[tuple[str, Fake]]:
    with running() as made:
        yield made


def model(url: str, **more: object) -> Model:
    return replace(Model(name="m", provider="openai", dimensions=WIDTH, url=url), **more)  # type: ignore[arg-type]


def quick(url: str, **more: object) -> Server:
    return Server(url, "m", timeout_s=0.4, first_wait_s=0.01, **more)  # type: ignore[arg-type]


# --- models that run here ---


def test_minilm_knows_what_is_alike(minilm: Model) -> None:
    made = embedder(minilm, HERE)
    dog, puppy, tax = made.embed(
        ["A dog runs in the park.", "A puppy plays outside.", "Income tax is due in May."]
    )
    assert dog @ puppy > dog @ tax + 0.2
    assert np.allclose(np.linalg.norm([dog, puppy, tax], axis=1), 1, atol=1e-4)


def test_minilm_does_not_depend_on_the_batch(minilm: Model) -> None:
    made = embedder(minilm, HERE)
    texts = [f"text number {n} " * (n % 7 + 1) for n in range(40)]
    together = made.embed(texts)
    alone = np.concatenate([made.embed([text]) for text in texts[:5]])
    assert np.abs((together[:5] * alone).sum(axis=1) - 1).max() < 0.02


def test_a_fingerprint_tells_models_apart_and_stays(
    minilm: Model, tokenizer_file: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "table.npy", np.random.default_rng(1).normal(size=(200, 384)).astype(np.float32))
    static = Model(
        name="s",
        provider="static",
        dimensions=384,
        path=str(tmp_path / "table.npy"),
        tokenizer=str(tokenizer_file),
    )
    first = fingerprint(embedder(minilm, HERE))
    assert first == fingerprint(embedder(minilm, HERE))
    assert first != fingerprint(embedder(static, HERE))


def test_semantic_distances(minilm: Model) -> None:
    far = distances_by(embedder(minilm, HERE))(["Dogs bark.", "Dogs growl.", "Taxes rise."])
    assert far[0] < far[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimensions": 100}, "vectors of 384 dimensions"),
        ({"path": "missing.onnx"}, "there is no such model"),
        ({"tokenizer": "missing.json"}, "there is no tokenizer"),
    ],
)
def test_what_does_not_fit_is_told(minilm: Model, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageProblem, match=message):
        embedder(replace(minilm, **change), HERE).embed(["a"])  # type: ignore[arg-type]


# --- a server ---


def test_answers_are_put_in_order(server: tuple[str, Fake]) -> None:
    url, fake = server
    fake.plan = ["shuffled"]
    texts = ["a", "b", "c"]
    assert np.allclose(embedder(model(url), HERE).embed(texts), [vector_of(t) for t in texts])


def test_what_may_pass_is_tried_again(server: tuple[str, Fake]) -> None:
    url, fake = server
    fake.plan = ["broken", "truncate", "stall", "short", "ok"]
    assert len(quick(url).embed(["a", "b"])) == 2
    assert len(fake.times) == 5


def test_retry_after_is_waited_for(server: tuple[str, Fake]) -> None:
    url, fake = server
    fake.plan = ["busy"]
    quick(url).embed(["a"])
    assert fake.times[1] - fake.times[0] >= 0.3


def test_it_gives_up_and_says_so(server: tuple[str, Fake]) -> None:
    url, fake = server
    fake.plan = ["broken"] * 10
    with pytest.raises(EnvironmentProblem, match="no answer after 3 tries: HTTP 500"):
        quick(url, tries=3).embed(["a"])
    with pytest.raises(EnvironmentProblem, match="no answer"):
        quick("http://127.0.0.1:9/v1", tries=2).embed(["a"])


def test_a_refusal_is_told_at_once_without_the_key(
    server: tuple[str, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, fake = server
    fake.plan = ["denied"]
    monkeypatch.setenv("MY_KEY", "s3cret")
    with pytest.raises(UsageProblem) as told:
        embedder(model(url, key="env:MY_KEY"), HERE).embed(["a"])
    assert fake.keys == ["Bearer s3cret"]
    assert "401" in str(told.value)
    assert "s3cret" not in str(told.value)
    assert "s3cret" not in repr(Server(url, "m", "s3cret"))


def test_another_dimension_is_told(server: tuple[str, Fake]) -> None:
    url, fake = server
    fake.plan = ["wide"]
    with pytest.raises(UsageProblem, match=f"vectors of {WIDTH + 1} dimensions"):
        embedder(model(url), HERE).embed(["a"])


def test_many_texts_are_several_requests(server: tuple[str, Fake]) -> None:
    url, fake = server
    embedder(model(url), HERE).embed([str(n) for n in range(150)])
    assert len(fake.times) == 3


def test_no_length_and_no_numbers_are_told() -> None:
    class Made:
        def __init__(self, row: list[float]) -> None:
            self.row = row

        def embed(self, texts: list[str]) -> np.ndarray:
            return np.array([self.row] * len(texts), dtype=np.float32)

    said = Model(name="m", provider="static", dimensions=2)
    with pytest.raises(UsageProblem, match="length 5"):
        checked(Made([3, 4]), said).embed(["a"])
    with pytest.raises(UsageProblem, match="no number"):
        checked(Made([float("nan"), 0]), said).embed(["a"])
    assert checked(Made([3, 4]), replace(said, normalised=False)).embed(["a"]).shape == (1, 2)


# --- made elsewhere ---


def test_precomputed_by_text(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text("\n".join(json.dumps({"text": t, "embedding": vector_of(t)}) for t in ("a", "b")))
    made = embedder(Model(name="p", provider="precomputed", dimensions=WIDTH, path="v.jsonl"), tmp_path)
    assert np.allclose(made.embed(["b", "a"]), [vector_of("b"), vector_of("a")])
    with pytest.raises(UsageProblem, match="1 of 2 texts have no vector"):
        made.embed(["a", "z"])

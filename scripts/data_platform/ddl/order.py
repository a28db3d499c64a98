"""In which order statements can be run: each after those that make what it needs.

    put_off = parts_in_cycles(pieces, path)   # non-empty: make the pieces again without these parts, and ask again
    ordered = in_order(pieces, path)

The given order stays wherever it can: a statement is moved only to before the first one that needs it. What is in a
cycle is put off as far as it has parts that can be: defaults, checks, foreign keys, bodies of functions. A cycle of
anything else (a view that calls a function over the view's own rows) keeps its given order; PostgreSQL has no single
statement for it either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_platform.ddl.piece import PartKey, Piece
from data_platform.sql.references import Reference, References, of_body

_BUILT_IN_OPERATORS = frozenset(
    {
        *(
            "=",
            "<>",
            "!=",
            "<",
            ">",
            "<=",
            ">=",
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "||",
            "&",
            "|",
            "#",
            "<<",
            ">>",
        ),
        *("~~", "!~~", "~~*", "!~~*", "~", "!~", "~*", "!~*"),
        *("@>", "<@", "&&", "->", "->>", "#>", "#>>", "?", "?|", "?&"),
    }
)
"""Without a schema these are taken for PostgreSQL's own, whatever operators of that name the design has."""


@dataclass(frozen=True)
class Ordered:
    """Pieces in an order in which they can be run, and for each the positions of those that must come before it."""

    pieces: tuple[Piece, ...]
    needs: tuple[tuple[int, ...], ...]


def in_order(pieces: Sequence[Piece], path: Sequence[str]) -> Ordered:
    """Each piece after those that make what it needs; `path` is where names without a schema are looked up."""
    needs = _Names(pieces, path).needs()
    done: dict[int, None] = {}
    for start in range(len(pieces)):
        _visit(start, needs, done)
    place = {number: position for position, number in enumerate(done)}
    return Ordered(
        pieces=tuple(pieces[number] for number in done),
        needs=tuple(tuple(sorted(place[other] for other in needs[number])) for number in done),
    )


def parts_in_cycles(pieces: Sequence[Piece], path: Sequence[str]) -> frozenset[PartKey]:
    """The parts that keep a cycle of statements closed and could be put off; bodies only where nothing else can."""
    names = _Names(pieces, path)
    stuck = _stuck(names.needs())
    found = frozenset(
        part.key
        for number in stuck
        for part in pieces[number].parts
        if not stuck.isdisjoint(names.makers(number, part.needs))
    )
    return frozenset(key for key in found if key[0] != "body") or found


def _visit(start: int, needs: Sequence[Sequence[int]], done: dict[int, None]) -> None:
    """Note `start` after all that it needs, depth first; what is being visited already closes a cycle: left out."""
    if start in done:
        return
    visiting = {start}
    stack = [(start, iter(needs[start]))]
    while stack:
        number, rest = stack[-1]
        following = next((other for other in rest if other not in done and other not in visiting), None)
        if following is None:
            stack.pop()
            done[number] = None
        else:
            visiting.add(following)
            stack.append((following, iter(needs[following])))


def _stuck(needs: Sequence[Sequence[int]]) -> set[int]:
    """Those in a cycle or between two: what is left when all that need nothing, and all that nobody needs, are gone."""
    users: defaultdict[int, list[int]] = defaultdict(list)
    for number, needed in enumerate(needs):
        for other in needed:
            users[other].append(number)
    left = set(range(len(needs)))
    for edges, back in ((needs, users), (users, needs)):
        open_ends = {number: sum(other in left for other in edges[number]) for number in left}
        free = [number for number, count in open_ends.items() if not count]
        while free:
            number = free.pop()
            left.discard(number)
            for other in back[number]:
                if other in left:
                    open_ends[other] -= 1
                    if not open_ends[other]:
                        free.append(other)
    return left


class _Names:
    """Who makes what, and so who needs whom."""

    def __init__(self, pieces: Sequence[Piece], path: Sequence[str]) -> None:
        self._pieces = pieces
        self._path = path
        self._made: defaultdict[Reference, list[int]] = defaultdict(list)
        for number, piece in enumerate(pieces):
            for reference in piece.makes:
                self._made[reference].append(number)

    def needs(self) -> list[list[int]]:
        """For each piece the numbers of those that must come before it, in the given order."""
        direct = [self.makers(number, _all_needs(piece)) for number, piece in enumerate(self._pieces)]
        for number, piece in enumerate(self._pieces):
            if piece.runs:
                direct[number] = direct[number] | self._run_by(number, direct)
        return [sorted(needed) for needed in direct]

    def makers(self, number: int, references: References) -> set[int]:
        """The pieces other than `number` itself that make one of these."""
        found = {other for reference in references for other in self._lookup(number, reference)}
        found.discard(number)
        return found

    def _lookup(self, number: int, reference: Reference) -> Iterable[int]:
        if reference.schema is not None or reference in self._made:
            found = self._made.get(reference, [])
        elif reference.kind == "operator" and reference.name in _BUILT_IN_OPERATORS:
            found = []
        else:
            found = self._on_path(reference)
        if not found and reference.kind == "function":  # text('x'), the functional form of a cast
            return self._lookup(number, Reference("type", reference.schema, reference.name))
        return self._shell_for(number, found) if len(found) > 1 and reference.kind == "type" else found

    def _on_path(self, reference: Reference) -> list[int]:
        placed = (Reference(reference.kind, schema, reference.name) for schema in self._path)
        found = [self._made[name] for name in placed if name in self._made]
        if reference.kind in ("function", "operator"):  # any overload, in whatever schema
            return [number for numbers in found for number in numbers]
        return found[0] if found else []

    def _shell_for(self, number: int, found: list[int]) -> list[int]:
        """Of a type made twice, a shell and its definition: the shell alone for what the definition itself needs."""
        mine = set(self._pieces[number].makes)
        for other in found[1:]:
            if any(self._means(reference, made) for reference in self._pieces[other].needs for made in mine):
                return found[:1]
        return found

    def _means(self, reference: Reference, made: Reference) -> bool:
        same = (reference.kind, reference.name) == (made.kind, made.name)
        return same and reference.schema in (None, made.schema)

    def _run_by(self, number: int, direct: Sequence[set[int]]) -> set[int]:
        """What the bodies of the functions that a piece needs name, and those of the functions that these call."""
        found: set[int] = set()
        waiting = set(direct[number])
        while waiting:
            body = self._pieces[waiting.pop()].body
            named = self.makers(number, of_body(body)) - found if body is not None else set()
            found |= named
            waiting |= named
        return found


def _all_needs(piece: Piece) -> References:
    return piece.needs + tuple(reference for part in piece.parts for reference in part.needs)

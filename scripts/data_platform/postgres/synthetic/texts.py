"""Texts: plausible ones where they fit, else such as match a pattern, else letters and digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from data_platform.postgres.synthetic import words
from data_platform.postgres.synthetic.facts import Facts, text_fits
from data_platform.postgres.synthetic.kinds import Kind
from data_platform.postgres.synthetic.pattern import UnknownPattern, matching
from data_platform.postgres.synthetic.space import Later, Listed, Phrases, Space
from data_platform.postgres.synthetic.wish import NoValues, Wish

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def text_space(kind: Kind, facts: Facts, wish: Wish) -> Space:
    """The first space with enough values of which samples obey the facts; NoValues if none has any."""
    longest = min((n for n in (kind.longest, facts.longest) if n is not None), default=None)
    fold = wish.fold or kind.base == "citext"
    facts = replace(facts, longest=longest, never=facts.never | {""})
    if kind.base == "character" and longest:
        facts = replace(facts, shortest=longest)  # what is shorter is padded, and looks different to a check
    fitting = []
    for candidate in _text_candidates(facts, replace(wish, fold=fold)):
        for space in _allowed(candidate, facts):
            if _serves(space, facts, wish.distinct):
                return space
            if _serves(space, facts, 1):
                fitting.append(space)
    if not fitting:
        raise NoValues("no text was found that its constraints allow")
    return max(fitting, key=lambda space: space.size)


def _allowed(space: Space, facts: Facts) -> list[Space]:
    """The space without the single values that a constraint forbids."""
    first = space.texts(range(min(space.size, _FIRST)))
    places = [place for place, text in enumerate(first) if text in facts.never]
    if not places:
        return [space]
    if space.size > _FIRST:
        return [Later(space, places[-1] + 1)]
    kept = tuple(text for text in first if text not in facts.never)
    return [Listed(kept)] if kept else []


_FIRST = 1000
"""How many values of a space are compared with those that are forbidden; beyond them they are too rare to matter."""


def _text_candidates(facts: Facts, wish: Wish) -> list[Space]:
    """From the most plausible to the most able."""
    named = words.candidates(wish.column, wish.table)
    cased = [_mapped(phrases, str.upper) for phrases in named] + [
        _mapped(phrases, str.lower) for phrases in named
    ]
    patterns = [pattern for pattern in facts.patterns if pattern.wanted]
    spaces: list[Space] = [limited for p in (*named, *cased) for limited in _limited(p, facts, wish.distinct)]
    if not patterns:
        return [*spaces, *_codes(facts, wish)]
    for pattern in sorted(patterns, key=lambda p: -len(p.regex)):
        try:
            spaces.append(matching(pattern.regex, facts.shortest, facts.longest, fold=wish.fold))
        except UnknownPattern:
            continue
    return [*spaces, *_codes(facts, wish)]


def _mapped(phrases: Phrases, change: Callable[[str], str]) -> Phrases:
    return replace(phrases, heads=tuple(map(change, phrases.heads)), tails=tuple(map(change, phrases.tails)))


def _limited(phrases: Phrases, facts: Facts, distinct: int) -> list[Phrases]:
    """Phrases of which `distinct` fit into the length, with room for the numbers that many need."""
    if facts.longest is None and not facts.shortest:
        return [phrases]
    longest = facts.longest if facts.longest is not None else 10**9
    for digits in range(len(str(distinct)) + 1):
        room = longest - digits - (len(phrases.gap) if digits else 0)
        kept = [
            (head, tail)
            for head, tail in zip(phrases.heads, phrases.tails, strict=True)
            if facts.shortest <= len(head) + len(tail) <= room
        ]
        if not kept:
            break
        size = len(kept) * (10**digits - 1 if digits else 1)
        if size >= max(distinct, min(12, len(phrases.heads))):
            heads, tails = zip(*kept, strict=True)
            return [Phrases(heads, tails, phrases.gap, size)]
    return []


def _codes(facts: Facts, wish: Wish) -> list[Space]:
    """Letters and digits of the allowed lengths; upper case joins in when there are too few of them otherwise."""
    longest = facts.longest if facts.longest is not None else max(12, facts.shortest)
    shortest = max(1, facts.shortest)
    if shortest > longest:
        return []
    alphabets = [_LETTERS, _LETTERS.upper()] + ([] if wish.fold else [_LETTERS + _LETTERS[:26].upper()])
    usual = min(longest, max(shortest, 8))
    fixed = [matching(f"[{alphabet}]{{{usual}}}", usual, usual) for alphabet in alphabets]
    spread = [
        matching(f"[{alphabet}]{{{shortest},{longest}}}", shortest, longest) for alphabet in alphabets[::2]
    ]
    return [*fixed, *spread]


def _serves(space: Space, facts: Facts, distinct: int) -> bool:
    if space.size < max(1, distinct):
        return False
    numbers = {*range(min(space.natural, 30)), space.natural - 1, min(space.size, max(distinct, 1)) - 1}
    return all(text_fits(text, facts) for text in space.texts(sorted(numbers)))

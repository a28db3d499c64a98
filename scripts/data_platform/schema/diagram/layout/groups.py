"""Which tables of a large diagram belong together: communities of its foreign keys.

Communities are merged greedily by modularity (Clauset, Newman and Moore, 2004), never beyond a size that a reader can
take in. A key to a table that many refer to says little, and weighs little. Ties go by number, so that the same
links give the same communities.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Link = tuple[int, int]
"""A table and the one that it refers to, by their numbers."""

LARGEST = 16
"""Tables in one community."""
UNDIVIDED = 24
"""A connected part of up to so many tables is one community."""


@dataclass(frozen=True)
class Group:
    """Tables that stand together. `hub` is the one to name the group after; None if no link holds them together."""

    schema: str
    members: tuple[int, ...]
    hub: int | None


def groups(schemas: Sequence[str], links: Iterable[Link]) -> tuple[Group, ...]:
    """The tables, each with its schema, in groups that do not cross schemas; neighbours follow each other."""
    proper = sorted({link for link in links if link[0] != link[1]})
    linked = {number for link in proper for number in link}
    made: list[Group] = []
    for schema in dict.fromkeys(schemas):
        members = [number for number, name in enumerate(schemas) if name == schema]
        inside = [link for link in proper if schemas[link[0]] == schema == schemas[link[1]]]
        found = communities([number for number in members if number in linked], inside)
        made += _in_order([Group(schema, tuple(sorted(some)), _hub(some, proper)) for some in found], proper)
        made += [
            Group(schema, some, None) for some in _chunks([n for n in members if n not in linked], LARGEST)
        ]
    return tuple(made)


def communities(members: Sequence[int], links: Sequence[Link]) -> list[tuple[int, ...]]:
    """`members` in communities of at most LARGEST, or UNDIVIDED if a connected part is no larger."""
    result: list[tuple[int, ...]] = []
    for part in _components(members, links):
        own = set(part)
        if len(part) <= UNDIVIDED:
            result.append(part)
        else:
            result += _divided(part, [link for link in links if link[0] in own])
    return result


def _components(members: Sequence[int], links: Sequence[Link]) -> list[tuple[int, ...]]:
    near = _neighbours(links)
    seen: set[int] = set()
    parts = []
    for start in members:
        if start in seen:
            continue
        part, waiting = {start}, [start]
        while waiting:
            new = near[waiting.pop()] - part
            part |= new
            waiting += new
        seen |= part
        parts.append(tuple(sorted(part)))
    return parts


def _neighbours(links: Iterable[Link]) -> defaultdict[int, set[int]]:
    near: defaultdict[int, set[int]] = defaultdict(set)
    for source, target in links:
        near[source].add(target)
        near[target].add(source)
    return near


def _divided(part: Sequence[int], links: Sequence[Link]) -> list[tuple[int, ...]]:
    """One connected part in communities; those of one or two that none could take go by whom they refer to."""
    found = _merged(part, _weights(links))
    large = [community for community in found if len(community) > 2]
    home = {number: place for place, community in enumerate(large) for number in community}
    near = _neighbours(links)
    left: defaultdict[int, list[int]] = defaultdict(list)
    for community in found:
        if len(community) <= 2:
            around = Counter(home.get(other, -1) for number in community for other in near[number])
            left[min(around, key=lambda place: (-around[place], place))] += community
    for place in sorted(left):
        room = LARGEST - len(large[place]) if place >= 0 else 0
        rest = sorted(left[place])
        if len(rest) <= room:
            large[place] = (*large[place], *rest)
        else:
            large += _chunks(rest, LARGEST)
    return large


def _chunks(members: Sequence[int], largest: int) -> list[tuple[int, ...]]:
    """`members` in order, in as few parts as will do, of about one size."""
    count = -(-len(members) // largest)
    ends = [len(members) * number // count for number in range(count + 1)] if count else []
    return [tuple(members[start:end]) for start, end in pairwise(ends)]


def _weights(links: Sequence[Link]) -> dict[Link, float]:
    """The weight between two tables, the smaller number first."""
    referrers = Counter(target for _, target in links)
    weights: defaultdict[Link, float] = defaultdict(float)
    for source, target in links:
        weights[min(source, target), max(source, target)] += referrers[target] ** -0.5
    return weights


def _merged(part: Sequence[int], weights: dict[Link, float]) -> list[tuple[int, ...]]:
    """Communities, from one a member on, by the merge that gains most, as long as one gains."""
    near: dict[int, dict[int, float]] = {number: {} for number in part}
    for (one, other), weight in weights.items():
        near[one][other] = near[other][one] = weight
    degree = {number: sum(around.values()) for number, around in near.items()}
    total = sum(degree.values())
    members: dict[int, tuple[int, ...]] = {number: (number,) for number in part}
    # A number whose community was merged away, or changed since, has another age than the entry in the heap.
    age = dict.fromkeys(part, 0)

    def entry(one: int, other: int) -> tuple[float, int, int, int, int]:
        gain = near[one][other] - degree[one] * degree[other] / total
        return -gain, min(one, other), max(one, other), age[min(one, other)], age[max(one, other)]

    heap = [entry(one, other) for one, other in weights]
    heapq.heapify(heap)
    while heap:
        gain, keep, gone, *ages = heapq.heappop(heap)
        if gain >= 0:
            break
        if ages != [age[keep], age[gone]] or len(members[keep]) + len(members[gone]) > LARGEST:
            continue
        members[keep] += members.pop(gone)
        degree[keep] += degree[gone]
        age[keep] += 1
        age[gone] = -1
        del near[keep][gone]
        for other, weight in near.pop(gone).items():
            if other != keep:
                near[keep][other] = near[other][keep] = near[keep].get(other, 0) + weight
                del near[other][gone]
        for other in near[keep]:
            heapq.heappush(heap, entry(keep, other))
    return [tuple(sorted(members[number])) for number in sorted(members)]


def _hub(members: Sequence[int], links: Sequence[Link]) -> int:
    """The member that most other members are linked with; of those the one that refers least."""
    own = set(members)
    inside = [link for link in links if own.issuperset(link)] or list(links)
    degree = Counter(number for link in inside for number in link)
    refers = Counter(source for source, _ in inside)
    return min(members, key=lambda number: (-degree[number], refers[number], number))


def _in_order(found: Sequence[Group], links: Sequence[Link]) -> list[Group]:
    """The group with most links to others first, then always the one with most links to those before it."""
    home = {number: place for place, group in enumerate(found) for number in group.members}
    between: list[Counter[int]] = [Counter() for _ in found]
    for source, target in links:
        one, other = home.get(source), home.get(target)
        if one is not None and other is not None and one != other:
            between[one][other] += 1
            between[other][one] += 1
    waiting = set(range(len(found)))
    pull = dict.fromkeys(waiting, 0)
    order: list[Group] = []
    while waiting:
        best = min(
            waiting,
            key=lambda p: (-pull[p], -between[p].total(), -len(found[p].members), found[p].members),
        )
        waiting.remove(best)
        order.append(found[best])
        for other, count in between[best].items():
            pull[other] += count
    return order

"""Comparing what people write: names of stores, the role's name, and who "this team" is."""

from __future__ import annotations

from data_platform.record import record

ROLE = "Data Platform Engineer"

_ROLE_WORDS = ("data", "platform", "engineer")
_STORE_WORDS = frozenset({"database", "databases", "db", "dbs", "store", "stores"})
_TEAM_WORDS = frozenset({"team", "teams", "squad", "group", "crew", "guild", "department", "the"})
_OURSELVES = frozenset({"us", "we", "our", "ours", "this"})
_DASHES = (" — ", " – ", " - ", " -- ")


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; letters of every script count."""
    if text.isascii():
        return "".join(c if c.isalnum() else " " for c in text.lower()).split()
    import unicodedata  # noqa: PLC0415  most files are ASCII where it matters

    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in folded)
    return "".join(kept).split()


def without_notes(text: str) -> str:
    """The text without what stands in parentheses."""
    if "(" not in text:
        return text
    kept: list[str] = []
    depth = 0
    for character in text:
        if character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(character)
    return "".join(kept)


def store_key(name: str) -> str:
    """What is equal for `Customer DB (PostgreSQL)`, `customer-database` and `CustomerDB`."""
    spelled = words(_camel_apart(without_notes(name)))
    kept = [word for word in spelled if word not in _STORE_WORDS] or spelled
    if kept:
        for ending in ("database", "db"):
            kept[-1] = kept[-1].removesuffix(ending) or kept[-1]
    return "".join(kept)


def _camel_apart(text: str) -> str:
    return "".join(
        f" {here}" if here.isupper() and before.islower() else here
        for before, here in zip(" " + text, text, strict=False)
    )


def names(cell: str) -> list[str]:
    """The names in a list such as `Customer DB (PostgreSQL), Analytics DW`.

    A part with "and" is given whole and in halves: it may be one name or two.
    """
    found: list[str] = []
    for part in _split_outside_parentheses(cell):
        name = _without_remark(part).strip()
        if not name:
            continue
        found.append(name)
        if " and " in name or " & " in name:
            found += [half.strip() for half in name.replace(" & ", " and ").split(" and ") if half.strip()]
    return found


def _split_outside_parentheses(text: str) -> list[str]:
    if "(" not in text:
        return text.replace(";", ",").split(",")
    parts: list[str] = []
    start = depth = 0
    for at, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif character in ",;" and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _without_remark(part: str) -> str:
    """`Customer DB — the primary` is Customer DB; `@data — Customer DB` is too."""
    for dash in _DASHES:
        head, found, tail = part.partition(dash)
        if found:
            return tail if head.strip().startswith("@") else head
    return part


@record
class Owner:
    """An owner as a row states it. `qualifier` is what stands beside the role's name, in words."""

    text: str
    is_role: bool
    qualifier: frozenset[str]
    people: tuple[str, ...]


def owner(role: str, person: str = "") -> Owner:
    """Read `Data Platform Engineer (Billing)` or `Data Platform Engineer @data`, with the cell beside it."""
    stated = role if role.strip(" -—–") else person
    text = ", ".join(part for part in (role.strip(), person.strip()) if part.strip(" -—–"))
    title, handles = _handles_apart(stated)
    spelled = words(title)
    at = _role_at(spelled)
    people = (*handles, *(name for name in names(person) if stated is not person and name.strip(" -—–")))
    if at is None:
        return Owner(text, False, frozenset(), people)
    rest = spelled[:at] + spelled[at + len(_ROLE_WORDS) :]
    return Owner(text, True, frozenset(rest), people)


def _handles_apart(text: str) -> tuple[str, tuple[str, ...]]:
    """The words without @handles, and the handles. After a handle, a dash begins a remark."""
    if "@" not in text:
        return text, ()
    for dash in _DASHES:
        head, found, _ = text.partition(dash)
        if found and "@" in head:
            text = head
    pieces = text.replace("(", " ( ").replace(")", " ) ").split()
    handles = tuple(piece.rstrip(",;:.") for piece in pieces if piece.startswith("@"))
    return " ".join(piece for piece in pieces if not piece.startswith("@")), handles


def _role_at(spelled: list[str]) -> int | None:
    for at in range(len(spelled) - len(_ROLE_WORDS) + 1):
        if tuple(spelled[at : at + len(_ROLE_WORDS)]) == _ROLE_WORDS:
            return at
    return None


@record
class Team:
    """Who "we" are, as far as the file says: the words that name our team or the people of our role.

    `is_told_apart` says that a team or a handle is known for our role, so that another one is somebody else.
    """

    known: frozenset[str]
    is_told_apart: bool = False

    def with_people(self, people: list[str]) -> Team:
        """The same team, with the people whom Active Roles gives our role to."""
        return Team(
            self.known.union(*map(_identity, people)), bool(people) and all(map(_names_a_team, people))
        )

    def owns(self, stated: Owner) -> bool:
        """Whether that owner is the Data Platform Engineer of this team."""
        if not stated.is_role:
            return False
        if stated.qualifier and not stated.qualifier - _TEAM_WORDS <= self.known | _OURSELVES:
            return False
        return not self._is_someone_else(stated)

    def _is_someone_else(self, stated: Owner) -> bool:
        """The row gives our role, but to a team or a handle that Active Roles does not give it to.

        A person's plain name proves nothing: people belong to teams that the file need not spell out.
        """
        if not self.is_told_apart or not stated.people or not all(map(_names_a_team, stated.people)):
            return False
        return not any(_identity(person) <= self.known for person in stated.people)


def _identity(person: str) -> frozenset[str]:
    return frozenset(words(person)) - _TEAM_WORDS


def _names_a_team(person: str) -> bool:
    return person.startswith("@") or not _TEAM_WORDS.isdisjoint(words(person))

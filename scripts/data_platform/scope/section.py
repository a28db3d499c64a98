"""What a file's Project Scope section says: whose team, which roles, which stores, what is unedited."""

from __future__ import annotations

from data_platform.record import TYPE_CHECKING, record, replace
from data_platform.scope import names
from data_platform.scope.markdown import Blocks, Item, Paragraph, Row, heading, plain, visible
from data_platform.scope.placeholders import link_names, unedited

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECTION_LIMIT = 1_000  # sections of one name in one file; more is an attack or an accident
_LONGEST_HEADING = 20  # lines of a paragraph that an underline may make a heading of


@record
class Region:
    """The lines under a heading of level 1 or 2. `older` is the line of `### Domain Ownership` among them."""

    line: int
    title: str | None
    older: int
    lines: list[tuple[int, str]]


@record
class Claim:
    """One row says that somebody owns one store."""

    store: str
    owner: str
    ours: bool
    line: int
    row: str
    engine: str = ""
    connection: str = ""


@record
class Scope:
    """A file's scope. `line` is its heading's; `ends` the last line that belongs to it."""

    line: int
    ends: int
    title: str
    older_convention: bool
    empty: bool
    claims: tuple[Claim, ...]
    roles_line: int | None
    active: bool
    placeholders: tuple[tuple[int, str], ...]


def read(text: str) -> Scope | None:
    """The scope in this text (`\\n` line ends), or None. Never raises."""
    regions = _regions_of_scope(text)
    if not regions:
        return None
    sections = [section for region in regions for section in _subsections(region)]
    older = regions[0].title is None
    if older:
        sections = [section for section in sections if section.kind]
    team = _team(sections)
    roles = [section for section in sections if section.kind == "roles"]
    blocks = [block for section in sections for block in section.blocks]
    return Scope(
        line=regions[0].older if older else regions[0].line,
        ends=regions[0].lines[-1][0] if regions[0].lines else regions[0].line,
        title=regions[0].title or "",
        older_convention=older,
        empty=not blocks,
        claims=tuple(claim for section in sections for claim in _claims(section, team)),
        roles_line=roles[0].line if roles else None,
        active=any(team.owns(role.owner) for section in roles for role in section.roles),
        placeholders=unedited(_titles(regions), blocks, link_names(text)),
    )


def _titles(regions: list[Region]) -> list[tuple[int, str]]:
    return [(region.line, region.title) for region in regions if region.title]


def _regions_of_scope(text: str) -> list[Region]:
    lower = text.lower()
    if "scope" not in lower and "ownership" not in lower:
        return []
    named: list[Region] = []
    older: list[Region] = []
    for line, title, domains, lines in _regions(text):
        if title is not None:
            named.append(Region(line, title, domains, lines))
        elif domains and not older:
            older.append(Region(line, title, domains, lines))
        if len(named) == _SECTION_LIMIT:
            break
    return named or older


def _regions(text: str) -> Iterator[tuple[int, str | None, int, list[tuple[int, str]]]]:
    """The fields of every region of the file; bare, as a file may have a million."""
    start, name, older = 0, None, 0
    lines: list[tuple[int, str]] = []
    for number, line in visible(text):
        head = heading(line) if "#" in line else None
        if head is not None and head[0] <= 2:
            yield start, name, older, lines
            start, name, older, lines = number, _scope_title(*head), 0, []
            continue
        if head is not None and not older and head[0] == 3 and _kind(head[1]) == "domains":
            older = number
        elif line.startswith(("=", "-")) and _underlines(line, lines):
            lines.pop()
            yield start, name, older, lines
            start, name, older, lines = number, None, 0, []
            continue
        lines.append((number, line))
    yield start, name, older, lines


def _underlines(line: str, before: list[tuple[int, str]]) -> bool:
    """Whether this line makes a heading of the paragraph above it (`===` or `---`)."""
    if not before or not before[-1][1].strip() or line.strip().strip(line[0]):
        return False
    for place in range(len(before) - 1, max(len(before) - _LONGEST_HEADING, 0) - 1, -1):
        above = before[place][1]
        if not above.strip():
            break
        if above[0] in "#>|-*+ \t" or above[0].isdigit():
            return False  # the paragraph is part of a list, a table or a quote
    return True


def _scope_title(level: int, title: str) -> str | None:
    """The name in `Project Scope: Name`, "" for a bare `Project Scope`, None for any other title."""
    if level != 2 or "scope" not in title.lower():
        return None
    head, _, name = plain(title).partition(":")
    return name.strip() if head.lower().split() == ["project", "scope"] else None


_KINDS = {
    "team context": "team",
    "domain ownership": "domains",
    "active roles": "roles",
    "data stores": "stores",
}


def _kind(title: str) -> str:
    """Which of the four known subsections a title opens, or ""."""
    lower = title.lower()
    if lower in _KINDS:
        return _KINDS[lower]
    if not any(known[:4] in lower for known in _KINDS):
        return ""
    return _KINDS.get(" ".join(names.words(plain(title))[:2]), "")


@record
class Role:
    """One row of Active Roles."""

    owner: names.Owner
    scope: str
    block: Row | Item


@record
class Section:
    """A subsection with its blocks; `roles` are what they say when it is the Active Roles."""

    kind: str
    line: int
    blocks: list[Row | Item | Paragraph]
    roles: list[Role]


def _subsections(region: Region) -> list[Section]:
    parts: list[tuple[str, int, list[tuple[int, str]]]] = [("", region.line, [])]
    for number, line in region.lines:
        head = heading(line) if "#" in line else None
        if head is None:
            parts[-1][2].append((number, line))
        else:
            parts.append((_kind(head[1]), number, []))
    return [_section(kind, line, lines) for kind, line, lines in parts if kind == "roles" or lines]


def _section(kind: str, line: int, lines: list[tuple[int, str]]) -> Section:
    blocks = Blocks().read(lines)
    return Section(kind, line, blocks, list(_roles(blocks)) if kind == "roles" else [])


def _cell(row: Row, *starts: str, but: str | None = None) -> str:
    """The plain text of the first column whose name begins with one of these and is not `but`."""
    for column, value in row.cells:
        if column.startswith(starts) and column != but:
            return plain(value)
    return ""


def _key_and_value(item: Item) -> tuple[str, str]:
    """`- **Key**: value`; an arrow or a dash may stand for the colon."""
    text = plain(item.source)
    for mark in (":", "→", "->", " — ", " – ", " - "):
        key, found, value = text.partition(mark)
        if found:
            return plain(key), plain(value)
    return text, ""


def _pairs(sections: Iterable[Section], kind: str) -> Iterator[tuple[str, str]]:
    for section in sections:
        if section.kind == kind:
            for block in section.blocks:
                if isinstance(block, Row):
                    key, value = ([plain(cell) for _, cell in block.cells[:2]] + [""])[:2]
                    yield key, value
                elif isinstance(block, Item):
                    yield _key_and_value(block)


def _team(sections: list[Section]) -> names.Team:
    slug: frozenset[str] = frozenset()
    for key, value in _pairs(sections, "team"):
        if names.words(key) in (["team"], ["team", "slug"], ["team", "name"]):
            slug = frozenset(names.words((names.names(value) or [""])[0]))
    team = names.Team(slug)
    ours = [role.owner for section in sections for role in section.roles if team.owns(role.owner)]
    return team.with_people([person for owner in ours for person in owner.people])


def _roles(blocks: list[Row | Item | Paragraph]) -> Iterator[Role]:
    for block in blocks:
        if isinstance(block, Row):
            stated = names.owner(_cell(block, "role"), _cell(block, "person", "team", "owner", "name"))
            yield Role(stated, _cell(block, "scope", "owns", "ownership", "stores", "data stores"), block)
        elif isinstance(block, Item):
            key, value = _key_and_value(block)
            yield Role(names.owner(key), value, block)


def _claims(section: Section, team: names.Team) -> Iterator[Claim]:
    if section.kind == "roles":
        for role in section.roles:
            yield from _claim(role.scope, role.owner, team, role.block)
    elif section.kind in ("domains", "stores"):
        for block in section.blocks:
            if isinstance(block, Row):
                yield from _claim(
                    _cell(block, "store", "domain", "data store", "database", "name"),
                    _row_owner(block),
                    team,
                    block,
                )
            elif isinstance(block, Item):
                key, value = _key_and_value(block)
                yield from _claim(key, names.owner(value), team, block)


def _row_owner(row: Row) -> names.Owner:
    stated = names.owner(_cell(row, "owner role", "role"), _cell(row, "owner", "team", but="owner role"))
    if _cell(row, "owner team"):  # the column says that whatever stands there is a team
        return replace(stated, people=tuple(f"{person} team" for person in stated.people))
    return stated


def _claim(stores: str, owner: names.Owner, team: names.Team, block: Row | Item) -> Iterator[Claim]:
    if not owner.text:
        return
    ours = team.owns(owner)
    engine, connection = "", ""
    if isinstance(block, Row):
        engine, connection = _cell(block, "engine"), _cell(block, "connection")
    for store in names.names(stores):
        yield Claim(store, owner.text, ours, block.line, block.source, engine, connection)

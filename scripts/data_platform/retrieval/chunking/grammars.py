"""Source code as its grammar sees it: which definitions stand where, inside which others. By tree-sitter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from data_platform.errors import EnvironmentProblem

_GRAMMARS = {
    **dict.fromkeys((".py", ".pyi"), ("tree_sitter_python", "language")),
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), ("tree_sitter_javascript", "language")),
    ".ts": ("tree_sitter_typescript", "language_typescript"),
    ".tsx": ("tree_sitter_typescript", "language_tsx"),
    ".go": ("tree_sitter_go", "language"),
    ".java": ("tree_sitter_java", "language"),
    ".rs": ("tree_sitter_rust", "language"),
    **dict.fromkeys((".c", ".h"), ("tree_sitter_c", "language")),
    **dict.fromkeys((".cpp", ".cc", ".hpp"), ("tree_sitter_cpp", "language")),
    ".cs": ("tree_sitter_c_sharp", "language"),
    ".rb": ("tree_sitter_ruby", "language"),
    ".php": ("tree_sitter_php", "language_php"),
}
"""Of files with this suffix: the package, and its function that gives the grammar."""

_DEFINITION = re.compile(
    r"(abstract_)?(class|constructor|enum|(generator_)?function|impl|interface|macro|method|mod|namespace|record"
    r"|struct|trait|union)_(declaration|definition|item|specifier)"
    r"|class|internal_module|method|module|singleton_method|type_alias_declaration|type_spec|variable_declarator"
)
_AROUND = re.compile(
    r"(decorated|type)_definition|export_statement|expression_statement"
    r"|(lexical|template|type|variable)_declaration"
)
"""What holds one definition and belongs to it."""
_THROUGH = re.compile(r"linkage_specification|preproc_(else|if|ifdef)")
"""What holds definitions and is none."""
_FUNCTION = re.compile(r"arrow_function|class|(generator_)?function(_expression)?")
_END = re.compile(rb"(?:[\s;,(){}\[\]]|\bend\b)*")
"""What may stand between two definitions and still be the end of the first."""
_DEEPEST = 12


@dataclass(frozen=True)
class Part:
    """A stretch of text: a definition if it has a `name`, then with its own parts, which together are all of it."""

    start: int
    end: int
    name: str = ""
    parts: tuple[Part, ...] = ()


def known(uri: str) -> bool:
    """Whether there is a grammar for a file that is called so."""
    return _suffix(uri) in _GRAMMARS


def parts_of(text: str, uri: str) -> tuple[Part, ...]:
    """The definitions of a text and what stands between them. What is no such code is one part, or badly cut: no error.

    Raises EnvironmentProblem without the grammars' packages.
    """
    # One that stands alone is no character: any other takes its place, so that all of them keep their numbers.
    source = text.encode("utf-8", "replace")
    tree = _parser(*_GRAMMARS[_suffix(uri)]).parse(source)
    found = _parts(tree.root_node, source, 0, len(source), 0)
    return found if len(source) == len(text) else _in_characters(found, source)


def _suffix(uri: str) -> str:
    return PurePosixPath(uri).suffix.lower()


@lru_cache
def _parser(package: str, function: str) -> Any:
    try:
        library, grammar = import_module("tree_sitter"), import_module(package)
    except ImportError as error:
        raise EnvironmentProblem(
            "no package to read source code with",
            expected=error.name or package,
            try_="dpe setup --extra code",
        ) from None
    return library.Parser(library.Language(getattr(grammar, function)()))


def _parts(scope: Any, source: bytes, start: int, end: int, depth: int) -> tuple[Part, ...]:
    """Those of one scope, as bytes from `start` to `end`."""
    parts: list[Part] = []
    for first, node, inner in _definitions(scope):
        _between(parts, source, parts[-1].end if parts else start, first)
        begun, last = max(first, parts[-1].end if parts else start), max(node.end_byte, first)
        body = inner.child_by_field_name("body") if depth < _DEEPEST else None
        below = _parts(body, source, begun, last, depth + 1) if body is not None else ()
        # Where none is inside, the lines of it are no parts of their own.
        named = below if any(one.name for one in below) else ()
        parts.append(Part(begun, last, _name(inner) or _name(node) or inner.type, named))
    _between(parts, source, parts[-1].end if parts else start, end)
    return tuple(parts)


def _between(parts: list[Part], source: bytes, start: int, end: int) -> None:
    """What stands between two definitions, where it is no mere end of the first."""
    if start < end and parts and _END.fullmatch(source, start, end):
        parts[-1] = _until(parts[-1], end)
    elif start < end:
        parts.append(Part(start, end))


def _until(part: Part, end: int) -> Part:
    inner = (*part.parts[:-1], _until(part.parts[-1], end)) if part.parts else ()
    return Part(part.start, end, part.name, inner)


def _definitions(scope: Any) -> Iterator[tuple[int, Any, Any]]:
    """Where each begins, with the comments before it; all of it; the definition itself."""
    comments: int | None = None
    for node in _children(scope):
        inner = _definition(node)
        if inner is not None:
            yield (node.start_byte if comments is None else comments), node, inner
            comments = None
        elif "comment" in node.type or node.type == "attribute_item":
            comments = node.start_byte if comments is None else comments
        else:
            comments = None


def _children(scope: Any) -> Iterator[Any]:
    waiting = list(reversed(scope.named_children))
    while waiting:
        node = waiting.pop()
        if _THROUGH.fullmatch(node.type):
            held = node.child_by_field_name("body") or node
            waiting += reversed(held.named_children)
        else:
            yield node


def _definition(node: Any) -> Any | None:
    """The definition that a node is or holds."""
    if _AROUND.fullmatch(node.type):
        held = (_definition(child) for child in node.named_children)
        return next((one for one in held if one is not None), None)
    if not _DEFINITION.fullmatch(node.type):
        return None
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        return node if value is not None and _FUNCTION.fullmatch(value.type) else None
    return node


def _name(node: Any) -> str:
    """What a definition is called: in Go with what it is a method of, in Rust what it implements, in C what it
    declares. Empty where it has no name.
    """
    for field in ("name", "declarator", "type"):
        found = node.child_by_field_name(field)
        while found is not None and field == "declarator" and found.child_by_field_name(field) is not None:
            found = found.child_by_field_name(field)
        if found is not None and found.child_by_field_name("body") is None and found.text:
            return _receiver(node) + _words(found)
    return ""


def _receiver(node: Any) -> str:
    found = node.child_by_field_name("receiver")
    words = _words(found).strip("()").split() if found is not None else []
    return words[-1].lstrip("*") + "." if words else ""


def _words(node: Any) -> str:
    return str(node.text.decode("utf-8", "replace"))


# --- bytes and characters ---


def _in_characters(parts: Sequence[Part], source: bytes) -> tuple[Part, ...]:
    """The same parts, in characters of the text that the bytes are of."""
    places: dict[int, int] = {}
    at = count = 0
    for place in sorted(set(_places(parts))):
        count += len(source[at:place].decode("utf-8"))
        places[place] = count
        at = place
    return _moved(parts, places)


def _places(parts: Iterable[Part]) -> Iterator[int]:
    for one in parts:
        yield from (one.start, one.end)
        yield from _places(one.parts)


def _moved(parts: Iterable[Part], places: dict[int, int]) -> tuple[Part, ...]:
    return tuple(
        Part(places[one.start], places[one.end], one.name, _moved(one.parts, places)) for one in parts
    )

"""YAML 1.2 (core schema) read as plain data, with the place of every key and value, and with limits.

Built on the event stream of PyYAML's parser instead of its constructors: nothing in a file can name a Python object,
nesting cannot exhaust the stack, an alias costs what it expands to, and every node keeps its line and column.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from data_platform.errors import UsageProblem
from data_platform.model.design import Mark
from data_platform.report.finding import Finding
from data_platform.spec.pause import no_collection

MAX_BYTES = 24_000_000
MAX_NODES = 800_000
"""Values after aliases are expanded; each hundred characters of a text count as one more."""
MAX_DEPTH = 64
MAX_FINDINGS = 1000
"""Errors reported at once; more would only take time."""
_TEXT_UNIT = 100

Path_: TypeAlias = tuple[str, ...]
"""Keys from the root; positions in a list are written as digits."""

# https://yaml.org/spec/1.2.2/#103-core-schema
_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL_FLOAT = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)\Z|(\.nan|\.NaN|\.NAN)\Z")
_MAX_DIGITS = 400
_SURROGATE = re.compile("[\ud800-\udfff]")

# https://yaml.org/spec/1.2.2/#51-character-set
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_Loader: type[yaml.Loader] = getattr(yaml, "CLoader", yaml.Loader)


class SpecProblem(UsageProblem):
    """A spec with errors: all of them at once, each a finding with its place, what was expected and what to try."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        first = findings[0]
        count = len(findings)
        super().__init__(f"{count} error{'s' if count > 1 else ''} in {first.file or 'the spec'}")
        self.findings = findings

    def __str__(self) -> str:
        lines = []
        for finding in self.findings:
            lines.append(f"{finding.place}: {finding.message}")
            if finding.fix:
                lines.append(f"  try: {finding.fix}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Document:
    """A spec file as plain data (dict, list, str, int, float, bool, None)."""

    file: str
    sha256: str
    data: Any
    marks: dict[Path_, Mark] = field(repr=False)
    """Where each value stands; for a value in a mapping, where its key stands."""

    def mark(self, path: Path_) -> Mark:
        """The place of `path`, or of its nearest parent that is in the file."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, Mark(1, 1))

    def error(self, path: Path_, rule: str, message: str, fix: str | None = None) -> Finding:
        """An error at `path`."""
        mark = self.mark(path)
        return Finding(
            rule=rule,
            severity="error",
            message=_printable(message),
            evidence="parsed",
            file=self.file,
            line=mark.line,
            column=mark.column,
            object=_printable(".".join(path)) or None,
            fix=_printable(fix) if fix else None,
        )


def read(path: Path) -> Document:
    """The spec in the file `path`; SpecProblem or UsageProblem when it cannot be read."""
    shown = _printable(str(path))
    try:
        raw = _read(path)
    except FileNotFoundError:
        raise UsageProblem(
            "no such file", where=shown, expected="a YAML spec", try_="dpe spec example model > model.yaml"
        ) from None
    except OSError as error:
        raise UsageProblem(f"cannot be read: {error.strerror}", where=shown) from None
    if raw is None:
        what = "this is a directory" if path.is_dir() else "this is not a regular file"
        raise UsageProblem(what, where=shown, expected="a YAML file")
    return parse(raw, shown)


def _read(path: Path) -> bytes | None:
    """At most a byte over the limit, or None for anything but a regular file (a FIFO would wait for ever)."""
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as stream:
        return stream.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else None


def parse(raw: bytes, file: str) -> Document:
    """The spec in `raw`; `file` is only for messages."""
    if len(raw) > MAX_BYTES:
        raise _problem(
            file,
            Mark(1, 1),
            "spec-too-large",
            f"the file is larger than {MAX_BYTES:,} bytes; a spec of this kind is smaller",
            "split the model by store, one spec each",
        )
    body = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        mark = _mark_after(body[: error.start].decode())
        raise _problem(
            file, mark, "spec-not-utf8", "this byte is not UTF-8", "save the file as UTF-8"
        ) from None
    if odd := _CONTROL.search(text):
        message = f"the character U+{ord(odd[0]):04X} is not allowed in YAML"
        raise _problem(
            file, _mark_after(text[: odd.start()]), "spec-not-yaml", message, "remove the character"
        )
    builder = _Builder(file)
    try:
        with no_collection():
            for event in _events(text):
                builder.take(event)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(at.line + 1, at.column + 1) if at else Mark(1, 1)
        if "nesting depth" in (error.problem or ""):  # libyaml's own limit, far above ours
            raise _too_deep(file, mark) from None
        message = "not YAML: " + " ".join(part for part in (error.context, error.problem) if part)
        raise _problem(
            file, mark, "spec-not-yaml", message, "check indentation, colons and quotes here"
        ) from None
    except yaml.reader.ReaderError as error:
        message = f"not YAML: {error.reason}"
        raise _problem(file, Mark(1, 1), "spec-not-yaml", message, "save the file as UTF-8") from None
    return Document(file, hashlib.sha256(raw).hexdigest(), builder.root, builder.marks)


def _mark_after(text: str) -> Mark:
    return Mark(text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _too_deep(file: str, mark: Mark) -> SpecProblem:
    return _problem(file, mark, "spec-too-deep", f"more than {MAX_DEPTH} levels deep", "flatten the spec")


def _problem(file: str, mark: Mark, rule: str, message: str, fix: str) -> SpecProblem:
    finding = Finding(
        rule=rule,
        severity="error",
        message=_printable(message),
        evidence="parsed",
        file=file,
        line=mark.line,
        column=mark.column,
        fix=fix,
    )
    return SpecProblem((finding,))


def _events(text: str) -> Iterator[Any]:
    loader = _Loader(text)
    try:
        while loader.check_event():
            yield loader.get_event()  # type: ignore[no-untyped-call]
    finally:
        loader.dispose()


@dataclass
class _Open:
    """A mapping or list whose end has not come yet."""

    value: dict[str, Any] | list[Any]
    path: Path_
    anchor: str | None
    mark: Mark
    key: str | None = None
    size: int = 1


class _Builder:
    """Turns events into data with an explicit stack."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Any = None
        self.marks: dict[Path_, Mark] = {}
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open_anchors: set[str] = set()
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """One event of the parser."""
        mark = Mark(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._refuse(mark, "spec-many-documents", "a second YAML document", "keep one per file")
        elif isinstance(event, yaml.ScalarEvent):
            self._check_tag(event, mark)
            self._scalar(event, mark)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), mark)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._check_tag(event, mark)
            self._start({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor, mark)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end()

    def _refuse(self, mark: Mark, rule: str, message: str, fix: str) -> SpecProblem:
        return _problem(self.file, mark, rule, message, fix)

    def _check_tag(self, event: Any, mark: Mark) -> None:
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            tag = _printable(event.tag)[:80]
            raise self._refuse(
                mark, "spec-tag", f"the tag {tag} is not allowed", "write the value without a tag"
            )

    def _scalar(self, event: Any, mark: Mark) -> None:
        if "\0" in event.value or _SURROGATE.search(event.value):
            message = "a text cannot hold NUL or half a surrogate pair"
            raise self._refuse(mark, "spec-character", message, "remove the escape")
        if self._expects_key():
            self._key(event.value, mark)
            return
        plain = event.style in (None, "") and event.tag is None
        value = resolve(event.value) if plain else event.value
        size = 1 + len(event.value) // _TEXT_UNIT
        if event.anchor:
            self._anchors[event.anchor] = (value, size)
        self._add(value, size, mark)

    def _alias(self, anchor: str, mark: Mark) -> None:
        if self._expects_key():
            raise self._refuse(mark, "spec-key", "a key must be plain text", "write the key out")
        if anchor in self._open_anchors:
            raise self._refuse(
                mark,
                "spec-alias-cycle",
                f"the alias *{anchor} stands inside its own anchor",
                "write the value out",
            )
        if anchor not in self._anchors:
            raise self._refuse(mark, "spec-alias", f"no anchor &{anchor} before this", "write the value out")
        value, size = self._anchors[anchor]
        self._add(value, size, mark)

    def _start(self, value: dict[str, Any] | list[Any], anchor: str | None, mark: Mark) -> None:
        if self._expects_key():
            raise self._refuse(
                mark, "spec-key", "a key must be plain text", "quote the key if it is meant as text"
            )
        if len(self._stack) >= MAX_DEPTH:
            raise _too_deep(self.file, mark)
        path = self._add(value, 0, mark)
        self._stack.append(_Open(value, path, anchor, mark))
        if anchor:
            self._open_anchors.add(anchor)

    def _end(self) -> None:
        done = self._stack.pop()
        if done.anchor:
            self._open_anchors.discard(done.anchor)
            self._anchors[done.anchor] = (done.value, done.size)
        self._count(1, done.mark)
        if self._stack:
            self._stack[-1].size += done.size

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def _key(self, key: str, mark: Mark) -> None:
        parent = self._stack[-1]
        assert isinstance(parent.value, dict)
        if key in parent.value:
            first = self.marks[(*parent.path, key)]
            raise self._refuse(
                mark,
                "spec-duplicate-key",
                f"the key `{_printable(key)[:80]}` is here twice; the first is in line {first.line}",
                "remove one or rename it",
            )
        size = len(key) // _TEXT_UNIT
        self._count(size, mark)
        parent.size += size
        parent.key = key
        self.marks[(*parent.path, key)] = mark

    def _add(self, value: Any, size: int, mark: Mark) -> Path_:
        self._count(size, mark)
        if not self._stack:
            self.root = value
            self.marks[()] = mark
            return ()
        parent = self._stack[-1]
        parent.size += size
        if isinstance(parent.value, dict):
            assert parent.key is not None
            parent.value[parent.key] = value
            path = (*parent.path, parent.key)
            parent.key = None
        else:
            path = (*parent.path, str(len(parent.value)))
            parent.value.append(value)
            self.marks[path] = mark
        return path

    def _count(self, size: int, mark: Mark) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise self._refuse(
                mark,
                "spec-too-many-values",
                f"more than {MAX_NODES:,} values once aliases are expanded",
                "remove the aliases or split the spec",
            )


def resolve(text: str) -> Any:
    """The value of a plain scalar in the core schema: `no`, `on` and `12:30` are text, as they look."""
    if text[:1].isalpha() and text[0] not in "nNtTfF":
        return text
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text.lower() == "true"
    if len(text) <= _MAX_DIGITS:
        if _INT.match(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.match(text):
            return float(text)
        if _SPECIAL_FLOAT.match(text):
            return float(text.replace(".", ""))
    return text

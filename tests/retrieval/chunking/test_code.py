"""Source code: whole definitions, their qualified names, and nothing lost of any text that is called code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_platform.retrieval.chunking import Chunk, Document, chunked
from data_platform.retrieval.chunking.grammars import Part, parts_of
from data_platform.spec.retrieval import Chunking

SOURCES = {
    "a.py": "import os\n\n# of f\n@d\ndef f():\n  return 'é👩‍👧'\n\nclass A(B):\n  def m(self):\n    pass\n",
    "a.js": "// of f\nexport default function f() {}\nclass A { m() { return '中' } }\nconst g = () => 1\n",
    "a.ts": "interface I { a: string }\nnamespace N { export function f() {} }\nabstract class B { m(): void {} }\n",
    "a.tsx": "export function C() { return <div/> }\n",
    "a.go": "package a\n\n// of F\nfunc F() {}\nfunc (s *S) M() {}\ntype S struct { a int }\n",
    "a.java": "/** é */\npublic class A { A() {} int m() { return 1; } interface B { void x(); } }\nenum E {X}\n",
    "a.rs": "/// é\n#[derive(Debug)]\nstruct S { a: i32 }\nimpl S { fn m(&self) {} }\nmod x { pub fn y() {} }\n",
    "a.h": "#ifndef A\n#define A\nstatic int *f(int a) { return 0; }\ntypedef struct { int x; } P;\n#endif\n",
    "a.cpp": 'namespace n { class A { public: void m() {} }; }\nvoid A::x() {}\nextern "C" { int q() { return 1; } }\n',
    "a.cs": "namespace N { class A { void M() {} A() {} } }\n",
    "a.rb": "module M\n  class A\n    def m; end\n    def self.s; end\n  end\nend\n",
    "a.php": "<?php\nfunction f() {}\nclass A { function m() {} }\n",
}
NAMES = {
    "a.py": ["f", "A", "A.m"],
    "a.js": ["f", "A", "A.m", "g"],
    "a.ts": ["I", "N", "N.f", "B", "B.m"],
    "a.tsx": ["C"],
    "a.go": ["F", "S.M", "S"],
    "a.java": ["A", "A.A", "A.m", "A.B", "A.B.x", "E"],
    "a.rs": ["S", "S", "S.m", "x", "x.y"],
    "a.h": ["f", "P"],
    "a.cpp": ["n", "n.A", "n.A.m", "A::x", "q"],
    "a.cs": ["N", "N.A", "N.A.M", "N.A.A"],
    "a.rb": ["M", "M.A", "M.A.m", "M.A.s"],
    "a.php": ["f", "A", "A.m"],
}
FRAGMENTS = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from([f"{line}\n" for text in SOURCES.values() for line in text.split("\n")]),
        st.sampled_from(list(SOURCES.values())),
    ),
    max_size=10,
).map("".join)


def cut(text: str, size: int, uri: str, overlap: int = 0) -> tuple[Chunk, ...]:
    return chunked(Document(uri=uri, text=text), Chunking(strategy="code", size=size, overlap=overlap))


def names(parts: tuple[Part, ...], path: str = "") -> list[str]:
    found = []
    for one in parts:
        if one.name:
            found.append(path + one.name)
            found += names(one.parts, f"{path}{one.name}.")
    return found


@pytest.mark.parametrize("uri", SOURCES)
def test_each_language_has_its_definitions(uri: str) -> None:
    assert names(parts_of(SOURCES[uri], uri)) == NAMES[uri]


@given(
    uri=st.sampled_from(list(SOURCES)), text=FRAGMENTS, size=st.integers(10, 60), overlap=st.integers(0, 9)
)
def test_laws(uri: str, text: str, size: int, overlap: int) -> None:
    chunks = cut(text, size, uri, overlap)
    covered = bytearray(len(text))
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert 0 < len(chunk.text) <= size
        covered[chunk.start : chunk.end] = b"\1" * len(chunk.text)
    assert not "".join(c for c, seen in zip(text, covered, strict=True) if not seen).strip()
    assert [c.start for c in chunks] == sorted(c.start for c in chunks)
    assert len({c.id for c in chunks}) == len(chunks)


@given(
    uri=st.sampled_from(list(SOURCES)),
    text=FRAGMENTS | st.text(alphabet=st.characters(codec=None), max_size=30),
)
def test_parts_are_all_of_the_text_whatever_it_is(uri: str, text: str) -> None:
    """Lone surrogates too, which no UTF-8 has."""

    def whole(parts: tuple[Part, ...], start: int, end: int) -> None:
        assert "".join(text[p.start : p.end] for p in parts) == text[start:end]
        for one in parts:
            assert start <= one.start < one.end <= end
            if one.parts:
                whole(one.parts, one.start, one.end)

    whole(parts_of(text, uri), 0, len(text))


def test_what_does_not_fit_is_cut_into_its_own_definitions() -> None:
    method = "    def {}(self):\n        # é\n        return 1\n\n"
    text = "class Big:\n    'Document.'\n\n" + "".join(method.format(f"m{n}") for n in range(4))
    chunks = cut(text, 60, "a.py")
    assert [c.headings for c in chunks] == [("Big",), *(("Big", f"m{n}") for n in range(4))]
    assert all(c.text.startswith("def m") and c.text.endswith("return 1") for c in chunks[1:])


def test_a_comment_stays_with_what_it_is_about() -> None:
    first, second = cut(
        "// about a\nfunction a() {\n  return 1\n}\n// about b\nfunction b() {}\n", 45, "a.js"
    )
    assert first.text.startswith("// about a")
    assert second.text.startswith("// about b")
    assert (first.headings, second.headings) == (("a",), ("b",))


def test_nesting_without_end_is_cut_all_the_same() -> None:
    text = "".join("  " * n + f"class A{n}:\n" for n in range(200)) + "  " * 200 + "pass\n"
    assert "".join("".join(c.text.split()) for c in cut(text, 500, "a.py")) == "".join(text.split())


def test_a_language_without_a_grammar_is_cut_by_its_indentation() -> None:
    text = "defun a\n  one\n\ndefun b\n  two\n"
    assert [c.text for c in cut(text, 16, "a.lisp")] == ["defun a\n  one", "defun b\n  two"]

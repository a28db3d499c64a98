"""Documents from files: what is in them, and a clear error for what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from data_platform.errors import UsageProblem
from data_platform.retrieval.chunking import Document, chunked
from data_platform.retrieval.chunking.reading import documents
from data_platform.spec.retrieval import Chunking, Source

HTML = """<html><head><title>A page</title><style>p {color: red}</style></head><body>
<h1>First <b>head</b></h1><p>Some   words<br>and more.</p><script>alert(1)</script>
<h2>Second</h2><ul><li>one</li><li>two</li></ul><pre>a  b
 c</pre></body></html>"""


def read(folder: Path, path: str, **source: object) -> list[Document]:
    return list(documents([Source(path=path, **source)], folder))  # type: ignore[arg-type]


def test_html_is_read_as_a_browser_shows_it(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(HTML)
    (page,) = read(tmp_path, "a.html")
    assert page.title == "A page"
    assert page.text == "First head\nSome words\nand more.\nSecond\none\ntwo\na  b\n c\n"
    assert page.headings == ((0, 1, "First head"), (page.text.index("Second"), 2, "Second"))
    chunks = chunked(page, Chunking(strategy="markdown", size=40))
    assert chunks[-1].headings == ("First head", "Second")


def pdf(path: Path, words: str) -> None:
    writer = PdfWriter()
    page = writer.add_blank_page(200, 200)
    font = DictionaryObject(
        {
            NameObject(k): NameObject(v)
            for k, v in (("/Type", "/Font"), ("/Subtype", "/Type1"), ("/BaseFont", "/Helvetica"))
        }
    )
    page[NameObject("/Resources")] = DictionaryObject(
        {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
    )
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F1 12 Tf 10 100 Td ({words}) Tj ET".encode())
    page[NameObject("/Contents")] = writer._add_object(stream)
    writer.write(path)


def test_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    pdf(tmp_path / "a.pdf", "Words of a page")
    (found,) = read(tmp_path, "a.pdf")
    assert "Words of a page" in found.text
    assert chunked(found, Chunking(strategy="markdown"))[0].headings == ("page 1",)


def test_lines_of_json_are_documents_with_filters(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"key": 7, "body": "words", "kind": "faq"}\n\n{"key": 8, "body": "more"}\n'
    )
    fields = {"id": "key", "text": "body", "category": "kind"}
    first, second = read(tmp_path, "a.jsonl", fields=fields, metadata={"lang": "en"})
    assert (first.uri, first.text, dict(first.metadata)) == (
        "a.jsonl#7",
        "words",
        {"lang": "en", "category": "faq"},
    )
    assert second.metadata["category"] is None


def test_folders_and_patterns_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "c/d.txt", "e.bin"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# {name}\n")
    assert [d.uri for d in read(tmp_path, ".")] == ["a.md", "b.md", "c/d.txt"]
    assert [d.uri for d in read(tmp_path, "**/*.md")] == ["a.md", "b.md"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"ok \xff", "byte 4 is no UTF-8"),
        ("a.pdf", b"nonsense", "no PDF that can be read"),
        ("a.jsonl", b"{nonsense", "a.jsonl:1"),
        ("a.jsonl", b'{"id": 1}', "no `text`"),
        ("a.xyz", b"?", "what is in a .xyz file"),
        ("b.txt", b"", "no such file"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageProblem) as told:
        read(tmp_path, name if name != "b.txt" else "missing.txt")
    assert message in str(told.value)


def test_a_byte_order_mark_is_no_text_and_ids_are_of_the_address(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfwords")
    (found,) = read(tmp_path, "a.txt")
    assert found.text == "words"
    assert found.id == Document(uri="a.txt", text="other").id != Document(uri="a.txt", text="", tenant="t").id

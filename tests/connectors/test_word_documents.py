"""Word documents from templates: what is filled where, lists, looks that stay, and templates that would do harm."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest
from pydantic import ValidationError

from flowledger.connectors import word
from flowledger.connectors.document import CHARS_MAX, DocumentConfig
from flowledger.connectors.frame import Failed
from flowledger.events import commands as c
from flowledger.infra import blobs as b
from flowledger.infra.settings import Settings
from flowledger.processors.client import Caller
from tests.connectors.conftest import running
from tests.connectors.test_document_connector import engine, model  # noqa: F401 - a fixture
from tests.connectors.test_stored_answers import until

#: a box of text, as Word has it
BOX = (
    '<w:r xmlns:w="{w}"><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textbox><w:txbxContent><w:p><w:r><w:t>{text}</w:t></w:r></w:p>'
    "</w:txbxContent></v:textbox></v:shape></w:pict></w:r>"
)
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def made(*paragraphs: str, row: tuple[str, ...] = (), footer: str = "", box: str = "") -> str:
    """A template as base64."""
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if row:
        table = document.add_table(rows=2, cols=len(row))
        for i, text in enumerate(row):
            table.rows[0].cells[i].text, table.rows[1].cells[i].text = f"head {i}", text
    if footer:
        document.sections[0].footer.paragraphs[0].text = footer
    if box:
        from docx.oxml import parse_xml

        document.add_paragraph("around {{ id }} ")._p.append(parse_xml(BOX.format(w=W, text=box)))
    return packed(document)


def packed(document: Any) -> str:
    out = io.BytesIO()
    document.save(out)
    return base64.b64encode(out.getvalue()).decode()


def filled(template: str, most: int = CHARS_MAX, **data: Any) -> Any:
    return docx.Document(io.BytesIO(word.filled(template, data, most)))


def told(document: Any) -> list[str]:
    return [p.text for p in document.paragraphs]


@pytest.mark.req("APG-CON-009")
def test_texts_tables_and_footers_are_filled():
    rows = [{"name": "pen", "price": 1}, {"name": "<b> & ink", "price": 2}]
    template = made(
        "For {{ who }}: {{ count(rows) }}", row=("{{ for r in rows }}{{ r.name }}", "{{ r.price * 2 }}"), footer="order {{ id }}"
    )
    found = filled(template, who="Ann", rows=rows, id="7")
    assert told(found) == ["For Ann: 2"] and found.sections[0].footer.paragraphs[0].text == "order 7"
    assert [[cell.text for cell in r.cells] for r in found.tables[0].rows] == [["head 0", "head 1"], ["pen", "2"], ["<b> & ink", "4"]]
    assert len(filled(template, who="Ann", rows=[], id="7").tables[0].rows) == 1


def test_paragraphs_are_repeated_and_lines_are_breaks():
    found = filled(
        made("{{ for n in notes }}* {{ n }}", "{{ text }}|{{ nothing }}"), notes=["a", "b"], text="one\r\ntwo\tthree\x00", nothing=None
    )
    assert told(found) == ["* a", "* b", "one\ntwo\tthree\ufffd|"]


def test_a_place_that_word_has_cut_into_pieces_looks_as_its_first():
    document = docx.Document()
    paragraph = document.add_paragraph("Dear ")
    for text, bold in (("{{ cust", True), ("omer.na", False), ("me }}", None), (", thanks", None)):
        paragraph.add_run(text).bold = bold
    found = filled(packed(document), customer={"name": "Ann"})
    assert [(r.text, r.bold) for r in found.paragraphs[0].runs if r.text] == [("Dear ", None), ("Ann", True), (", thanks", None)]


def test_data_is_never_a_template():
    found = filled(made("{{ who }} {{ who }}", "{{ for w in all }}{{ w }}", box="in {{ who }}"), who="{{ 1 + 1 }}", all=["{{ who }}"], id=1)
    assert told(found) == ["{{ 1 + 1 }} {{ 1 + 1 }}", "{{ who }}", "around 1 "]
    assert "in {{ 1 + 1 }}" in found.element.xml


def test_the_same_data_are_the_same_bytes():
    template = made("{{ who }}")
    assert (
        word.filled(template, {"who": 1}, CHARS_MAX)
        == word.filled(template, {"who": 1}, CHARS_MAX)
        != word.filled(template, {"who": 2}, CHARS_MAX)
    )


def archive(*parts: tuple[str, bytes]) -> str:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts:
            made.writestr(name, data)
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("?", "base64"), ("eA==", "expected a .docx file"), (archive(("a", b"x")), "that can be read"), (archive(("word/vbaProject.bin", b"x")), "without macros"),
        (archive(*((f"{i}", b"") for i in range(word.PARTS_MAX + 1))), "at most 500 parts"), (archive(("a", b"0" * (word.BYTES_MAX + 1))), "bytes, unpacked"),
        (made("{{ 1 / }}"), "{{1 /}}"), (made("{{ for r in 1 / }}"), "1 /"), ("A" * (word.BASE64_CHARS_MAX + 4), "at most 1400000"),
    ],
)  # fmt: skip
def test_templates_that_are_refused_at_deployment(template: str, words: str):
    with pytest.raises(ValidationError) as e:
        DocumentConfig.model_validate({"fileName": "a.docx", "docx": template})
    assert words in str(e.value), str(e.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"docx": made("x"), "fileName": "a.txt"}, "expected a name that ends with .docx"), ({"docx": made("x"), "template": "x"}, "expected one of"),
        ({"docx": made("x"), "mediaType": "text/plain"}, "expected none"),
    ],
)  # fmt: skip
def test_configurations_that_are_refused(given: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        DocumentConfig.model_validate({"fileName": "a.docx", **given})


def test_nothing_outside_is_read_and_nothing_expands():
    """An entity of a template stays what it is: no file of the server gets into a document."""
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(made("here {{ who }}")))) as old:
        parts = [(name, old.read(name)) for name in old.namelist()]
    bad = [
        (n, d.replace(b"<w:document", b'<!DOCTYPE w:document [<!ENTITY e SYSTEM "file:///etc/passwd">]><w:document', 1).replace(b"here ", b"&e;"))
        if n == "word/document.xml" else (n, d)
        for n, d in parts
    ]  # fmt: skip
    found = word.filled(archive(*bad), {"who": 1}, CHARS_MAX)
    with zipfile.ZipFile(io.BytesIO(found)) as new:
        assert b"root:" not in new.read("word/document.xml")


def test_what_is_too_much():
    template = made("{{ for n in notes }}{{ n }}")
    with pytest.raises(Failed, match="at most 100000 places") as e:
        filled(template, most=1 << 30, notes=[""] * (word.PLACES_MAX // 2 + 1))
    assert e.value.code == "DOCUMENT_TOO_LARGE"
    with pytest.raises(Failed, match="at most 60000 bytes"):
        filled(template, most=60_000, notes=["x" * 30_001] * 2)
    assert told(filled(template, most=60_000, notes=["x" * 29_000] * 2)) == ["x" * 29_000] * 2
    with pytest.raises(Failed, match="expected a list"):
        filled(template, notes=7)


def test_what_is_repeated_has_a_limit_with_its_looks(monkeypatch):
    """A row of little text and a megabyte of XML, which packs to nothing, for each of a list."""
    document = docx.Document()
    run = document.add_paragraph("{{ for n in notes }}").add_run("{{ n }}")
    run.font.name = "x" * 1_000_000
    template = packed(document)
    assert len(template) < 100_000
    monkeypatch.setattr(word, "REPEATED_MAX", 5_000_000)
    assert told(filled(template, notes=["a"] * 2)) == ["a", "a"]
    with pytest.raises(Failed, match="at most 5000000 bytes of repeated") as e:
        filled(template, notes=["a"] * 5)
    assert e.value.code == "DOCUMENT_TOO_LARGE"


async def test_a_model_writes_one_and_a_second_delivery_is_the_same_file(engine, tmp_path: Path):  # noqa: F811
    task = (
        model(("doc", "letter.docx", "TEMPLATE"))
        .resources[0]
        .content.replace('key="template" value="TEMPLATE"', f'key="docx" value="{made("For {{ who }}")}"')
    )
    found = await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", task)]), Caller())
    assert isinstance(found, dict), found
    async with running(engine, data=tmp_path):
        instance = engine.owners[0].state.instances[
            (await engine.call(c.StartInstance(id="p", variables={"who": "Ann", "rows": []})))["key"]
        ]
        await until(lambda: any(t.element == "u" for t in instance.tokens.values()))
    kept = instance.vars["doc"]["document"]
    assert kept["mediaType"] == word.MEDIA_TYPE and [f["name"] for f in instance.files] == ["letter.docx"]
    data = b"".join([p async for p in b.blobs_of(Settings(data=tmp_path)).read("", kept["sha256"])])
    assert told(docx.Document(io.BytesIO(data))) == ["For Ann"]

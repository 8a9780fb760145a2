"""Odd input on the command line: one sentence that names what was wrong, exit code 2, JSON on request, and nothing sent to the server."""

from __future__ import annotations

import codecs
import io
import json
from pathlib import Path

import pytest

VARIABLES = {
    "no-json": ("{", "must be JSON such as"),
    "list": ("[]", "must be a JSON object, found a list"),
    "number": ("1", "found a number"),
    "null": ("null", "found null"),
    "twice": ('{"a": 1, "a": 2}', "each name once in an object, found 'a' twice"),
    "twice-inside": ('{"x": [{"a": 1, "\\u0061": 2}]}', "found 'a' twice"),
    "deep": ('{"a": ' + "[" * 200 + "]" * 200 + "}", "at most 100 levels"),
    "too-deep": ('{"a": ' + "[" * 9000 + "]" * 9000 + "}", "at most 100 levels"),
}


@pytest.mark.parametrize("by", ["text", "file", "stdin"])
@pytest.mark.parametrize("name", VARIABLES)
def test_variables_that_are_none(command_line, tmp_path, monkeypatch, name, by):
    given, said = VARIABLES[name]
    if by == "file":
        (tmp_path / "v.json").write_text(given)
    if by == "stdin":
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
    asked = {"text": given, "file": f"@{tmp_path / 'v.json'}", "stdin": "-"}[by]
    code, out, err = command_line("start", "p", "--vars", asked, "--server", "http://127.0.0.1:1")
    assert (code, out) == (2, "") and said in err and "--vars" in err
    if by != "stdin":
        code, out, _ = command_line("start", "p", "--vars", asked, "--json")
        assert code == 2 and said in json.loads(out)["error"]["message"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), (b'{"a": "\xe9"}', "must be text in UTF-8, byte 7 isn't"), ("folder", "Is a directory")],
    ids=["missing", "latin-1", "folder"],
)
@pytest.mark.parametrize(
    "command",
    [("start", "p", "--vars", "@{}"), ("dead-letters", "replay", "1", "--command", "@{}"), ("triggers", "test", "t", "--file", "{}"),
     ("migrate", "1", "--to", "p", "--mapping", "@{}"), ("deploy", "{}"), ("replay", "p", "--model", "{}"), ("profiles", "put", "{}")],
    ids=lambda c: c[0],
)  # fmt: skip
def test_files_that_cannot_be_read_are_named(command_line, tmp_path, command, content, said):
    file = tmp_path / "given.json"
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    code, out, err = command_line(*(part.format(file) for part in command), "--server", "http://127.0.0.1:1")
    assert (code, out) == (2, ""), err
    assert (
        "given.json" in err
        and (said in err or "is a directory" in err or "found none in it" in err or "does not exist" in err)
        and "Error" not in err.split(":")[1]
    )


@pytest.mark.parametrize("bom", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE], ids=["utf-8", "utf-16"])
def test_a_byte_order_mark_says_how_a_file_is_written(command_line, tmp_path, bom):
    """As editors of Windows write them: here it fails only since nobody answers."""
    encoding = "utf-8" if bom == codecs.BOM_UTF8 else "utf-16-le"
    file = tmp_path / "v.json"
    file.write_bytes(bom + '{"name": "Zoë"}'.encode(encoding))
    code, _, err = command_line("start", "p", "--vars", f"@{file}", "--server", "http://127.0.0.1:1")
    assert code == 3 and "no server answers" in err


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:x", "ftp://x", "http://"])
def test_addresses_that_are_none(command_line, url):
    code, out, err = command_line("instances", "--server", url)
    assert (code, out) == (2, "") and "--server must be like" in err


@pytest.mark.parametrize("id", ["", "..", ".", "../x", "a//b", "a/"])
@pytest.mark.parametrize("verb", ["show", "cancel", "complete", "suspend", "history", "retry"])
def test_ids_that_would_name_something_else(command_line, verb, id):
    """`cancel ''` asked for another route, and `show ..` for a list."""
    code, out, err = command_line(verb, id, "--server", "http://127.0.0.1:1")
    assert (code, out) == (2, "") and "an id or a name was expected" in err


def test_a_model_in_an_encoding_nobody_knows_or_without_anything(command_line, tmp_path):
    file = tmp_path / "m.bpmn"
    file.write_text('<?xml version="1.0" encoding="klingon"?><definitions/>')
    code, _, err = command_line("deploy", file, "--server", "http://127.0.0.1:1")
    assert code == 2 and "m.bpmn: unknown encoding: klingon" in err
    file.write_text(" \n")
    code, _, err = command_line("deploy", file, "--server", "http://127.0.0.1:1")
    assert code == 1 and "m.bpmn: expected a model, found an empty file" in err


@pytest.mark.parametrize("where", ["folder", "missing/x.bpmn"])
def test_a_place_that_cannot_be_written_to(command_line, tmp_path, where):
    (tmp_path / "folder").mkdir()
    model = tmp_path / "p.json"
    model.write_text('{"id": "p", "flow": [{"task": "a"}]}')
    code, out, err = command_line("convert", model, "-o", tmp_path / where)
    assert (code, out) == (2, "") and err.startswith(f"flowledger: {tmp_path / where}: ") and "Errno" not in err


def test_what_cannot_be_read_is_one_json_document(command_line, tmp_path):
    file = tmp_path / "x.json"
    file.write_text("{")
    code, out, _ = command_line("inspect", file, "--json")
    assert code == 1 and json.loads(out)[0]["format"] is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device on this system")
def test_a_full_disk_is_one_sentence(command_line, tmp_path):
    model = tmp_path / "p.json"
    model.write_text('{"id": "p", "flow": [{"task": "a"}]}')
    code, _, err = command_line("convert", model, "-o", "/dev/full")
    assert code == 1 and "No space left on device" in err and "Errno" not in err

"""Bundles without a server: the same bytes for the same content, hostile files, folders, and what would be done (tables)."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from pathlib import Path

import pytest

from flowledger.infra.cli.bundles import archive, content, folder
from flowledger.infra.cli.bundles.content import Bundle, Resource, Setting, Wrong, checked, defined_in
from flowledger.infra.cli.bundles.environment import Serving, There
from flowledger.infra.cli.bundles.plan import made
from flowledger.sdk import Flow

pytestmark = pytest.mark.req("APG-HA-012", "APG-HA-010")
DMN = """<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="n"><decision id="rate" name="rate">
<variable name="rate"/><literalExpression><text>{}</text></literalExpression></decision></definitions>"""


def model(id: str = "p", n: int = 1) -> str:
    return Flow(id).start().service(f"t{n}", job="work").end().xml().decode()


def resource(name: str, text: str) -> Resource:
    return Resource(name, text, defined_in(name, text)[0] or ())


def bundle(*files: tuple[str, str], settings: tuple[Setting, ...] = ()) -> Bundle:
    return checked([resource(*f) for f in files], settings, "here")


WHOLE = bundle(("sub/p.bpmn", model()), ("rate.dmn", DMN.format(1)), settings=(Setting("process", "p", 20.5),))


def test_the_same_content_is_the_same_file_and_comes_back_whole(tmp_path):
    data = archive.packed(WHOLE)
    again = bundle(("rate.dmn", DMN.format(1)), ("sub/p.bpmn", model()), settings=(Setting("process", "p", 20.5),))
    assert data == archive.packed(again) and archive.unpacked(data, "x") == WHOLE
    file = tmp_path / "b.zip"
    assert archive.save(WHOLE, file) == len(data) and archive.load(file) == WHOLE and os.listdir(tmp_path) == ["b.zip"]
    manifest = json.loads(zipfile.ZipFile(file).read("manifest.json"))
    assert manifest["format"] == "flowledger-bundle" and [r["name"] for r in manifest["resources"]] == ["rate.dmn", "sub/p.bpmn"]
    assert {d["kind"] for d in manifest["resources"][0]["definitions"]} == {"drg", "decision"}


def rewritten(change) -> bytes:
    """The file with its entries (name -> bytes) changed."""
    entries = {
        i.filename: zipfile.ZipFile(io.BytesIO(archive.packed(WHOLE))).read(i)
        for i in zipfile.ZipFile(io.BytesIO(archive.packed(WHOLE))).infolist()
    }
    manifest = json.loads(entries["manifest.json"])
    change(entries, manifest)
    if "manifest.json" in entries:
        entries["manifest.json"] = json.dumps(manifest).encode() if entries["manifest.json"] is not None else b"{"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in entries.items():
            z.writestr(name, data)
    return out.getvalue()


def _first(manifest):
    return manifest["resources"][0]


HOSTILE = {
    "no zip": (lambda: b"PK" * 50, "zip file"),
    "empty": (lambda: b"", "zip file"),
    "cut": (lambda: archive.packed(WHOLE)[:200], "zip file"),
    "no manifest": (lambda: rewritten(lambda e, m: e.pop("manifest.json")), "no bundle"),
    "manifest is no JSON": (lambda: rewritten(lambda e, m: e.__setitem__("manifest.json", None)), "manifest.json"),
    "another format": (lambda: rewritten(lambda e, m: m.update(format="x")), "format"),
    "a later version": (lambda: rewritten(lambda e, m: m.update(version=2)), "flowledger-bundle 1, found"),
    "a file beside": (lambda: rewritten(lambda e, m: e.__setitem__("../../etc/passwd", b"x")), "passwd"),
    "a file is missing": (lambda: rewritten(lambda e, m: e.pop(_first(m)["path"])), "names"),
    "a path that climbs": (lambda: rewritten(lambda e, m: _first(m).update(path="../../etc/passwd")), "names"),
    "one path twice": (lambda: rewritten(lambda e, m: m["resources"].append(_first(m))), "names"),
    "changed": (lambda: rewritten(lambda e, m: e.__setitem__(_first(m)["path"], b"<x/>")), "changed or is damaged"),
    "no text": (lambda: rewritten(lambda e, m: e.__setitem__(_first(m)["path"], b"\xff\xfe\xff")), "UTF-8"),
    "it defines something else": (lambda: rewritten(lambda e, m: _first(m)["definitions"][1].update(id="other")), "doesn't define"),
    "settings of nothing": (lambda: rewritten(lambda e, m: m.update(settings=[{"kind": "process", "id": "q"}])), "isn't among"),
    "settings twice": (lambda: rewritten(lambda e, m: m["settings"].extend(m["settings"])), "twice"),
    "a share too large": (lambda: rewritten(lambda e, m: m["settings"][0].update(share=101)), "0 to 100"),
    "settings of a decision": (
        lambda: rewritten(lambda e, m: m.update(settings=[{"kind": "decision", "id": "rate", "share": 5}])),
        "processes",
    ),
    "an unknown setting": (lambda: rewritten(lambda e, m: m["settings"][0].update(moon=1)), "moon"),
}


@pytest.mark.parametrize("case", list(HOSTILE))
def test_a_hostile_file_is_refused_with_what_was_expected(case):
    make, told = HOSTILE[case]
    with pytest.raises(Wrong, match="it.zip") as wrong:
        archive.unpacked(make(), "it.zip")
    assert told in str(wrong.value) and len(str(wrong.value)) < 500


def test_what_a_later_release_says_more_is_passed_over():
    assert archive.unpacked(rewritten(lambda e, m: m.update(triggers=[{"name": "x"}])), "x") == WHOLE


def test_bombs_are_not_unpacked(monkeypatch):
    monkeypatch.setattr(archive, "RESOURCE_BYTES_MAX", 100_000)
    monkeypatch.setattr(archive, "BYTES_MAX", 150_000)

    def bomb(e, m):
        e[_first(m)["path"]] = b" " * 50_000_000

    with pytest.raises(Wrong, match="at most 100000 bytes"):
        archive.unpacked(rewritten(bomb), "x")
    lying = bytearray(rewritten(bomb))
    for sign, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):  # it says that it is small: sizes before packing, of each entry
        place = -1
        while (place := lying.find(sign, place + 1)) >= 0:
            if struct.unpack_from("<L", lying, place + at)[0] == 50_000_000:
                struct.pack_into("<L", lying, place + at, 10)
    with pytest.raises(Wrong):
        archive.unpacked(bytes(lying), "x")

    def both(e, m):
        for r in m["resources"]:
            e[r["path"]] = b" " * 90_000
            r["bytes"] = 90_000

    with pytest.raises(Wrong):
        archive.unpacked(rewritten(both), "x")


def test_limits_at_their_edges(monkeypatch, tmp_path):
    monkeypatch.setattr(content, "RESOURCES_MAX", 2)
    monkeypatch.setattr(archive, "RESOURCES_MAX", 2)
    monkeypatch.setattr(folder, "RESOURCES_MAX", 2)
    assert archive.unpacked(archive.packed(WHOLE), "x") == WHOLE
    with pytest.raises(Wrong, match="at most 2"):
        bundle(("a.bpmn", model("a")), ("b.bpmn", model("b")), ("c.bpmn", model("c")))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as z:
        for n in range(4):
            z.writestr(f"f{n}", b"")
    with pytest.raises(Wrong, match="found 4 entries"):
        archive.unpacked(many.getvalue(), "x")
    for n in "abc":
        (tmp_path / f"{n}.bpmn").write_text(model(n))
    with pytest.raises(Wrong, match="at most 2 models"):
        folder.load(tmp_path)
    (tmp_path / "c.bpmn").unlink()
    assert len(folder.load(tmp_path)[0].resources) == 2
    size = sum(len(r.data) for r in WHOLE.resources)
    monkeypatch.setattr(content, "BYTES_MAX", size)
    assert checked(WHOLE.resources, (), "x")
    monkeypatch.setattr(content, "BYTES_MAX", size - 1)
    with pytest.raises(Wrong, match=f"found {size}"):
        checked(WHOLE.resources, (), "x")
    monkeypatch.setattr(archive, "FILE_BYTES_MAX", 10)
    with pytest.raises(Wrong, match="at most 10 bytes"):
        archive.unpacked(archive.packed(WHOLE), "x")


def test_a_folder_is_read_without_what_is_hidden(tmp_path):
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "p.bpmn").write_text(model("p"))
    (tmp_path / "sub" / "deep" / "rate.dmn").write_text(DMN.format(1))
    for hidden in (".git", ".venv", "sub/.cache"):
        (tmp_path / hidden).mkdir()
        (tmp_path / hidden / "q.bpmn").write_text(model("q"))
    (tmp_path / ".r.bpmn").write_text(model("r"))
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "README.md").write_text("# no model")
    (tmp_path / "order.flowtest.yaml").write_text("tests: []")
    (tmp_path / "flowledger.rollouts.yaml").write_text("- id: p\n  share: 12.5\n")
    found, findings, passed = folder.load(tmp_path)
    assert [r.name for r in found.resources] == ["sub/deep/rate.dmn", "sub/p.bpmn"]
    assert found.settings == {("process", "p"): Setting("process", "p", 12.5)}
    assert not [f for f in findings if f["severity"] == "error"] and passed == ["package.json"]
    hidden_above = tmp_path / ".hidden" / "repo"
    hidden_above.mkdir(parents=True)
    (hidden_above / "p.bpmn").write_text(model("p"))
    assert len(folder.load(hidden_above)[0].resources) == 1, "only what is hidden in the folder"


@pytest.mark.parametrize(
    ("name", "text", "passed"),
    [
        ("package.json", '{"name": "x"}', True), ("compose.yaml", "services:\n  x: 1\n", True), ("pom.xml", "<project/>", True), ("list.json", "[1]", True),
        ("broken.json", '{"format": "flowledger/pro', False), ("broken.yaml", "format: [", False), ("broken.xml", "<definitions", False),
        ("no.bpmn", "<html/>", False), ("empty.bpmn", "", False), ("no.form", "{}", False),
    ],
)  # fmt: skip
def test_what_is_no_model_is_passed_over_and_what_is_broken_is_not(name, text, passed, tmp_path):
    (tmp_path / name).write_text(text)
    found, findings, over = folder.load(tmp_path)
    assert not found.resources and (over == [name]) is passed
    assert any(f["severity"] == "error" and f["file"] == name for f in findings) is not passed


def _two(at: Path) -> None:
    (at / "a.bpmn").write_text(model("p"))
    (at / "b.bpmn").write_text(model("p", 2))


def _settings(text: str):
    def write(at: Path) -> None:
        (at / "p.bpmn").write_text(model("p"))
        (at / "flowledger.rollouts.yaml").write_text(text)

    return write


def _both(at: Path) -> None:
    _settings("[]")(at)
    (at / "flowledger.rollouts.json").write_text("[]")


FOLDERS = {
    "one process in two files": (_two, "stands in 'a.bpmn' and in 'b.bpmn'"),
    "a link to the outside": (lambda at: (at / "p.bpmn").symlink_to("/etc/hostname"), "outside"),
    "no text": (lambda at: (at / "p.bpmn").write_bytes(b"\xff\xff\xff"), "p.bpmn"),
    "settings of nothing": (_settings("- id: nobody\n"), "nobody"),
    "settings that are none": (_settings("moon: 1"), "flowledger.rollouts.yaml"),
    "settings with a typo": (_settings("- {id: p, shar: 5}"), "shar"),
    "settings that run code": (_settings("!!python/object/apply:os.system ['true']"), "flowledger.rollouts.yaml"),
    "two settings files": (_both, "both"),
}


@pytest.mark.parametrize("case", list(FOLDERS))
def test_a_folder_that_is_wrong_says_where(case, tmp_path):
    write, told = FOLDERS[case]
    write(tmp_path)
    with pytest.raises(Wrong) as wrong:
        folder.load(tmp_path)
    assert told in str(wrong.value)


def test_no_folder_and_no_file(tmp_path):
    for call in (lambda: folder.load(tmp_path / "none"), lambda: archive.load(tmp_path / "none"), lambda: archive.load(tmp_path)):
        with pytest.raises(Wrong):
            call()
    with pytest.raises(Wrong):
        archive.save(WHOLE, tmp_path / "no" / "such" / "b.zip")


# --- what would be done: (the server's p: texts by version with flags, default, pinned, ramp; the bundle's text; setting; prune) -> change, steps, deployed

A, B, C = (resource("p.bpmn", model("p", n)) for n in (1, 2, 3))


def serving(versions: str, default: int | None, pinned: int | None = None, ramp: tuple[int, float] | None = None) -> Serving:
    """`A B! C-`: versions 1, 2 and 3; `!` stopped, `-` deprecated."""
    found = [
        There(
            f"k{n}", n, "deprecated" if "-" in word else "published", {"A": A, "B": B, "C": C}[word[0]].hash, "p.bpmn", stopped="!" in word
        )
        for n, word in enumerate(versions.split(), 1)
    ]
    return Serving("P", found[::-1], default, pinned, ramp)


OPEN, STOP, DEFAULT = {"stop_starts": False}, {"stop_starts": True}, {"default": True}
PLANS = [
    ("new", None, A, None, False, "added", [], True, []),
    ("new, a share has no rest", None, A, Setting("process", "p", 5), False, "added", [], True, []),
    ("new and stopped", None, A, Setting("process", "p", stopped=True), False, "added", [], True, [(0, STOP)]),
    ("the same", serving("A", 1), A, None, False, "equal", [], False, []),
    ("the same, pinned", serving("A", 1, 1), A, None, False, "equal", [], False, []),
    ("the next", serving("A", 1), B, None, False, "changed", [], True, []),
    ("the next, where the default is pinned", serving("A", 1, 1), B, None, False, "changed", [], True, [(0, DEFAULT)]),
    ("the next, at a share", serving("A", 1), B, Setting("process", "p", 5), False, "changed", [(1, DEFAULT)], True, [(0, {"share": 5})]),
    ("the next, at a share, pinned", serving("A", 1, 1), B, Setting("process", "p", 5), False, "changed", [], True, [(0, {"share": 5})]),
    ("a share of 100 is the default", serving("A", 1, 1), B, Setting("process", "p", 100), False, "changed", [], True, [(0, DEFAULT)]),
    ("ramped already", serving("A B", 1, 1, (2, 5)), B, Setting("process", "p", 5), False, "equal", [], False, []),
    ("another share", serving("A B", 1, 1, (2, 5)), B, Setting("process", "p", 20), False, "equal", [], False, [(2, {"share": 20})]),
    ("all of it after a share", serving("A B", 1, 1, (2, 5)), B, None, False, "equal", [], False, [(2, DEFAULT)]),
    ("a share of none holds it back", serving("A B", 2), B, Setting("process", "p", 0), False, "equal", [], False, [(2, {"share": 0})]),
    ("held back already", serving("A B", 1, 1), B, Setting("process", "p", 0), False, "changed", [], False, []),
    ("back to what was before", serving("A B", 2), A, None, False, "changed", [], False, [(1, DEFAULT)]),
    ("rolled back there", serving("A B", 1, 1), B, None, False, "changed", [], False, [(2, DEFAULT)]),
    ("deprecated there", serving("A B-", 1), B, None, False, "changed", [], True, []),
    ("stopped there", serving("A!", None), A, None, False, "equal", [], False, []),
    ("stopped there, the folder has it", serving("A!", None), A, None, True, "equal", [], False, [(1, OPEN)]),
    ("stopped there, an older one", serving("A! B", 2), A, None, True, "changed", [], False, [(1, OPEN), (1, DEFAULT)]),
    ("stopped there, and here", serving("A!", None), A, Setting("process", "p", stopped=True), True, "equal", [], False, []),
    ("to be stopped", serving("A", 1), A, Setting("process", "p", stopped=True), False, "equal", [], False, [(1, STOP)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "there", "text", "setting", "prune", "change", "before", "deploys", "after"), PLANS, ids=[p[0] for p in PLANS]
)
def test_what_would_be_done(told, there, text, setting, prune, change, before, deploys, after):
    plan = made(checked([text], [setting] if setting else [], "x"), {("process", "p"): there} if there else {}, prune)
    assert [r.change for r in plan.rows] == [change], told
    assert [(s.body["version"], {k: v for k, v in s.body.items() if k != "version"}) for s in plan.before] == before
    assert [r.name for r in plan.deploy] == (["p.bpmn"] if deploys else [])
    assert [(s.body["version"], {k: v for k, v in s.body.items() if k != "version"}) for s in plan.after] == after
    assert plan.empty == (not before and not deploys and not after)
    assert plan.hash == made(checked([text], [setting] if setting else [], "x"), {("process", "p"): there} if there else {}, prune).hash


def test_what_is_gone_is_stopped_by_prune_alone_and_never_deleted():
    gone = {("process", "old"): serving("A B", 2), ("process", "over"): serving("A!", None), ("decision", "rate"): serving("A", 1)}
    assert made(bundle(), gone).empty and [r.change for r in made(bundle(), gone).rows] == ["gone"] * 3
    plan = made(bundle(), gone, prune=True)
    assert [(s.id, s.body) for s in plan.after] == [("old", STOP)] and not plan.deploy
    assert [r.notes for r in plan.rows if r.kind == "decision"] == [["it stays in force: only processes and triggers are stopped"]]


def test_a_file_with_several_definitions_is_deployed_once():
    both = Resource("both.bpmn", "x", (*A.definitions, content.Defined("process", "q")))
    plan = made(checked([both], (), "x"), {("process", "p"): serving("A", 1)})
    assert [(r.id, r.change) for r in plan.rows] == [("p", "changed"), ("q", "added")] and plan.deploy == [both]


def test_what_is_bound_to_its_deployment_takes_its_partners_along():
    def caller(binding: str, name: str) -> Resource:
        called = f'<zeebe:calledElement xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" processId="p" {binding}/>'
        text = (
            f'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"><process id="q" name="{name}" isExecutable="true">'
            f'<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="k"/><callActivity id="k"><extensionElements>{called}</extensionElements>'
            "</callActivity></process></definitions>"
        )
        return resource("q.bpmn", text)

    there = {("process", "p"): serving("A", 1), ("process", "other"): serving("C", 1)}
    other = Resource("other.bpmn", C.content, (content.Defined("process", "other"),))
    for binding, deployed in (('bindingType="deployment"', ["p.bpmn", "q.bpmn"]), ('bindingType="latest"', ["q.bpmn"])):
        old, new = caller(binding, "old"), caller(binding, "new")
        known = {**there, ("process", "q"): Serving("q", [There("k", 1, "published", old.hash, "q.bpmn")], 1)}
        assert made(checked([A, other, old], (), "x"), known).empty
        plan = made(checked([A, other, new], (), "x"), known)
        assert [r.name for r in plan.deploy] == deployed and not plan.after
        assert [r.then for r in plan.rows if r.id == "p"] == ([["deploy along"]] if len(deployed) > 1 else [[]])

"""Folders of models as one deployment: all known kinds, what is ignored is told, and too much is refused before anything is sent."""

from __future__ import annotations

import json

import pytest

from flowledger.infra.cli import model_files
from flowledger.infra.cli.server import Server

pytestmark = pytest.mark.req("APG-MOD-006", "D-SCO-002")
BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
FORM = '{"id": "folder-ask", "type": "default", "components": [{"id": "f", "type": "textfield", "key": "a", "label": "A"}]}'
KPI = "name: folder-day\ntitle: Done in a day\nkind: sla\nprocess: folder-ship\nwithin: %s\n"


def process(id: str, task: str = "") -> str:
    job = f'<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="{task}"/></extensionElements></serviceTask>' if task else ""
    flows = '<sequenceFlow id="f" sourceRef="s" targetRef="t"/><sequenceFlow id="g" sourceRef="t" targetRef="e"/>' if task else ""
    plain = "" if task else '<sequenceFlow id="f" sourceRef="s" targetRef="e"/>'
    return (
        f'<definitions xmlns="{BPMN}" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t"><process id="{id}" isExecutable="true">'
        f'<startEvent id="s"/>{job}{flows}{plain}<endEvent id="e"/></process></definitions>'
    )


@pytest.fixture
def folder(tmp_path):
    top = tmp_path / ".hidden-above" / "models"
    for place in ("orders/forms", "bills", ".git", "node_modules/x"):
        (top / place).mkdir(parents=True)
    (top / "orders" / "ship.bpmn").write_text(process("folder-ship", "pack"))
    (top / "orders" / "forms" / "ask.form").write_text(FORM)
    (top / "bills" / "pay.json").write_text(
        '{"id": "folder-pay", "name": "Pay", "format": "flowledger/process@1", "flow": [{"task": "a", "job": "pay"}]}'
    )
    (top / "bills" / "nightly.yaml").write_text("format: flowledger/steps@1\nid: folder-nightly\nsteps:\n  - {id: a, job: report}\n")
    (top / ".git" / "old.bpmn").write_text("<")
    (top / "node_modules" / "x" / "package.bpmn").write_text("<")
    (top / "README.md").write_text("about")
    (top / "package.json").write_text('{"name": "something else"}')
    (top / "pom.xml").write_text("<project/>")
    (top / "orders" / "ship.flowtest.yaml").write_text("steps: []\n")
    return top


def test_a_folder_is_one_deployment(at_server, server, folder):
    code, out, err = at_server("deploy", folder, "--json")
    assert code == 0, err
    answer = json.loads(out)
    made = {(d["kind"], d["resource"]) for d in answer["definitions"]}
    assert made == {("process", "ship.bpmn"), ("form", "ask.form"), ("process", "pay.json"), ("process", "nightly.yaml")}
    assert len({d["deployment"] for d in answer["definitions"]}) == 1
    told = ["README.md", "orders/ship.flowtest.yaml", "package.json", "pom.xml"]
    assert sorted(answer["ignored"]) == [str(folder / name) for name in told]
    assert (
        "ignored 4 files" in err and "JSON of something else" in err and "a test: flowledger test" in err and "XML of something else" in err
    )
    code, out, _ = at_server("deploy", folder / "orders" / "ship.bpmn", "--json")
    assert code == 0 and [d["duplicate"] for d in json.loads(out)["definitions"]] == [True], "a file by itself is the same resource"


def test_one_that_is_broken_refuses_the_whole_folder(at_server, server, folder):
    (folder / "bills" / "refund.bpmn").write_text(process("folder-refund").replace('targetRef="e"', 'targetRef="gone"'))
    (folder / "bills" / "pay.json").write_text('{"id": "folder-never", "flow": [')
    code, out, err = at_server("deploy", folder)
    assert code == 1 and "refund.bpmn" in out + err and "pay.json" in out + err
    status, _ = Server(server.url).ask("GET", "/v1/definitions/folder-refund")
    assert status == 404
    code, out, _ = at_server("validate", folder, "--json")
    errors = {f["file"].rpartition("/")[2] for f in json.loads(out) if f["severity"] == "error"}
    assert code == 1 and errors == {"refund.bpmn", "pay.json"}


def test_two_of_one_name_are_told_apart_by_their_folders(at_server, server, folder):
    (folder / "orders" / "main.bpmn").write_text(process("folder-main-a"))
    (folder / "bills" / "main.bpmn").write_text(process("folder-main-b"))
    code, out, err = at_server("deploy", folder, folder / "bills" / "main.bpmn", "--json")
    assert code == 0, err
    made = {d["definition_id"]: d["resource"] for d in json.loads(out)["definitions"]}
    assert (made["folder-main-a"], made["folder-main-b"]) == ("orders/main.bpmn", "bills/main.bpmn") and len(made) == 6, "each once"


def test_records_go_with_the_models(at_server, server, folder):
    (folder / "day.kpi.yaml").write_text(KPI % "soon")
    code, out, err = at_server("validate", folder, "--json")
    (wrong,) = [f for f in json.loads(out) if f["severity"] == "error"]
    assert code == 1 and wrong["code"] == "KPI_INVALID" and wrong["file"].endswith("day.kpi.yaml") and "within" in wrong["message"], (
        out,
        err,
    )
    code, _, err = at_server("deploy", folder, "--check")
    assert code == 1 and "day.kpi.yaml: within" in err
    (folder / "day.kpi.yaml").write_text(KPI % "PT24H")
    code, out, err = at_server("deploy", folder, "--check")
    assert code == 0 and "1 kpi looked at" in out, err
    assert Server(server.url).ask("GET", "/v1/kpis/folder-day")[0] == 404
    code, out, err = at_server("deploy", folder)
    assert code == 0 and "KPI folder-day counts from now on" in out, err
    assert Server(server.url).ask("GET", "/v1/kpis/folder-day")[0] == 200


def test_a_check_deploys_nothing_and_says_what_would_be(at_server, server, tmp_path):
    model = tmp_path / "asked.bpmn"
    model.write_text(process("folder-asked", "x"))
    code, out, err = at_server("deploy", tmp_path, "--check", "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert [(d["definition_id"], d["version"], d["duplicate"]) for d in answer["definitions"]] == [("folder-asked", 1, False)]
    assert answer["check"] is True and "TASK_WITHOUT_ERROR_PATH" in [f["code"] for f in answer["findings"]]
    assert Server(server.url).ask("GET", "/v1/definitions/folder-asked")[0] == 404
    code, out, _ = at_server("deploy", tmp_path, "--check")
    assert code == 0 and "can be deployed; nothing was" in out
    model.write_text(process("folder-asked").replace('targetRef="e"', 'targetRef="gone"'))
    code, out, err = at_server("deploy", tmp_path, "--check")
    assert code == 1 and "gone" in out + err


@pytest.mark.parametrize("verb", ["deploy", "validate"])
def test_a_file_of_unknown_kind_is_one_clear_message(command_line, tmp_path, verb):
    for name, text in (
        ("notes.md", "# about"),
        ("package.json", '{"name": "x"}'),
        ("x.flowtest.yaml", "steps: []"),
        ("good.bpmn", process("p")),
    ):
        (tmp_path / name).write_text(text)
    code, out, err = command_line(verb, *(tmp_path / n for n in ("notes.md", "good.bpmn", "package.json", "x.flowtest.yaml")))
    assert code == 2 and not out and "expected BPMN, DMN" in err and "*.kpi.yaml" in err
    assert f"{tmp_path / 'notes.md'}, {tmp_path / 'package.json'} is JSON of something else" in err and "x.flowtest.yaml is a test" in err
    assert "good.bpmn" not in err


def test_a_folder_has_limits(command_line, tmp_path, monkeypatch):
    for n in range(3):
        (tmp_path / f"{n}.bpmn").write_text(process(f"p{n}"))
    size = sum(f.stat().st_size for f in tmp_path.iterdir())
    for name, enough, wanted in (
        ("MODELS_MAX", 3, "at most 2 models"),
        ("LOOKED_MAX", 3, "at most 2 files and folders"),
        ("BYTES_MAX", size, f"at most {size - 1} bytes together"),
    ):
        with monkeypatch.context() as m:
            m.setattr(model_files, name, enough)
            assert command_line("validate", tmp_path)[0] == 0
            m.setattr(model_files, name, enough - 1)
            code, _, err = command_line("validate", tmp_path)
            assert code == 2 and wanted in err
    monkeypatch.setattr(model_files, "MODEL_BYTES_MAX", 100)
    code, _, err = command_line("validate", tmp_path)
    assert code == 2 and "0.bpmn: expected at most 100 bytes" in err


def test_a_folder_that_cannot_be_read_and_an_empty_one(command_line, tmp_path):
    (tmp_path / "gone.bpmn").symlink_to(tmp_path / "nowhere")
    code, _, err = command_line("validate", tmp_path)
    assert code == 2 and "gone.bpmn: No such file" in err
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "README.md").write_text("x")
    code, _, err = command_line("deploy", empty)
    assert code == 2 and "expected a folder with models" in err and "README.md" in err


def test_a_name_that_is_no_text_is_told_before_anything_is_sent(at_server, tmp_path):
    (tmp_path / "b\udcff.bpmn").write_text(process("folder-odd"))
    code, _, err = at_server("deploy", tmp_path)
    assert code != 0 and "a file's name in UTF-8" in err

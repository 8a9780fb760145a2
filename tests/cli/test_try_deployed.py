"""A draft that is tried finds what it calls and imports as it is deployed, as a deployment of the draft would."""

from __future__ import annotations

from typing import Any

from flowledger.api import trying
from flowledger.infra.cli.server import Server

from .test_cli_imports import model

ZEEBE = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"'
FORM = '{"id": "v_form", "components": [{"type": "number", "key": "n", "validate": {"required": true, "max": 5}}], "schemaVersion": 16, "type": "default"}'


def process(id: str, body: str, *ids: str) -> str:
    flows = "".join(
        f'<sequenceFlow id="f{n}" sourceRef="{a}" targetRef="{b}"/>' for n, (a, b) in enumerate(zip(("s", *ids), (*ids, "e"), strict=True))
    )
    return (
        f'<definitions {ZEEBE} id="d" targetNamespace="t"><process id="{id}" isExecutable="true"><startEvent id="s"/>{body}'
        f'<endEvent id="e"/>{flows}</process></definitions>'
    )


def rule(id: str, decision: str, more: str = "") -> str:
    said = f'<zeebe:calledDecision decisionId="{decision}" resultVariable="{id}" {more}/>'
    return f'<businessRuleTask id="{id}"><extensionElements>{said}</extensionElements></businessRuleTask>'


def call(id: str, process: str, more: str = "") -> str:
    return (
        f'<callActivity id="{id}"><extensionElements><zeebe:calledElement processId="{process}" {more}/></extensionElements></callActivity>'
    )


def task(id: str, form: str) -> str:
    return f'<userTask id="{id}"><extensionElements><zeebe:userTask/><zeebe:formDefinition formId="{form}"/></extensionElements></userTask>'


def deploy(url: str, status: str = "published", **files: str) -> dict[str, Any]:
    body = {"resources": [{"name": n.replace("__", "."), "content": t} for n, t in files.items()], "status": status}
    code, answer = Server(url).ask("POST", "/v1/deployments", body)
    assert code == 201, answer
    return {d["id"]: d for d in answer["definitions"]}


def tried(url: str, steps: list[dict[str, Any]], tenant: str = "", **models: str) -> dict[str, Any]:
    body = {"models": [{"name": n.replace("__", "."), "content": t} for n, t in models.items()], "steps": steps}
    status, answer = Server(url).ask("POST", "/v1/models/try", body, headers={"X-Tenant": tenant})
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


def gives(url: str, text: str, output: Any, decision: str = "d_t_top", tenant: str = "") -> str:
    """Why the decision of this draft doesn't give that; empty: it does."""
    found = tried(url, [{"evaluate": decision, "output": output}], tenant, draft__dmn=text)
    return found["failed"]["message"] if found["failed"] else ""


def test_a_decision_model_finds_what_it_imports(server):
    url, top = server.url, model("t_top", "t_low.d_t_low + 1", "t_low")
    assert "found None" in gives(url, top, 3), "nothing is deployed"
    deploy(url, "draft", t_low__dmn=model("t_low", "9"))
    assert gives(url, top, 10), "a draft is nothing that others can build on"
    deploy(url, t_low__dmn=model("t_low", "2"))
    assert gives(url, top, 3) == ""
    assert gives(url, top, 3, tenant="others"), "of another tenant"
    # what is deployed stays bound to what it was bound to, beside the newest
    deploy(url, t_mid__dmn=model("t_mid", "t_low.d_t_low * 10", "t_low"))
    deploy(url, t_low__dmn=model("t_low", "5"))
    both = model("t_top", "t_mid.d_t_mid + t_low.d_t_low", "t_mid", "t_low")
    assert gives(url, both, 25) == ""
    # a file beside it comes first
    found = tried(url, [{"evaluate": "d_t_top", "output": 8}], draft__dmn=top, low__dmn=model("t_low", "7"))
    assert found["failed"] is None
    assert found["test"]["deploy"] == ["draft.dmn", "low.dmn"]


def test_a_process_finds_what_it_calls(server):
    """Decisions, processes and what these call, and forms: those of a tag, of the same deployment, and the newest."""
    url = server.url
    deploy(
        url,
        v_low__dmn=model("v_low", "2"),
        v_child__bpmn=process("v_child", rule("r", "d_v_low", 'bindingType="deployment"'), "r"),
        v_form__form=FORM,
    )
    deploy(url, v_low__dmn=model("v_low", "3"))
    deploy(url, v_top__dmn=model("v_top", "v_low.d_v_low * 100", "v_low"))
    draft = process(
        "v_draft",
        rule("own", "=&quot;d_v_top&quot;") + call("child", "v_child") + task("ask", "v_form") + rule("gone", "d_v_gone"),
        "own",
        "child",
        "ask",
        "gone",
    )
    steps: list[dict[str, Any]] = [{"start": "v_draft"}]
    found = tried(url, steps, draft__bpmn=draft)
    assert [(i["name"], i["status"]) for i in found["instances"]] == [("v_draft#1", "running"), ("v_child#1", "completed")]
    assert found["instances"][0]["variables"] == {"own": 300, "r": 2}, "of its own deployment, though there is a newer one"
    assert [(w["kind"], w["element"]) for w in found["waiting"]] == [("task", "ask")]
    steps.append({"complete": "ask", "variables": {"n": 6}})
    assert "FORM_INVALID" in tried(url, steps, draft__bpmn=draft)["failed"]["message"]
    steps[-1] = {"complete": "ask", "variables": {"n": 5}}
    found = tried(url, steps, draft__bpmn=draft)
    assert [(w["kind"], w["name"]) for w in found["waiting"]] == [("incident", "DECISION_NOT_FOUND")], "as it would be of an instance"
    assert [n.rpartition("/")[2] for n in found["test"]["deploy"]] == [
        "v_low.dmn",
        "v_child.bpmn",
        "v_form.form",
        "v_low.dmn",
        "v_top.dmn",
        "draft.bpmn",
    ]
    # its own comes before what is deployed; what is bound to its own deployment goes with it
    found = tried(url, [{"start": "v_draft"}], draft__bpmn=process("v_draft", rule("own", "d_v_low"), "own"), low__dmn=model("v_low", "7"))
    assert found["instances"][0]["variables"] == {"own": 7}
    found = tried(url, [{"start": "v_draft"}], draft__bpmn=process("v_draft", rule("own", "d_v_low", 'bindingType="deployment"'), "own"))
    assert found["instances"][0]["variables"] == {"own": 3}
    # nothing of it was kept
    assert Server(url).get("/v1/definitions", definition_id="v_draft")["items"] == []


def test_so_much_is_brought_and_no_more(server, monkeypatch):
    url = server.url
    deploy(url, w_a__bpmn=process("w_a", call("c", "w_b"), "c"), w_b__bpmn=process("w_b", call("c", "w_a"), "c"))
    draft = process("w_draft", call("c", "w_a"), "c")
    body = {"models": [{"name": "d.bpmn", "content": draft}], "steps": []}
    for most, status in ((2, 200), (1, 422)):
        monkeypatch.setattr(trying, "BROUGHT_MAX", most)
        code, answer = Server(url).ask("POST", "/v1/models/try", body)
        assert code == status, answer
    assert "at most 1 deployed definitions, found 2" in answer["detail"]
    monkeypatch.setattr(trying, "BROUGHT_MAX", 2)
    monkeypatch.setattr(trying, "BYTES_MAX", 100)
    code, answer = Server(url).ask("POST", "/v1/models/try", body)
    assert code == 422 and "at most 100 bytes of deployed files" in answer["detail"]

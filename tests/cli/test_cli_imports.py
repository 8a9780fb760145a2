"""Decision files that import one another, on the desk: a folder is checked whole, a watched one is deployed whole."""

from __future__ import annotations

import json

import pytest

from flowledger.infra.cli.server import Server
from flowledger.infra.cli.watch import Deployer

from .conftest import until

pytestmark = pytest.mark.req("APG-ELM-002", "APG-MOD-006")
SPACE = "https://www.omg.org/spec/DMN/20230324/MODEL/"


def model(name: str, text: str, *imports: str) -> str:
    told = "".join(f'<import name="{i}" namespace="urn:cli:{i}" importType="{SPACE}"/>' for i in imports)
    needs = "".join(f'<informationRequirement><requiredDecision href="urn:cli:{i}#d_{i}"/></informationRequirement>' for i in imports)
    body = f'<decision id="d_{name}" name="d_{name}"><variable name="d_{name}"/>{needs}<literalExpression><text>{text}</text></literalExpression></decision>'
    return f'<definitions xmlns="{SPACE}" id="{name}" name="{name}" namespace="urn:cli:{name}">{told}{body}</definitions>'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.dmn").write_text(model("a", "b.d_b + 1", "b"))
    (tmp_path / "deep" / "b.dmn").write_text(model("b", "2"))
    (tmp_path / "package.json").write_text('{"name": "something else"}')
    return tmp_path


def test_a_folder_is_checked_among_its_files(command_line, folder):
    code, out, _ = command_line("validate", folder)
    assert code == 0 and "no errors in 2 files" in out and "IMPORT" not in out
    code, out, _ = command_line("validate", folder / "a.dmn", "--json")
    assert code == 0 and [f["code"] for f in json.loads(out)] == ["IMPORT_MISSING"]
    code, out, _ = command_line("validate", folder / "a.dmn", folder / "deep" / "b.dmn", "--json")
    assert code == 0 and json.loads(out) == []
    (folder / "deep" / "b.dmn").write_text(model("b", "a.d_a", "a"))
    code, out, _ = command_line("validate", folder, "--json")
    (found,) = [f for f in json.loads(out) if f["severity"] == "error" and f["code"] != "CIRCULAR"]
    assert code == 1 and found["code"] == "IMPORT_CIRCULAR" and "'a.dmn'" in found["message"] and "'b.dmn'" in found["message"]


def test_a_folder_without_models_says_so(command_line, tmp_path):
    code, _, err = command_line("validate", tmp_path)
    assert code == 2 and "expected a folder with models" in err


def test_what_is_saved_is_deployed_with_what_imports_it(server, folder, capsys):
    def evaluated() -> object:
        return deployer.server.ask("POST", "/v1/decisions/evaluate", {"decision": "d_a"})[1]["output"]

    deployer, files = Deployer(server.url), [folder / "a.dmn", folder / "deep" / "b.dmn"]
    deployer.saved(files)
    out = capsys.readouterr().out
    assert "a.dmn: decision d_a version 1" in out and "b.dmn: decision d_b version 1" in out and "IMPORT" not in out
    assert evaluated() == 3
    files[1].write_text(model("b", "40"))
    deployer.saved([files[1]])
    out = capsys.readouterr().out
    assert "a.dmn: decision d_a version 2" in out and "b.dmn: decision d_b version 2" in out
    assert evaluated() == 41
    files[1].unlink()
    files[0].write_text(model("a", "b.d_b + 2", "b"))
    deployer.saved(files)
    assert "a.dmn: decision d_a version 3" in capsys.readouterr().out and evaluated() == 42, "what is deployed stays"


def checked(url: str, text: str, tenant: str = "", beside: dict[str, str] | None = None) -> list[str]:
    body = {"name": "a.dmn", "content": text, "beside": [{"name": n, "content": t} for n, t in (beside or {}).items()]}
    status, answer = Server(url).ask("POST", "/v1/models/check", body, headers={"X-Tenant": tenant})
    assert status == 200, answer
    return [f["code"] for f in answer["findings"]]


def deployed(url: str, name: str, text: str, status: str = "published", **headers: str) -> list[str]:
    body = {"resources": [{"name": f"{name}.dmn", "content": text}], "status": status}
    code, answer = Server(url).ask("POST", "/v1/deployments", body, headers=headers)
    assert code == 201, answer
    return [d["id"] for d in answer["definitions"] if d["kind"] == "drg"]


def test_a_check_means_by_an_import_what_a_deployment_would(server):
    """What is published in the tenant, else nothing; of several the one that the location names; what was bound stays."""
    url, top = server.url, model("k_top", "k_low.d_k_low + 1", "k_low")
    assert checked(url, top) == ["IMPORT_MISSING"]
    (draft,) = deployed(url, "k_low", model("k_low", "2"), "draft")
    assert checked(url, top) == ["IMPORT_MISSING"], "a draft is nothing that others can build on"
    Server(url).call("POST", f"/v1/definitions/{draft}/publish", {})
    assert until(lambda: checked(url, top) == [])
    assert checked(url, top, "others") == ["IMPORT_MISSING"], "of another tenant"
    assert checked(url, top.replace("#d_k_low", "#gone")) == ["REFERENCE_MISSING"], "what the model has is known"
    # behind it: what it was bound to itself
    deployed(url, "k_top", top)
    assert checked(url, model("k_over", "k_top.d_k_top", "k_top")) == []
    # a second model of the namespace
    deployed(url, "k_other", model("k_other", "3").replace("urn:cli:k_other", "urn:cli:k_low"))
    assert checked(url, top) == ["IMPORT_AMBIGUOUS"]
    assert checked(url, top.replace('namespace="urn:cli:k_low" ', 'namespace="urn:cli:k_low" locationURI="k_low.dmn" ')) == []


def test_files_beside_it_come_before_what_is_deployed(server):
    url, top = server.url, model("m_top", "m_low.d_m_low + 1", "m_low")
    low = model("m_low", "2")
    assert checked(url, top, beside={"m_low.dmn": low}) == []
    assert checked(url, top, beside={"a.txt": "nothing", "b.bpmn": "<"}) == ["IMPORT_MISSING"]
    deployed(url, "m_low", low.replace("d_m_low", "was_once"))
    assert checked(url, top) == ["REFERENCE_MISSING"]
    assert checked(url, top, beside={"m_low.dmn": low}) == []
    circle = model("m_low", "m_top.d_m_top", "m_top")
    assert "IMPORT_CIRCULAR" in checked(url, top, beside={"m_low.dmn": circle})
    many = [{"name": f"{n}.dmn", "content": low} for n in range(101)]
    assert Server(url).ask("POST", "/v1/models/check", {"name": "a.dmn", "content": top, "beside": many})[0] == 400


def test_deploying_is_tried_against_what_is_deployed(at_server, server, tmp_path):
    (tmp_path / "n_top.dmn").write_text(model("n_top", "n_low.d_n_low + 1", "n_low"))
    code, out, _ = at_server("deploy", tmp_path / "n_top.dmn", "--check", "--json")
    assert code == 0 and [f["code"] for f in json.loads(out)["findings"]] == ["IMPORT_MISSING"]
    deployed(server.url, "n_low", model("n_low", "2"))
    code, out, _ = at_server("deploy", tmp_path / "n_top.dmn", "--check", "--json")
    assert code == 0 and json.loads(out)["findings"] == []

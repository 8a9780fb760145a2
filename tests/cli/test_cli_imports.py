"""Decision files that import one another, on the desk: a folder is checked whole, a watched one is deployed whole."""

from __future__ import annotations

import json

import pytest

from flowledger.infra.cli.watch import Deployer

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

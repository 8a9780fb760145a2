"""The bill of materials: whole, of the versions that are installed, the same for the same inputs, and in the shape of CycloneDX 1.6."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bill(tmp_path_factory):
    file = tmp_path_factory.mktemp("sbom") / "bom.json"
    subprocess.run([sys.executable, "tools/sbom.py", str(file)], cwd=ROOT, check=True, timeout=120)
    again = subprocess.run([sys.executable, "tools/sbom.py"], cwd=ROOT, check=True, timeout=120, capture_output=True, text=True).stdout
    assert file.read_text() == again, "the same inputs make the same bytes"
    return json.loads(again)


def test_each_dependency_is_in_it_with_the_version_that_is_installed(bill):
    parts = {c["name"]: c for c in bill["components"] if c["purl"].startswith("pkg:pypi/")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["server"], *extras["connectors"]):
        r = Requirement(text)
        if r.name != "flowledger" and (r.marker is None or r.marker.evaluate()):
            name = re.sub(r"[-_.]+", "-", r.name).lower()
            assert parts[name]["version"] == version(r.name)
    assert {"pytest", "ruff", "mypy"}.isdisjoint(parts), "what only tests and tools need is no part of a release"
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {re.sub(r"[-_.]+", "-", m[1]).lower(): m[2] for line in lines if (m := re.match(r"([\w.-]+)==(\S+)", line))}
    assert {n: c["version"] for n, c in parts.items()} == {n: pinned[n] for n in parts}, "each is pinned, and it is the pinned one"


def test_what_the_console_is_built_of_is_in_it(bill):
    package = json.loads((ROOT / "web" / "package.json").read_text())
    names = {c["name"] for c in bill["components"] if c["purl"].startswith("pkg:npm/")}
    assert set(package["dependencies"]) <= names and not names & set(package["devDependencies"]) - set(package["dependencies"])
    assert all(len(h["content"]) == 128 for c in bill["components"] for h in c.get("hashes", ()))


def test_its_shape(bill):
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "1.6", "flowledger")
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    refs = [bill["metadata"]["component"]["bom-ref"], *(c["bom-ref"] for c in bill["components"])]
    assert len(refs) == len(set(refs)) and [d["ref"] for d in bill["dependencies"]] == refs
    assert {r for d in bill["dependencies"] for r in d["dependsOn"]} <= set(refs)
    reached, todo = set(), [refs[0]]
    needs = {d["ref"]: d["dependsOn"] for d in bill["dependencies"]}
    while todo:
        if (ref := todo.pop()) not in reached:
            reached.add(ref)
            todo += needs[ref]
    assert reached == set(refs), "each part is there for a reason"
    assert sum("licenses" in c for c in bill["components"]) > 0.9 * len(bill["components"])

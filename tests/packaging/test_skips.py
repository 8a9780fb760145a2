"""With CI=true no test is skipped, in no way of skipping; elsewhere each is, with its reason."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
WAYS = {
    "not_asked_for": "def test_it():\n    pytest.skip('not asked for: helm')\n",
    "by_itself": "def test_it():\n    pytest.skip('no broker')\n",
    "by_mark": "@pytest.mark.skipif(True, reason='no broker')\ndef test_it():\n    pass\n",
    "by_fixture": "@pytest.fixture\ndef server():\n    pytest.skip('no broker')\n\n\ndef test_it(server):\n    pass\n",
    "with_its_module": "pytest.skip('no broker', allow_module_level=True)\n",
    "without_parameters": "@pytest.mark.parametrize('file', [])\ndef test_it(file):\n    pass\n",
}


@pytest.mark.parametrize(("ci", "told"), [("true", "1 failed, 1 skipped, 1 xfailed, 4 errors"), ("", "6 skipped, 1 xfailed")])
def test_what_lacks_fails_in_ci_and_is_told_elsewhere(tmp_path: Path, ci: str, told: str):
    for name, text in WAYS.items():
        (tmp_path / f"test_{name}.py").write_text(f"import pytest\n\n\n{text}")
    (tmp_path / "test_expected.py").write_text("import pytest\n\n\n@pytest.mark.xfail(strict=True)\ndef test_it():\n    assert False\n")
    env = {**os.environ, "CI": ci, "PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env.pop("PYTEST_ADDOPTS", None)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run([*command, "--continue-on-collection-errors"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=280)
    assert told in done.stdout.splitlines()[-1], done.stdout + done.stderr
    assert done.stdout.count("no broker") >= 4 or not ci

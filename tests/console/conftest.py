"""A real server with the console, and a real browser. With CI=true what is missing fails; elsewhere its tests are skipped, with the reason."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowledger.api import console
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.processors.log import COMMANDS, Group

ROOT = Path(__file__).resolve().parents[2]
#: what the browser itself says of a connection that could not be had
LINES = ("Failed to load resource", "WebSocket connection to")
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def missing(what: str) -> None:
    pytest.skip(what)


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
    return found


def ended(process: subprocess.Popen[bytes], data: Path) -> None:
    """A server, and what it wrote."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def built() -> Path:
    found = console.folder()
    if found is None:
        missing("the console is not built: make web")
    assert found is not None
    return found


class Served:
    """A server process and a plain way to its API."""

    def __init__(self, url: str, data: Path) -> None:
        self.url, self.data = url, data
        #: where it may send webhooks, signed by the secret HOOK
        self.receives = 0

    def call(self, method: str, path: str, body: Any = None, actor: str = "") -> Any:
        request = urllib.request.Request(f"{self.url}{path}", method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        if actor:
            request.add_header("X-Actor", actor)
        for left in range(20, -1, -1):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as e:
                if e.code not in (429, 503) or not left:
                    raise AssertionError(f"{method} {path}: {e.code} {e.read()[:500]!r}") from e
                time.sleep(float(e.headers.get("Retry-After") or 0.5))  # the machine is busy: as a client should

    def dead_letter(self, text: str) -> None:
        """A record on `commands` that is no command."""

        async def write() -> None:
            log = SqliteLog(self.data / "log.sqlite3")
            await log.open()
            await log.append(COMMANDS, 0, Group([None], [text.encode()]))
            await log.close()

        with ThreadPoolExecutor(1) as own:  # the browser's driver has a loop in this thread
            own.submit(asyncio.run, write()).result()

    def deploy(self, *files: Path) -> Any:
        resources = [{"name": f.name, "content": f.read_text()} for f in files]
        return self.call("POST", "/v1/deployments", {"resources": resources})

    def task_of(self, instance: str) -> str:
        """The open task of an instance, as soon as it is listed."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if found := self.call("GET", f"/v1/tasks?instance={instance}&open=true")["items"]:
                return str(found[0]["id"])
            time.sleep(0.1)
        raise AssertionError(f"instance {instance} has no open task: {self.call('GET', f'/v1/instances/{instance}/state')}")

    def work(self, type: str, variables: dict[str, Any] | None = None, error: str = "", instance: str = "") -> str:
        """A worker's part in the job of this type (of that instance): done with `variables`, or failed for good."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            body = {"type": type, "worker": "robot", "max": 50, "timeout_ms": 20_000, "wait_ms": 500}
            for job in self.call("POST", "/v1/jobs/activate", body)["jobs"]:
                if instance and job["instance"] != instance:
                    continue
                if error:
                    self.call("POST", f"/v1/jobs/{job['key']}/fail", {"message": error, "retries": 0, "fence": job["fence"]})
                else:
                    self.call("POST", f"/v1/jobs/{job['key']}/complete", {"variables": variables or {}, "fence": job["fence"]})
                return str(job["instance"])
        raise AssertionError(f"no job {type} of {instance or 'anybody'} came")

    def stuck(self) -> str:
        """An instance whose job failed for good."""
        key = self.start("order", "STUCK", order={"id": "STUCK", "items": [], "amount": 5})
        return self.work("order.check", error="the stock is closed", instance=key)

    def decided(self) -> str:
        """An instance that a decision gave to a director."""
        key = self.start("purchase-order-approval", "BIG", po_number="BIG", vendor="ACME", amount=20000, requester="ann")
        self.work("ai_orchestration.predict", {"prediction": {"risk": "low"}}, instance=key)
        self.work("vendor.validate", {"valid": True}, instance=key)
        self.work("audit_compliance.check", {"compliant": True}, instance=key)
        self.task_of(key)
        return key

    def start(self, definition: str, key: str = "", **variables: Any) -> str:
        body = {"definition": definition, "variables": variables, **({"business_key": key} if key else {})}
        return str(self.call("POST", "/v1/instances", body)["id"])


def _free() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="session")
def server(built: Path) -> Iterator[Served]:
    with dev() as served:
        yield served


@contextmanager
def dev(**settings: str) -> Iterator[Served]:
    """`flowledger dev` as a user starts it, with the examples deployed."""
    port, data = _free(), Path(tempfile.mkdtemp(prefix="flowledger-console-"))
    data.chmod(0o755)  # the embedded PostgreSQL runs as a user of its own when we are root
    receives = _free()
    (data / "secrets").mkdir(mode=0o755)
    (data / "secrets" / "HOOK").write_text("whsec_c2VjcmV0LW9mLWFuLWV4YW1wbGUh")
    ways = {"FLOWLEDGER_SECRETS": f"folder:{data / 'secrets'}", "FLOWLEDGER_EGRESS_PRIVATE": f"127.0.0.1:{receives}"}
    env = {**os.environ, "FLOWLEDGER_GRPC_PORT": str(_free()), **ways, **settings}
    command = [sys.executable, "-m", "flowledger", "dev", "--port", str(port), "--data", str(data)]
    with (data / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=data)
    served = Served(f"http://127.0.0.1:{port}", data)
    served.receives = receives
    try:
        deadline = time.monotonic() + 300  # a busy machine
        while True:
            try:
                served.call("GET", "/health/ready")
                break
            except (OSError, AssertionError):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise AssertionError(f"the server did not start:\n{(data / 'server.log').read_text()[-3000:]}") from None
                time.sleep(0.2)
        models = [
            ROOT / "examples" / name
            for name in ("order.bpmn", "document-approval.bpmn", "approval-level.dmn", "purchase-order-approval.bpmn")
        ]
        served.deploy(*models, *sorted((ROOT / "examples" / "forms").glob("*.form")))
        yield served
    finally:
        ended(process, data)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Closed with its module: while it is open an event loop runs in this thread, and no test with a loop of its own could."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("no browser driver: pip install playwright")
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        missing("no Chromium on the path (Debian: apt-get install chromium)")
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, server: Served) -> Iterator[Callable[..., Any]]:
    """`open_page("/instances", width=390, dark=True)`: a page in a fresh browser profile. What it says of errors fails the test."""
    contexts: list[Any] = []
    said: list[str] = []

    def opened(path: str, width: int = 1440, height: int = 900, dark: bool = False, language: str = "en", actor: str = "") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=language,
            timezone_id="Europe/Berlin",
        )
        context.set_default_timeout(45_000)
        if actor:
            context.add_init_script(f"localStorage.setItem('flowledger.actor', {json.dumps(actor)})")
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: said.append(m.text) if m.type == "error" and not any(t in m.text for t in LINES) else None)
        page.on("pageerror", lambda e: said.append(str(e)))
        page.goto(f"{server.url}{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not said, f"the page says: {said}"

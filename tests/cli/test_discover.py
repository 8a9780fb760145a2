"""What a platform may tell of its capabilities, and what is said of anything else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from flowledger.infra.cli import capabilities
from flowledger.infra.cli.main import app

ANSWERS: dict[str, tuple[int, bytes]] = {
    "/list": (200, b"[]"), "/none": (200, b"{}"), "/texts": (200, b'{"a": "b"}'), "/words": (200, b"hello"), "/away": (503, b""),
    "/large": (200, b" " * 2_000),
}  # fmt: skip


class _Platform(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Platform)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/list", "expected an object of 1 to 1000 records"), ("/none", "expected an object of 1 to"), ("/texts", "expected an object of 1 to"),
        ("/words", "Expecting value"), ("/away", "503"), ("/nowhere", "404"), ("/large", "expected at most 1000 bytes, found more"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_capabilities_is_said(path, words, url, monkeypatch):
    monkeypatch.setattr(capabilities, "DISCOVERY_BYTES_MAX", 1_000)
    found = CliRunner().invoke(app, ["capabilities", "discover", url + path, "--server", url])
    assert found.exit_code == 1 and words in str(found.exception)


def test_where_nobody_is(url):
    found = CliRunner().invoke(app, ["capabilities", "discover", "http://127.0.0.1:9/", "--server", url])
    assert found.exit_code == 1 and "127.0.0.1:9" in str(found.exception)

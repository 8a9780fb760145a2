"""Outgoing webhooks in a real browser: made with checks, tried, seen as they send, sent again, their secret changed, paused, deleted."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from .conftest import Served, until
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-EVT-001", "APG-EVT-002", "APG-EVT-003")]


class Receiver:
    """Answers `status`, and notes ids."""

    def __init__(self, port: int) -> None:
        self.status, self.ids = 200, []  # type: int, list[str]
        receiver = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.ids.append(self.headers["webhook-id"])
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Door)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver(server: Served) -> Iterator[Receiver]:
    found = Receiver(server.receives)
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_a_webhook_from_its_page_to_its_receiver(server: Served, receiver: Receiver, open_page: Callable[..., Any]) -> None:
    name = f"orders-{uuid.uuid4().hex[:6]}"
    page = open_page("/operations?tab=webhooks", actor="olga")
    page.get_by_role("button", name="New webhook").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Make it").click()
    dialog.get_by_text("Expected the names of 1 to 5 secrets").wait_for()  # told at its field, before it is sent
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Address").fill("ftp://example.com")
    dialog.get_by_text("Expected an address that begins with").wait_for()
    dialog.get_by_label("Address").fill(f"http://127.0.0.1:{server.receives}/in")
    dialog.get_by_role("combobox", name="Secrets that sign").fill("whsec_c2VjcmV0")
    dialog.get_by_role("combobox", name="Secrets that sign").press("Enter")
    dialog.get_by_text("not the secret itself").wait_for()
    dialog.get_by_role("combobox", name="Secrets that sign").press("Backspace")
    dialog.get_by_role("combobox", name="Secrets that sign").fill("HOOK")
    dialog.get_by_role("combobox", name="Secrets that sign").press("Enter")
    dialog.get_by_role("combobox", name="Types of events").fill("workflow.started")
    dialog.get_by_role("combobox", name="Types of events").press("Enter")
    dialog.get_by_role("combobox", name="Types of events").press("Tab")
    sound(page)
    dialog.get_by_role("button", name="Make it").click()
    card = page.get_by_role("group", name=name)
    card.get_by_text("signed by HOOK").wait_for()

    card.get_by_role("button", name="Test").click()
    card.get_by_text("The receiver took it (200").wait_for()
    instance = server.start("order", "H-1", order={"id": "H-1", "items": [], "amount": 5})
    card.get_by_role("button", name="Deliveries").click()
    card.get_by_role("link", name=instance).wait_for()
    sound(page)
    before = len(receiver.ids)
    card.get_by_role("button", name=re.compile(r"^Send \d+-\d+ again")).first.click()
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()
    until(lambda: len(receiver.ids) > before)
    assert receiver.ids.count(receiver.ids[-1]) == 2, "with the same id"

    receiver.status = 410
    server.start("order", "H-2", order={"id": "H-2", "items": [], "amount": 5})
    card.get_by_text("The receiver said that it is gone (410)").wait_for()
    receiver.status = 200
    card.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    card.get_by_text("active", exact=True).wait_for()

    card.get_by_role("button", name="Change the secret").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the new secret").fill("NEXT")
    dialog.get_by_role("button", name="Sign with it too").click()
    dialog.get_by_text("All of these sign.").wait_for()
    dialog.get_by_role("button", name="Drop HOOK").click()
    dialog.get_by_role("button", name="Drop").first.wait_for(state="detached")
    assert server.call("GET", f"/v1/webhooks/{name}")["secrets"] == ["{{secrets.NEXT}}"]
    dialog.get_by_role("button", name="Close").last.click()

    card.get_by_role("button", name="Pause").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("they move")
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    card.get_by_text("olga: they move").wait_for()
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    card.wait_for(state="detached")


def test_on_a_phone_in_german_in_the_dark(open_page: Callable[..., Any]) -> None:
    page = open_page("/operations?tab=webhooks", width=390, dark=True, language="de")
    page.get_by_role("button", name="Neuer Webhook").first.click()
    page.get_by_role("dialog").get_by_label("Adresse").wait_for()
    sound(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

"""Data subjects in a real browser: looked up, seen where they are, exported, held, erased with a certificate; by keyboard, on a phone, in German."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Served, until
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]
SECRET = "DE89370400440532013000"


def kept(server: Served) -> tuple[str, str]:
    """A subject of its own, and the instance that has something of it."""
    process, ref = f"claim-{uuid.uuid4().hex[:8]}", f"C-{uuid.uuid4().hex[:8]}"
    model = (
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"'
        f' xmlns:flowledger="urn:flowledger:bpmn:1" id="d" targetNamespace="u"><process id="{process}" isExecutable="true"><extensionElements>'
        '<flowledger:protect names="iban" class="personal" subject="=customerId"/></extensionElements><startEvent id="s"/><sequenceFlow id="f"'
        ' sourceRef="s" targetRef="u"/><userTask id="u"><extensionElements><zeebe:userTask/></extensionElements></userTask></process></definitions>'
    )
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": model}]})
    instance = server.start(process, f"K-{ref}", customerId=ref, iban=SECRET)
    until(lambda: server.call("GET", f"/v1/subjects/{ref}?places=true")["places"])
    return ref, instance


def test_a_subject_is_found_exported_held_and_erased(server: Served, open_page: Callable[..., Any], tmp_path: Path) -> None:
    ref, instance = kept(server)
    page = open_page("/operations", actor="olga")
    page.get_by_role("link", name="Data subjects").click()
    # by keyboard alone
    page.get_by_label("Reference of the subject").focus()
    page.keyboard.type(ref)
    page.keyboard.press("Enter")
    card = page.get_by_role("region", name=f"Subject {ref}")
    card.get_by_text("data is kept").wait_for()
    card.get_by_text("One key opens its data.").wait_for()
    card.get_by_role("link", name=f"K-{ref}").wait_for()
    card.get_by_text("iban", exact=True).wait_for()
    assert SECRET not in page.content(), "names, not values"
    sound(page)
    # exported with a reason, which is written down
    card.get_by_role("button", name="Export").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name="Export").is_disabled(), "not without a reason"
    dialog.get_by_label("Reason").fill("asked for on 3 May")
    sound(page)
    with page.expect_download() as got:
        dialog.get_by_role("button", name="Export").click()
    told = json.loads(Path(got.value.path()).read_text())
    assert [v["value"] for v in told["variables"]] == [SECRET] and told["reason"] == "asked for on 3 May"
    assert SECRET not in page.content()
    # a hold forbids that it is erased
    card.get_by_role("button", name="Place a legal hold").click()
    dialog.get_by_label("Reason").fill(f"case {ref}")
    dialog.get_by_role("button", name="Place a legal hold").click()
    card.get_by_text(f"while this legal hold is on it: case {ref}").wait_for()
    assert card.get_by_role("button", name="Erase").is_disabled()
    page.get_by_role("region", name="Legal holds").get_by_role("group", name=f"case {ref}").wait_for()
    card.get_by_role("button", name="Lift the legal hold").click()
    dialog.get_by_role("button", name="Lift the legal hold").click()
    card.get_by_role("button", name="Place a legal hold").wait_for()
    # erased: only with a reason, and the reference typed once more
    card.get_by_role("button", name="Erase").click()
    dialog.get_by_text("Destroys the key of").wait_for()
    dialog.get_by_text("It can't be taken back.").wait_for()
    dialog.get_by_text("One instance still runs").wait_for()
    dialog.get_by_label("Reason").fill("GDPR article 17")
    assert dialog.get_by_role("button", name="Erase").is_disabled(), "not without the reference"
    dialog.get_by_label("To erase, type the reference once more").fill(ref)
    sound(page)
    dialog.get_by_role("button", name="Erase").click()
    card.get_by_text("Certificate of erasure").wait_for()
    card.get_by_text("GDPR article 17").wait_for()
    assert card.get_by_role("button", name="Erase").count() == 0 and card.get_by_role("button", name="Export").count() == 0
    with page.expect_download() as got:
        card.get_by_role("button", name="Save the certificate").click()
    certificate = json.loads(Path(got.value.path()).read_text())
    assert certificate["by"] == "olga" and len(certificate["keys"]) == 1 and ref not in json.dumps(certificate)
    assert SECRET not in json.dumps(server.call("GET", f"/v1/instances/{instance}/variables"))
    # the address is the state
    page.reload()
    card.get_by_text("Certificate of erasure").wait_for()
    card.get_by_role("link", name=f"K-{ref}").click()
    page.wait_for_url(f"**/instances/{instance}**")


@pytest.mark.req("APG-UI-010")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_on_a_phone_and_in_german(server: Served, open_page: Callable[..., Any], dark: bool) -> None:
    ref, _ = kept(server)
    page = open_page(f"/operations/subjects?subject={ref}", width=390, language="de", dark=dark)
    page.get_by_role("heading", name="Betroffene Personen").wait_for()
    page.get_by_role("region", name=f"Person {ref}").get_by_text("Wo etwas von ihr steht").wait_for()
    page.get_by_role("region", name="Aufbewahrungspflichten").wait_for()
    sound(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Löschen").click()
    page.get_by_role("dialog").get_by_text("Es lässt sich nicht zurücknehmen.").wait_for()
    sound(page)


def test_nobody_is_known_and_nothing_is_held(server: Served, open_page: Callable[..., Any]) -> None:
    page = open_page("/operations/subjects?subject=nobody-at-all")
    page.get_by_text("Nothing is sealed for nobody-at-all, and nothing was.").wait_for()
    card = page.get_by_role("region", name="Subject nobody-at-all")
    assert card.get_by_role("button", name="Erase").count() == 0 and card.get_by_role("button", name="Export").count() == 0
    sound(page)

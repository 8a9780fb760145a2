"""Passkeys in a real browser with a virtual authenticator: added, signed in with, shown for a task and for an operation, and what isn't taken."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from .test_console_accessible import sound
from .test_console_signin import PASSWORD, choose_password, person, serving

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:flowledger="urn:flowledger:bpmn:1" targetNamespace="t"><process id="release" name="Release a payment" isExecutable="true"><startEvent id="s"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="sign"/><userTask id="sign" name="Sign the payment"><extensionElements><zeebe:userTask/><flowledger:task stepUp="true"/>
</extensionElements></userTask><sequenceFlow id="f2" sourceRef="sign" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Site(NamedTuple):
    url: str
    admin: httpx2.Client

    def done(self, answer: Any) -> Any:
        assert answer.status_code < 300, answer.text
        return answer.json()

    def task(self) -> str:
        """Of a new instance."""
        started = self.done(self.admin.post("/v1/instances", json={"definition": "release"}))
        deadline = time.monotonic() + 60
        while not (
            found := self.admin.get("/v1/tasks", params={"instance": started["id"], "open": "true", "type": "user_task"}).json()["items"]
        ):
            assert time.monotonic() < deadline
        return str(found[0]["id"])

    def asked(self, operation: str) -> list[Any]:
        deadline = time.monotonic() + 60
        while not (found := self.admin.get("/v1/operations", params={"operation": operation, "outcome": "granted"}).json()["items"]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return list(found)


@pytest.fixture(scope="module")
def site(built: Path) -> Iterator[Site]:
    with serving(FLOWLEDGER_AUTH="local", FLOWLEDGER_STEP_UP="suspend_instance") as (url, link):
        admin = httpx2.Client(base_url=url, timeout=60)
        said = admin.post("/v1/session/link", json={"link": link.partition("#")[2], "password": PASSWORD})
        admin.headers["x-csrf-token"] = said.json()["csrf"]
        found = Site(url.replace("127.0.0.1", "localhost"), admin)
        found.done(admin.post("/v1/deployments", json={"resources": [{"name": "release.bpmn", "content": MODEL}]}))
        yield found


class Key:
    """A virtual authenticator in a page (the protocol's WebAuthn domain)."""

    def __init__(self, page: Any) -> None:
        self.cdp = page.context.new_cdp_session(page)
        self.cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
        }
        self.id = self.cdp.send(
            "WebAuthn.addVirtualAuthenticator", {"options": {**options, "automaticPresenceSimulation": True}}
        )["authenticatorId"]  # fmt: skip

    def verifies(self, whether: bool) -> None:
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": whether})

    def credentials(self) -> list[Any]:
        return list(self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"])

    def take(self, credential: Any) -> None:
        self.cdp.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": credential})

    def forget(self) -> None:
        self.cdp.send("WebAuthn.clearCredentials", {"authenticatorId": self.id})


def joined(site: Site, browser: Any, said: list[str], name: str, *roles: str) -> tuple[Any, Key]:
    """Somebody new, signed in, with a passkey."""
    link = site.done(site.admin.post("/v1/users", json={"name": name, "roles": list(roles)}))["link"]
    page = person(browser, said)
    page.goto(site.url + link)
    choose_password(page)
    page.get_by_role("button", name=f"You are {name}").wait_for()
    key = Key(page)
    add(page, "laptop", PASSWORD)
    return page, key


def add(page: Any, title: str, password: str = "") -> None:
    page.get_by_role("button", name="You are").click()
    page.get_by_role("menuitem", name="Your account").click()
    page.get_by_role("heading", name="Passkeys").wait_for()
    page.get_by_role("button", name="Add a passkey").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the passkey").fill(title)
    if password:
        dialog.get_by_role("textbox", name="Password").fill(password)
    dialog.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("row", name=re.compile(title)).wait_for()


def sign_out(page: Any) -> None:
    page.get_by_role("button", name="You are").click()
    page.get_by_role("menuitem", name="Sign out", exact=True).click()
    page.get_by_role("heading", name="Sign in").wait_for()


def test_added_signed_in_with_and_removed(site: Site, browser: Any) -> None:
    said: list[str] = []
    page, key = joined(site, browser, said, "rita", "task-worker")
    sound(page)
    [kept] = key.credentials()
    assert kept["isResidentCredential"] and kept["rpId"] == "localhost"
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("button", name="You are rita").wait_for()
    page.goto(f"{site.url}/account")
    row = page.get_by_role("row", name=re.compile("laptop"))
    row.wait_for()
    assert "–" not in row.inner_text(), "when it was used"
    key.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": key.id})
    with_two = Key(page)  # another device, that has the passkey too, as those that are kept in step do
    with_two.take({**kept, "signCount": kept["signCount"] + 50})
    page.get_by_role("button", name="Remove laptop").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_text("No passkey yet").wait_for()
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("alert").get_by_text("doesn't sign in here").wait_for()
    with_two.forget()
    page.context.close()
    assert not said, said


def test_without_verification_nobody_signs_in(site: Site, browser: Any) -> None:
    said: list[str] = []
    page, key = joined(site, browser, said, "vito", "task-worker")
    sign_out(page)
    key.verifies(False)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("button", name="You are").count() == 0
    key.verifies(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_role("button", name="You are vito").wait_for()
    page.context.close()
    assert not said, said


@pytest.mark.req("APG-DIF-007")
def test_a_task_and_an_operation_are_done_by_who_shows_it(site: Site, browser: Any) -> None:
    said: list[str] = []
    page, key = joined(site, browser, said, "olga", "operator")
    task = site.task()
    page.goto(f"{site.url}/tasks/{task}")
    key.verifies(False)
    tried: list[str] = []
    page.on("request", lambda r: tried.append(r.url) if r.url.endswith("/complete") else None)
    page.get_by_role("button", name="Complete").click()
    page.get_by_text("it takes your passkey").wait_for()
    assert len(tried) == 1, "nobody is asked for it again and again"
    assert site.done(site.admin.get(f"/v1/tasks/{task}"))["status"] == "created"
    key.verifies(True)
    page.get_by_role("button", name="Complete").click()
    page.wait_for_url(re.compile(r"/tasks(\?|$)"))
    [told] = [o for o in site.asked("complete_task") if o["subject"] == task]
    [kept] = key.credentials()
    proof = told["details"]["proof"]
    assert told["actor"] == "olga" and base64.urlsafe_b64decode(proof["credential"] + "==") == base64.b64decode(kept["credentialId"])
    client = json.loads(base64.urlsafe_b64decode(proof["client"] + "=="))
    assert (client["type"], client["origin"]) == ("webauthn.get", site.url)

    instance = site.done(site.admin.post("/v1/instances", json={"definition": "release"}))["id"]
    page.goto(f"{site.url}/instances/{instance}")
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Suspend").click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    page.get_by_text("suspended").first.wait_for()
    [told] = [o for o in site.asked("suspend_instance") if o["subject"] == instance]
    assert told["details"]["proof"]["actor"] == "olga"
    page.context.close()
    assert not said, said


def by_hand(page: Any, options: Any) -> Any:
    """What the page's browser answers to a challenge."""
    script = """async (o) => (await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(o)})).toJSON()"""
    return page.evaluate(script, options)


@pytest.mark.req("APG-DIF-007")
def test_a_wrong_origin_a_replay_another_s_and_a_removed_key_are_not_taken(site: Site, browser: Any) -> None:
    said: list[str] = []
    page, key = joined(site, browser, said, "nina", "operator")
    other, their = joined(site, browser, said, "otto", "operator")
    cookie = {c["name"]: c["value"] for c in page.context.cookies()}["flowledger_session"]
    nina = httpx2.Client(base_url=site.url, timeout=60, headers={"cookie": f"flowledger_session={cookie}"})
    nina.headers["x-csrf-token"] = nina.get("/v1/me").json()["csrf"]
    task = site.task()
    path = f"/v1/tasks/{task}/complete"

    def step_up() -> Any:
        answer = nina.post(path, json={})
        assert answer.status_code == 403, answer.text
        return answer.json()["step_up"]

    def shows(asked: Any, credential: Any) -> str:
        answer = nina.post(f"/v1/step-ups/{asked['id']}", json={"credential": credential})
        return "" if answer.status_code == 200 else str(answer.json()["detail"])

    asked = step_up()
    # the same browser and key on a page of another origin, which makes the same name believe it is ours: another port of this machine
    stranger = page.context.new_page()
    stranger.route("**/*", lambda route: route.fulfill(body="<html>come in</html>", content_type="text/html"))
    stranger.goto("http://localhost:1/")
    strange = Key(stranger)
    [kept] = key.credentials()
    strange.take(kept)
    assert "origin" in shows(asked, by_hand(stranger, asked["public_key"]))
    stranger.close()
    their_own = {**asked["public_key"], "allowCredentials": []}
    assert "no passkey of nina" in shows(asked, by_hand(other, their_own))
    key.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": key.id, "isUserVerified": True})
    answer = by_hand(page, asked["public_key"])
    assert shows(asked, answer) == "" and "signed once" not in shows(asked, answer)
    assert nina.post(path, json={"variables": {"x": 1}}, headers={"x-step-up": asked["id"]}).json()["code"] == "STEP_UP_FAILED", (
        "another body"
    )
    again = step_up()
    assert shows(again, answer), "the answer to another challenge"
    assert nina.post(path, json={}, headers={"x-step-up": again["id"]}).json()["code"] == "STEP_UP_FAILED"
    page.goto(f"{site.url}/account")
    page.get_by_role("button", name="Remove laptop").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    page.get_by_text("No passkey yet").wait_for()
    gone = nina.post(path, json={}, headers={"x-step-up": asked["id"]}).json()
    assert gone["code"] == "STEP_UP_FAILED" and "removed" in gone["detail"]
    assert site.done(site.admin.get(f"/v1/tasks/{task}"))["status"] == "created", "none of it has done it"
    for each in (page, other):
        each.context.close()
    assert not said, said


@pytest.mark.req("APG-DIF-007")
def test_the_command_line_says_where_it_is_shown(site: Site, browser: Any, tmp_path: Path) -> None:
    said: list[str] = []
    page, _ = joined(site, browser, said, "cleo", "operator")
    me = page.evaluate("async () => (await (await fetch('/v1/me')).json()).csrf")
    made = page.evaluate(
        """async (csrf) => (await (await fetch('/v1/api-keys', {method: 'POST', headers: {'Content-Type': 'application/json', 'X-CSRF-Token': csrf},
        body: JSON.stringify({name: 'cli', roles: ['operator']})})).json()).key""", me,
    )  # fmt: skip
    task = site.task()

    def ours(**env: str) -> Any:
        command = [sys.executable, "-m", "flowledger", "complete", task, "--server", site.url]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "FLOWLEDGER_API_KEY": made, **env}, timeout=120
        )

    first = ours()
    told = first.stdout + first.stderr
    found = re.search(r"/step-up/([0-9a-f]{32})", told)
    assert first.returncode != 0 and found, told
    assert f"FLOWLEDGER_STEP_UP_ID={found[1]}" in re.sub(r"\s+", "", told)
    page.goto(f"{site.url}/step-up/{found[1]}")
    page.get_by_text("complete_task").wait_for()
    sound(page)
    page.get_by_role("button", name="It was me").click()
    page.get_by_role("status").get_by_text("ask again").wait_for()
    second = ours(FLOWLEDGER_STEP_UP_ID=found[1])
    assert second.returncode == 0, second.stdout + second.stderr
    assert ours(FLOWLEDGER_STEP_UP_ID=found[1]).returncode != 0, "once"
    page.context.close()
    assert not said, said

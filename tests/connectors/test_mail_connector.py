"""The mail connector against aiosmtpd: what arrives, templates, attachments, TLS, refusals, and addresses that want to be more than one."""

from __future__ import annotations

import asyncio
import base64
import email
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure
from tests.connectors.wire import Certificates, Wire


class Mailbox:
    """A server: what it got, whom it lets in, and what it answers to whom."""

    def __init__(self) -> None:
        self.key, self.answers, self.data_answer = SECRET, {}, "250 taken"
        self.got: list[tuple[Any, EmailMessage]] = []

    async def start(self, tls: Any = None, needs_tls: bool = False) -> int:
        def made() -> SMTP:
            return SMTP(
                self,
                hostname="server.example",
                tls_context=tls,
                require_starttls=needs_tls,
                auth_require_tls=False,
                authenticator=self.check,
                loop=asyncio.get_running_loop(),
            )

        self._server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        self._server.close()

    def check(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == self.key.encode(), handled=False)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data_answer.startswith("2"):
            self.got.append((envelope, email.message_from_bytes(envelope.content, policy=default)))
        return self.data_answer


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    made = Mailbox()
    made.port = await made.start()
    yield made
    made.close()


class MailRig(Rig):
    connector = "email"
    secret_at = "password"

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox, self.to = mailbox, ("127.0.0.1", mailbox.port)

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {
            "host": host,
            "port": port,
            "security": "tls" if tls else "off",
            "username": "flows",
            "password": "{{secrets.KEY}}",
            "from": "flows@example.org",
            "to": "a@example.org",
            "subject": "Booked",
            "text": "It is booked.",
        }

    def checked(self, answer: Any) -> None:
        assert answer["accepted"] == ["a@example.org"] and answer["refused"] == {}

    async def rotate(self, value: str) -> None:
        self.mailbox.key = value

    async def effects(self) -> list[str]:
        return [message["Message-ID"] for _, message in self.mailbox.got]


class TestContract(Contract):
    @pytest.fixture
    async def rig(self, mailbox: Mailbox) -> Rig:
        return MailRig(mailbox)


class StartTlsRig(MailRig):
    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {**super().call(host, port, tls), "security": "starttls" if tls else "off"}

    async def tls_wire(self, folder: Path) -> tuple[Wire, str]:
        authority = Certificates(folder)
        port = await Mailbox.start(self.mailbox, authority.server("server.example"), needs_tls=True)
        return await Wire(("127.0.0.1", port)).start(), str(authority.file)


async def test_starttls_is_checked(mailbox: Mailbox, tmp_path: Path, bench):
    wire, authority = await StartTlsRig(mailbox).tls_wire(tmp_path)

    async def resolve(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    for host, settings, code in (
        ("server.example", {}, "TLS"),
        ("other.example", {"egress_ca_file": authority}, "TLS"),
        ("server.example", {"egress_ca_file": authority}, ""),
    ):
        run = bench("email", **settings)
        run.runner.gate._resolve = resolve
        variables = {**StartTlsRig(mailbox).call(host, wire.port, tls=True), "password": SECRET}
        if code:
            assert (await failure(run(variables))).code == code
        else:
            await run(variables)
    assert len(mailbox.got) == 1
    await wire.close()


async def test_a_server_without_starttls_gets_nothing(mailbox: Mailbox, bench):
    found = await failure(bench("email")(mail(mailbox, security="starttls", password=SECRET, username="u")))
    assert (found.code, found.retries, mailbox.got) == ("TLS", 0, [])


def mail(mailbox: Mailbox, **more: Any) -> dict[str, Any]:
    base = {
        "host": "127.0.0.1",
        "port": mailbox.port,
        "security": "off",
        "from": "Flows <flows@example.org>",
        "to": "a@example.org",
        "text": "hi",
    }
    return {k: v for k, v in (base | more).items() if v is not None}


async def test_what_arrives(mailbox: Mailbox, bench):
    more = {
        "to": ["a@example.org", '"B, the second" <b@example.org>'],
        "cc": "c@example.org, d@example.org",
        "bcc": "hidden@example.org",
        "replyTo": "answers@example.org",
        "subject": "Gr\u00fc\u00dfe \U0001f600",
        "text": "as text \u00fc\n.\nend",
        "html": "<p>as <b>HTML</b></p>",
        "attachments": [
            {"filename": "a b.csv", "contentType": "text/csv", "content": "a;b\n"},
            {"filename": "\u00fc.bin", "base64": base64.b64encode(b"\0\1").decode()},
        ],
    }
    found = (await bench("email")(mail(mailbox, **more), OUT, key="4711"))["out"]
    ((envelope, message),) = mailbox.got
    assert envelope.mail_from == "flows@example.org" and "hidden@example.org" in envelope.rcpt_tos and len(envelope.rcpt_tos) == 5
    assert "hidden" not in envelope.content.decode("latin-1")
    assert [str(a) for a in message["To"].addresses] == ["a@example.org", '"B, the second" <b@example.org>']
    assert (str(message["Subject"]), str(message["From"]), message["Auto-Submitted"]) == (
        "Gr\u00fc\u00dfe \U0001f600",
        "Flows <flows@example.org>",
        "auto-generated",
    )
    assert found["messageId"] == message["Message-ID"] == "<4711.flowledger@example.org>"
    assert message.get_body(("plain",)).get_content().splitlines() == ["as text \u00fc", ".", "end"]
    assert "<b>HTML</b>" in message.get_body(("html",)).get_content()
    csv, binary = message.iter_attachments()
    assert (csv.get_filename(), csv.get_content_type(), csv.get_content()) == ("a b.csv", "text/csv", b"a;b\n".decode())
    assert (binary.get_filename(), binary.get_content()) == ("\u00fc.bin", b"\0\1")


async def test_templates_escape_what_goes_to_html_and_evaluate_no_data(mailbox: Mailbox, bench):
    headers = {
        "subjectTemplate": "Order {{ order.number }}\n for {{ name }}",
        "textTemplate": 'Dear {{ name }}, {{ if total > 10 then "free" else "not free" }}: {{ total }}{{ none }}',
        "htmlTemplate": '<p title="{{ name }}">{{ name }}</p><i>{{ for i in [1, 2] return i }}</i>',
    }
    data = {"name": '<Ann> "{{ 1 + 1 }}"', "order": {"number": 7}, "total": 10.5}
    await bench("email")(mail(mailbox, text=None, data=data), headers)
    ((_, message),) = mailbox.got
    assert str(message["Subject"]) == 'Order 7 for <Ann> "{{ 1 + 1 }}"'
    assert message.get_body(("plain",)).get_content().strip() == 'Dear <Ann> "{{ 1 + 1 }}", free: 10.5'
    shown = "&lt;Ann&gt; &quot;{{ 1 + 1 }}&quot;"
    assert message.get_body(("html",)).get_content().strip() == f'<p title="{shown}">{shown}</p><i>[1,2]</i>'


async def test_templates_are_the_models_own(mailbox: Mailbox, bench):
    found = await failure(bench("email")(mail(mailbox, text=None, textTemplate="{{ 1 }}")))
    assert (found.code, mailbox.got) == ("CONFIGURATION", [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "a@example.org\r\nBcc: b@example.org"},
        {"to": ["a@example.org, b@example.org"]},
        {"to": "no address"},
        {"to": ["a b@example.org"]},
        {"to": []},
        {"from": "a@x.org, b@x.org"},
        {"subject": "a\nBcc: b@example.org"},
        {"to": [f"a{i}@x.org" for i in range(101)]},
        {"text": None},
        {"attachments": [{"filename": "../a", "content": "x"}]},
        {"attachments": [{"filename": "a", "base64": "!"}]},
        {"attachments": [{"filename": "a", "content": "x", "contentType": "a\r\nb"}]},
        {"password": "secret-1"},
        {"to": "<a@x.org> RCPT"},
    ],
)
async def test_mails_that_are_refused(mailbox: Mailbox, bench, wrong):
    found = await failure(bench("email")(mail(mailbox, **wrong)))
    assert (found.code, found.retries, mailbox.got) == ("CONFIGURATION", 0, [])


@pytest.mark.parametrize(
    ("answers", "data", "code", "again"),
    [
        ({"a@example.org": "550 nobody of that name"}, "250 ok", "550", False),
        ({"a@example.org": "450 later"}, "250 ok", "450", True),
        ({}, "452 no room", "452", True),
        ({}, "554 no", "554", False),
    ],
)
async def test_what_the_server_refuses(mailbox: Mailbox, bench, answers, data: str, code: str, again: bool):
    mailbox.answers, mailbox.data_answer = answers, data
    found = await failure(bench("email")(mail(mailbox)))
    assert (found.code, found.retries is None) == (code, again), found.message


async def test_one_of_several_recipients_may_be_refused(mailbox: Mailbox, bench):
    mailbox.answers = {"b@example.org": "550 nobody"}
    found = (await bench("email")(mail(mailbox, to="a@example.org, b@example.org"), OUT))["out"]
    assert found["accepted"] == ["a@example.org"] and found["refused"] == {"b@example.org": {"code": 550, "message": "nobody"}}


GOOD = {"host": "mx", "from": "a@x.org", "to": "= who", "text": "= body"}


@pytest.mark.parametrize(
    ("inputs", "headers", "words"),
    [
        (GOOD, {}, ""),
        ({**GOOD, "text": "= t", "security": "none"}, {}, "security"),
        ({"host": "mx", "from": "a@x.org", "to": "b@x.org"}, {"textTemplate": "{{ if }}"}, "textTemplate"),
        ({"host": "mx", "from": "a@x.org", "to": "b@x.org"}, {"textTemplate": "{{ name }}"}, ""),
        ({**GOOD, "htmlTemplate": "x"}, {}, "header"),
    ],
)
def test_findings(inputs, headers, words: str):
    found = said(inputs, headers, "flowledger:email")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found

"""A mail box of a real dovecot as a source: the contract, and what is its own: UIDs, parts of mails, broken ones, large ones, folders that are made anew."""

from __future__ import annotations

import asyncio
import base64
import email.policy
import hashlib
import imaplib
import json
import uuid
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowledger.connectors.sources import mailbox as source
from flowledger.connectors.sources import mails
from flowledger.events.triggers import TriggerParked
from flowledger.infra.blobs import blobs_of
from flowledger.kernel.model import read
from tests.connectors.conftest import dovecot_server  # noqa: F401 - a fixture
from tests.connectors.wire import Wire
from tests.triggers.conftest import place_of
from tests.triggers.contract import Contract, TlsContract, Wired, opened, quick  # noqa: F401 - a fixture for all

pytestmark = [pytest.mark.req("APG-TRG-002"), pytest.mark.timeout(300)]


class Box(Wired):
    NUMBER, TLS = "number(payload.n)", "verify"

    def __init__(self, place: Any, port: int, wire: Wire) -> None:
        super().__init__(place, wire)
        self.port, self.host, self.tls = port, "127.0.0.1", '"off"'
        self.user, self.folder, self.more = f"u{uuid.uuid4().hex[:10]}", "INBOX", ", value: json"

    async def start(self) -> None:
        self.place.secret("MAIL", "hush-hush")
        self.imap = imaplib.IMAP4("127.0.0.1", self.port)
        self.imap.login(self.user, "hush-hush")

    def source(self) -> str:
        who = f'username: {self.user}, password: "{{{{secrets.MAIL}}}}"'
        return f"{{imap: {{host: {self.host}, port: {self.wire.port}, tls: {self.tls}, {who}, folder: {self.folder}{self.more}}}}}"

    async def put(self, *numbers: int, **more: Any) -> None:
        for n in numbers:
            await self.mail(mail(json.dumps({"n": n, **more})))

    async def mail(self, raw: EmailMessage | bytes) -> None:
        data = raw if isinstance(raw, bytes) else raw.as_bytes(policy=email.policy.SMTP)
        kind, said = await asyncio.to_thread(self.imap.append, self.folder, "", None, data)  # type: ignore[arg-type]
        assert kind == "OK", said

    async def reasons(self) -> list[str]:
        return [e.reason for e in await self.place.events(TriggerParked)]


def mail(text: str, subject: str = "s") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"], made["Message-ID"] = (
        "Ann \u00dc <ann@example.org>",
        "b@example.org, c@example.org",
        subject,
        "<m1@example.org>",
    )
    made.set_content(text)
    return made


@pytest.fixture
async def world(tmp_path: Path, dovecot_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:  # noqa: F811
    monkeypatch.setattr(source, "EVERY_S", 0.05)
    port = int(dovecot_server["port"])
    wire = await Wire(("127.0.0.1", port)).start()
    async with place_of(tmp_path, egress_private=("127.0.0.1", "server.example")) as place, opened(Box(place, port, wire)) as found:
        await found.start()
        yield found
        found.imap.logout()
    await wire.close()


class TestMailbox(TlsContract, Contract):
    async def test_what_stands_in_a_mail(self, world):
        world.more = ", attachments: base64"
        fields = ("subject", "sender", "to", "cc", "message_id", "date", "html", "folder", "attachments", "uid")
        told = ", ".join(f"{f}: {f}" for f in fields)
        await world.deploy(f"start: {{process: p, variables: {{n: =uid, text: =payload, all: '={{{told}}}', kind: =headers.x-kind}}}}\n")
        await world.node()
        await world.reading()
        made = mail("Dear \u00e4ll,\nhello\n", "An \u00f6rder")
        made["Date"], made["X-Kind"] = "Mon, 30 Nov 2026 08:00:00 +0100", "order"
        made.add_alternative("<p>hello</p>", subtype="html")
        made.add_attachment(b"%PDF\x00", maintype="application", subtype="pdf", filename="b\u00fcll.pdf")
        made.add_attachment("a,b\n", subtype="csv", filename="x.csv")
        made.add_attachment(mail("inner"))
        await world.mail(made)
        await world.come(1)
        [found] = await world.place.started()
        assert found["text"] == "Dear \u00e4ll,\nhello\n" and found["kind"] == "order"
        told = found["all"]
        attached = told.pop("attachments")
        assert told == {
            "subject": "An \u00f6rder", "sender": {"name": "Ann \u00dc", "address": "ann@example.org"}, "cc": [], "message_id": "<m1@example.org>",
            "to": [{"name": "", "address": "b@example.org"}, {"name": "", "address": "c@example.org"}], "date": "2026-11-30T08:00:00+01:00",
            "html": "<p>hello</p>\n", "folder": "INBOX", "uid": 1,
        }  # fmt: skip
        assert [(a["name"], a["media_type"]) for a in attached] == [
            ("b\u00fcll.pdf", "application/pdf"),
            ("x.csv", "text/csv"),
            ("", "message/rfc822"),
        ]
        assert base64.b64decode(attached[0]["content"]) == b"%PDF\x00" and attached[0]["sha256"] == hashlib.sha256(b"%PDF\x00").hexdigest()
        assert b"inner" in base64.b64decode(attached[2]["content"])

    @pytest.mark.req("APG-CON-009")
    async def test_attachments_are_files_of_the_instance(self, world):
        """In one step with its start; and what can't be kept parks its mail alone."""
        world.more = ", attachments: files"
        world.place.settings = world.place.settings.model_copy(update={"blob_bytes_max": 100_000})
        await world.deploy(
            "start: {process: p, variables: {n: =uid, kept: '=for a in attachments return a.file.name', about: =attachments}}\n"
        )
        await world.node()
        await world.reading()
        made = mail("hello")
        for data, name in ((b"%PDF\x00", "scan.pdf"), (b"two", "scan.pdf"), (b"odd", "../a\\b"), (b"none", None)):
            made.add_attachment(data, maintype="application", subtype="pdf", **({"filename": name} if name else {}))
        large = mail("too large")
        large.add_attachment(b"x" * 100_001, maintype="application", subtype="pdf", filename="large.pdf")
        for each in (made, large, mail("nothing")):
            await world.mail(each)
        await world.come(1, 3)
        first, last = await world.place.started()
        names = ["scan.pdf", "scan (2).pdf", ".._a_b".strip(". "), "attachment-4"]
        assert first["kept"] == names and last["kept"] == [] and "content" not in first["about"][0] and "bytes" not in first["about"][0]
        [of] = [i for o in world.place.engine.owners.values() for i in o.state.instances.values() if i.vars["n"] == 1]
        assert [f["name"] for f in of.files] == names and {f["media_type"] for f in of.files} == {"application/pdf"}
        blobs = blobs_of(world.place.settings)
        assert b"".join([p async for p in blobs.read("", of.files[1]["sha256"])]) == b"two"
        [reason] = await world.reasons()
        assert "attachment 1 has 100001 bytes" in reason

    async def test_from_the_first_mail_on_where_it_says_so(self, world):
        world.more += ", from: start"
        await world.put(1, 2)
        await world.deploy()
        await world.node()
        await world.come(1, 2)

    async def test_no_mail_is_changed(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        world.imap.select("INBOX", readonly=True)
        assert b"Seen" not in world.imap.fetch("1", "(FLAGS)")[1][0]

    async def test_what_is_deleted_before_it_is_read_holds_nothing_up(self, world):
        await world.deploy()
        await world.node()
        await world.reading()
        await world.place.pause("t")
        await world.put(1, 2, 3)
        world.imap.select("INBOX")
        world.imap.store("1,3", "+FLAGS", "\\Deleted")
        world.imap.expunge()
        await world.place.pause("t", "resume")
        await world.come(2)
        await world.put(4)
        await world.come(2, 4)

    async def test_what_cannot_be_used_is_parked_and_the_next_passes(self, world):
        """A mail that is too large is known by its headers, one whose attachments are too many for the log by what it is."""
        world.more += ", bytes: 3000000, attachments: base64"
        await world.deploy()
        await world.node()
        await world.reading()
        await world.mail(mail("no JSON"))
        await world.mail(mail("x" * 70 + "\n" + ("y" * 70 + "\n") * 50_000, "large"))
        full = mail('{"n": 9}', "full")
        full.add_attachment(b"z" * 1_200_000, maintype="application", subtype="pdf", filename="f.pdf")
        await world.mail(full)
        await world.put(1)
        await world.come(1)
        reasons = await world.reasons()
        for words in ("can't be read as json", "more than the 3000000 that are taken", "more than the 1100000"):
            assert sum(words in r for r in reasons) == 1, (words, reasons)

    async def test_a_folder_that_is_made_anew_is_told_and_nothing_is_read_twice(self, world):
        world.folder = '"a b.in"'
        world.imap.create(world.folder)
        await world.deploy()
        await world.node()
        await world.reading()
        await world.put(1)
        await world.come(1)
        await world.place.pause("t")
        world.imap.delete(world.folder)
        await asyncio.sleep(1.1)  # its number is made of the second
        world.imap.create(world.folder)
        await world.put(1)
        await world.place.pause("t", "resume")
        await world.tells("made anew")
        assert await world.numbers() == [1]

    @pytest.mark.parametrize(
        ("secret", "folder", "words"),
        [
            (None, "INBOX", "no secret 'MAIL'"),
            ("wrong-and-hushed", "INBOX", "can't be read"),
            ("hush-hush", "none", "folder none can't be opened"),
        ],
    )
    async def test_what_cannot_be_read_is_told(self, world, secret, folder, words, tmp_path):
        world.folder = folder
        (tmp_path / "secrets" / "MAIL").unlink()
        if secret is not None:
            world.place.secret("MAIL", secret)
        await world.deploy()
        await world.node()
        await world.tells(words)
        assert "hushed" not in world.place.trigger("t").error
        world.place.secret("MAIL", "hush-hush")
        if folder == "INBOX":  # a secret that is mended needs no restart
            await world.reading()
            await world.put(1)
            await world.come(1)
        else:
            world.imap.create(folder)
            await world.reading()

    async def test_a_server_without_starttls_gets_no_password(self, world):
        world.tls = "starttls"
        await world.deploy()
        await world.node()
        await world.tells("TLS not supported")


async def test_a_server_that_says_nothing_and_one_that_says_too_much_are_told(tmp_path, monkeypatch):
    """By a stub. A line without an end, and a mail that is larger than it said."""
    monkeypatch.setattr(source, "PATIENCE_S", 0.5)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if says := words.pop(0) if words else b"":
            writer.write(says)
        while line := await reader.readline():
            tag, _, rest = line.partition(b" ")
            answer = {
                b"CAPABI": b"* CAPABILITY IMAP4rev1\r\n", b"EXAMIN": b"* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 1] n\r\n", b"UID SE": b"* SEARCH 1\r\n",
                b"UID FE": b"* 1 FETCH (UID 1 RFC822.SIZE 10)\r\n" if b"SIZE" in rest else b"* 1 FETCH (UID 1 BODY[] {999999999}\r\n",
            }.get(rest[:6], b"")  # fmt: skip
            writer.write(answer + tag + b" OK done\r\n")
        writer.close()

    words: list[bytes] = [b"", b"x" * 2_000_000, *[b"* OK here\r\n"] * 50]
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        place_of(tmp_path, egress_private=("127.0.0.1",)) as place,
        opened(Box(place, port, await Wire(("127.0.0.1", port)).start())) as world,
    ):
        place.secret("MAIL", "hush-hush")
        world.more = ", from: start"
        await world.deploy()
        await world.node()
        for told in ("no answer within the time", "got more than", "999999999 bytes at once"):
            await world.tells(told)
        await world.wire.close()
    server.close()


ODD = b"From: =?x?q?=\r\nDate: never\r\nSubject: =?utf-8?q?=FF=?=\r\nContent-Type: text/plain; charset=nobody\r\n\r\nt\xff"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""), (b"\xff\x00", ""), (ODD, "t\ufffd"), (b"Content-Type: multipart/mixed\r\n\r\nno boundary", ""),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx", "x"),
        (b"Content-Transfer-Encoding: base64\r\n\r\n!!!", ""), (b"Content-Type: text/html\r\n\r\n<p>", ""),
        (b"Content-Type: message/rfc822\r\n\r\n", ""), (b"From: a@b\r\nFrom: c@d\r\n\r\nx", "x"),
    ],
)  # fmt: skip
def test_broken_mails_are_read_as_far_as_they_can_be(raw: bytes, text: str):
    context, reason = mails.read(raw, mails.Shape("INBOX", "text", "base64"), 1, len(raw))
    assert reason == "" and (context["payload"].strip() == text or text == ""), context
    json.dumps(context).encode()


def test_parts_that_are_too_deep_and_what_the_library_stumbles_over_hold_nothing_up(monkeypatch):
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(5_000))
    context, _ = mails.read(raw, mails.Shape("INBOX", "text", "base64"), 7, len(raw))
    assert context["uid"] == 7 and json.dumps(context)

    def stumbles(*given: Any) -> Any:
        raise RecursionError("too deep")

    monkeypatch.setattr(mails, "_read", stumbles)
    found = mails.read(raw, mails.Shape("INBOX", "text", "base64"), 7, len(raw))
    assert found == ({"folder": "INBOX", "uid": 7, "size": len(raw)}, "it can't be read: RecursionError")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([
    b"From: ", b"To: a@b, ", b"Subject: =?utf-8?b?w7w=?= ", b"Content-Type: multipart/mixed; boundary=x", b"Content-Type: text/plain; charset=", b"\r\n", b"\r\n\r\n",
    b"--x", b"--x--", b"Content-Disposition: attachment; filename*=utf-8''%FF", b"Date: Mon, 30 Nov", b"\xff\xfe", b"Message-ID: <", b"=?", b":", b";", b"\"", b"(",
    b"Content-Transfer-Encoding: quoted-printable", b"=3D=", b"message/rfc822",
]), max_size=30).map(b"".join))  # fmt: skip
def test_no_mail_stops_the_reader(raw: bytes):
    context, _ = mails.read(raw, mails.Shape("INBOX", "text", "base64"), 1, len(raw))
    json.dumps(context).encode()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("{host: a, username: u}", "password: expected it"), ("{host: a, username: u, password: p}", "a reference"),
        ('{host: a, username: u, password: "{{secrets.P}}", bytes: 5}', "a whole number from 1000"),
        ('{host: a, username: u, password: "{{secrets.P}}", every: PT0S}', "a duration from PT1S"),
        ('{host: a, username: u, password: "{{secrets.P}}", attachments: all}', "one of none, base64, files"),
        ('{host: a, username: u, password: "{{secrets.P}}", box: x}', "one of host"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{imap: {config}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert "TRIGGER_SOURCE" in {f.code for f in found} and any(words in f.message for f in found), found

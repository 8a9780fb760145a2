"""Mail by SMTP (RFC 5321): text, HTML and attachments, with TLS, once a key.

The Message-ID is made of the key of the work: a mail that is sent again after a connection that broke is the same mail to whoever looks at it.
"""

from __future__ import annotations

import base64
import binascii
import re
import socket
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import formatdate, getaddresses
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from flowledger.connectors import reach
from flowledger.connectors.fields import LITERAL, Host, Port, Seconds, Secret
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.outcomes import SENT
from flowledger.connectors.templated import CHARS_MAX, Template, filled

RECIPIENTS_MAX = 100
ATTACHMENTS_MAX = 20
#: of a mail as it is sent
BYTES_MAX = 10 * 1024 * 1024
PORTS = {"starttls": 587, "tls": 465, "off": 25}
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,255}")


def _addresses(value: Any) -> Any:
    """`a@x, B <b@x>` or a list of such, each of which is one; as a list of texts."""
    texts = value if isinstance(value, list) else [value] if isinstance(value, str) and value.strip() else []
    found = []
    for text in texts:
        if not isinstance(text, str) or any(ch in text for ch in "\r\n\0"):
            raise ValueError("expected addresses of one line")
        rows = getaddresses([text])
        if not rows or not all(_ADDRESS.fullmatch(address) for _, address in rows) or (isinstance(value, list) and len(rows) > 1):
            raise ValueError("expected addresses such as 'name@example.org' or 'Name <name@example.org>'")
        found += [f'"{name.translate(_QUOTED)}" <{address}>' if name else address for name, address in rows]
    return found


_QUOTED = str.maketrans({'"': "'", "\\": "/"})
Addresses = Annotated[list[str], BeforeValidator(_addresses), Field(max_length=RECIPIENTS_MAX)]
Line = Annotated[str, Field(max_length=998, pattern=r"^[^\r\n\x00]*$")]
Body = Annotated[str, Field(max_length=CHARS_MAX)]


class Attachment(Config):
    """A file: its content as text, or its bytes as base64."""

    filename: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\r\n\x00/\\]*$")]
    content_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$", max_length=127)] = (
        "application/octet-stream"
    )
    content: str | None = None
    base64: str | None = None

    def data(self) -> bytes:
        """Raises: ValueError."""
        try:
            return (self.content or "").encode() if self.base64 is None else base64.b64decode(self.base64, validate=True)
        except binascii.Error:
            raise ValueError(f"attachments: expected base64 for {self.filename!r}") from None


class Sender(Config):
    """By which server a mail goes out, and in whose name."""

    host: Host = Field(description="Name or address of the mail server", title="Host")
    port: Port | None = Field(None, description="Empty: 587 with STARTTLS, 465 with TLS, 25 with none", title="Port")
    security: Literal["starttls", "tls", "off"] = Field(
        "starttls", description="starttls and tls: the server is who it says; off: only where the way is safe", title="TLS"
    )
    username: Annotated[str, Field(max_length=256)] = Field("", description="Who we are to the server; empty: it asks nobody", title="User")
    password: Secret | None = Field(None, description="A reference: {{secrets.NAME}}", title="Password")
    from_: Addresses = Field(description="Address of the sender", title="From", alias="from")


class MailConfig(Sender):
    """Sends a mail by SMTP."""

    model_config = ConfigDict(title="Mail (SMTP)")

    to: Addresses = Field([], description="Addresses, separated by commas, or a list", title="To")
    cc: Addresses = Field([], description="Who gets a copy", title="Cc")
    bcc: Addresses = Field([], description="Who gets a copy that the others don't see", title="Bcc")
    reply_to: Addresses = Field([], description="Where answers go", title="Reply to")
    subject: Line = Field("", description="What it is about", title="Subject")
    text: Body = Field("", description="The mail as text", title="Text")
    html: Body = Field("", description="The mail as HTML, as it is", title="HTML")
    subject_template: Template | None = Field(
        None, description="With {{ FEEL }} over data", title="Subject (template)", json_schema_extra=LITERAL
    )
    text_template: Template | None = Field(
        None, description="With {{ FEEL }} over data", title="Text (template)", json_schema_extra=LITERAL
    )
    html_template: Template | None = Field(
        None, description="With {{ FEEL }} over data, each value escaped", title="HTML (template)", json_schema_extra=LITERAL
    )
    data: dict[str, Any] = Field({}, description="A context: what templates see", title="Data")
    attachments: Annotated[list[Attachment], Field(max_length=ATTACHMENTS_MAX)] = Field(
        [], description="List of {filename, contentType, content} or {filename, contentType, base64}", title="Attachments"
    )
    timeout_in_seconds: Seconds = Field(60, description="For all of the call", title="Time limit (s)")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.from_) != 1:
            raise ValueError("from: expected one address")
        if not 0 < len(self.to + self.cc + self.bcc) <= RECIPIENTS_MAX:
            raise ValueError(f"expected 1 to {RECIPIENTS_MAX} addresses in to, cc and bcc")
        if not (self.text or self.html or self.text_template or self.html_template):
            raise ValueError("expected text, html, textTemplate or htmlTemplate")
        for plain, template in (("subject", self.subject_template), ("text", self.text_template), ("html", self.html_template)):
            if getattr(self, plain) and template:
                raise ValueError(f"expected {plain} or {plain}Template, found both")
        if self.password is not None and not self.username:
            raise ValueError("username: the password is somebody's")
        return self


class MailConnector:
    name = "email"
    job_type = "flowledger:email"
    aliases: tuple[str, ...] = ()
    config: type[Config] = MailConfig

    async def call(self, config: MailConfig, call: Call) -> dict[str, Any]:
        """`{messageId, accepted, refused: {address: {code, message}}}`. Raises: Failed, and what `outcomes` knows."""
        try:
            import aiosmtplib
        except ImportError:
            raise reach.lacking("aiosmtplib") from None
        message = message_of(config, call.key)
        sender = getaddresses(config.from_)[0][1]
        recipients = [address for _, address in getaddresses(config.to + config.cc + config.bcc)]
        async with reach.within(config.timeout_in_seconds, call):
            port = config.port or PORTS[config.security]
            places = await reach.addresses(call, "smtp", config.host, port)
            connected = await reach.each(places, lambda place: reach.socket_to(place, port))
            try:
                client = aiosmtplib.SMTP(
                    hostname=config.host, sock=connected, use_tls=config.security == "tls", start_tls=config.security == "starttls",
                    tls_context=None if config.security == "off" else call.gate.tls, username=config.username or None, password=config.password,
                    timeout=min(config.timeout_in_seconds, call.seconds_max), local_hostname=socket.gethostname(),
                )  # fmt: skip
                async with client:
                    refused, said = await client.send_message(message, sender=sender, recipients=recipients)
                    call.status = "250"
            except aiosmtplib.SMTPException as e:
                raise _failed(e, config) from e
            finally:
                connected.close()
        return {
            "messageId": str(message["Message-ID"]),  # a header is no plain text, and what no plain text is can't be told
            "accepted": [address for address in recipients if address not in refused],
            "refused": {address: {"code": r.code, "message": r.message} for address, r in refused.items()},
            "message": said,
        }


def message_of(config: MailConfig, key: str) -> EmailMessage:
    """Raises: Failed."""
    message = EmailMessage(policy=POLICY)
    try:
        message["From"] = config.from_[0]
        for name, addresses in (("To", config.to), ("Cc", config.cc), ("Reply-To", config.reply_to)):
            if addresses:
                message[name] = ", ".join(addresses)
        subject = config.subject
        if config.subject_template:
            subject = " ".join(filled(config.subject_template, config.data).split())
        message["Subject"] = subject
        message["Date"] = formatdate()
        domain = getaddresses(config.from_)[0][1].partition("@")[2]
        message["Message-ID"] = f"<{key}.flowledger@{domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: answering machines leave it alone
        text = filled(config.text_template, config.data) if config.text_template else config.text
        page = filled(config.html_template, config.data, escaped=True) if config.html_template else config.html
        if text or not page:
            message.set_content(text)
            if page:
                message.add_alternative(page, subtype="html")
        else:
            message.set_content(page, subtype="html")
        for one in config.attachments:
            main, _, sub = one.content_type.partition("/")
            message.add_attachment(one.data(), maintype=main, subtype=sub, filename=one.filename)
        size = len(message.as_bytes())
    except (ValueError, MessageError, UnicodeError) as e:
        raise Failed("CONFIGURATION", f"the mail can't be written: {e}"[:300]) from None
    if size > BYTES_MAX:
        raise Failed("CONFIGURATION", f"expected a mail of at most {BYTES_MAX} bytes, found {size}")
    return message


def _failed(e: Any, config: MailConfig) -> Failed:
    import aiosmtplib as lib

    if isinstance(e, lib.SMTPRecipientsRefused):
        codes = [r.code for r in e.recipients]
        words = "; ".join(f"{r.recipient}: {r.code} {r.message}" for r in e.recipients[:5])
        return Failed(str(codes[0]), f"the server takes no recipient: {words}", again=all(code < 500 for code in codes))
    if isinstance(e, lib.SMTPResponseException):
        again = e.code < 500
        if isinstance(e, lib.SMTPAuthenticationError) and not again:
            return Failed("AUTHENTICATION", f"the server does not let us in: {e.code} {e.message}")
        return Failed("CUT" if e.code < 0 else str(e.code), f"the server answered {e.code} {e.message}", again=again)
    if isinstance(e, lib.SMTPTimeoutError):
        return Failed("TIMEOUT", f"no answer within the time{SENT}", again=True)
    if isinstance(e, lib.SMTPNotSupported) or "STARTTLS" in str(e):
        return Failed("TLS" if config.security == "starttls" else "CONFIGURATION", f"the server has not what was asked for: {e}")
    if reach.tls_of(e) is not None:
        return Failed("TLS", f"the server is not who it says, or speaks no TLS: {reach.tls_of(e)}")
    return Failed("CUT", f"the connection broke{SENT}", again=True)

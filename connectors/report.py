"""A saved report (docs/insight.md#saved-reports), sent as a file: by mail, or to an address that takes it.

What is sent twice can be known: a mail by its Message-ID, a request by `Idempotency-Key` and `webhook-id`; all are made of the key of the work.
"""

from __future__ import annotations

import base64
import time
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import ConfigDict, Field, ValidationError, model_validator

from flowledger.connectors.fields import Seconds, Secret, Text
from flowledger.connectors.frame import Call, Config, Failed, Report
from flowledger.connectors.http.config import Authentication, Headers, HttpConfig, NoAuth, Url
from flowledger.connectors.inputs import problems
from flowledger.connectors.mail import BYTES_MAX, Addresses, Attachment, Body, Line, MailConfig, MailConnector, Sender
from flowledger.connectors.webhooks import signing


class Mail(Sender):
    """As an attachment of a mail."""

    type: Literal["mail"]
    to: Addresses = Field(description="Addresses, separated by commas, or a list", title="To")
    cc: Addresses = Field([], description="Who gets a copy", title="Cc")
    bcc: Addresses = Field([], description="Who gets a copy that the others don't see", title="Bcc")
    subject: Line = Field("", description="Empty: the title of the report", title="Subject")
    text: Body = Field("", description="Empty: what the report is of", title="Text")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            self.as_mail("-", "-", [])
        except ValidationError as e:
            raise ValueError(problems(e)) from None
        return self

    def as_mail(self, subject: str, text: str, attachments: list[Attachment]) -> MailConfig:
        given = {name: getattr(self, name) for name in type(self).model_fields if name != "type"}
        given |= {"subject": self.subject or subject, "text": self.text or text, "attachments": attachments}
        return MailConfig.model_validate(given)


class Webhook(Config):
    """As the body of a POST."""

    type: Literal["webhook"]
    url: Url
    authentication: Authentication = Field(NoAuth(), description="Who we are to the server", title="Authentication")
    headers: Headers = Field({}, description="Headers of the request", title="Headers")
    secret: Secret | None = Field(
        None, description="A reference, {{secrets.NAME}}: the request is signed (Standard Webhooks)", title="Secret"
    )


class ReportConfig(Config):
    """Sends a saved report by mail, or to an address."""

    model_config = ConfigDict(title="Report")

    report: Annotated[Text, Field(min_length=1, max_length=100)] = Field(description="Name of the saved report", title="Report")
    format: Literal["csv", "xlsx", "parquet"] = Field("csv", description="What the file is", title="Format")
    until: Annotated[Text, Field(max_length=64)] = Field(
        "", description="Up to when it is told, such as 2026-11-30T07:00:00Z; empty: now", title="Until"
    )
    delivery: Annotated[Mail | Webhook, Field(discriminator="type")] = Field(description="How it is sent", title="Delivery")
    timeout_in_seconds: Seconds = Field(60, description="For all of the call", title="Time limit (s)")


class ReportConnector:
    name = "report"
    job_type = "flowledger:report"
    aliases: tuple[str, ...] = ()
    config: type[Config] = ReportConfig

    def __init__(self) -> None:
        from flowledger.connectors.http.connector import HttpConnector

        self._mail, self._http = MailConnector(), HttpConnector()

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: ReportConfig, call: Call) -> dict[str, Any]:
        """`{rows, bytes, from, to, file}` beside what the mail or the request was answered. Raises: Failed, and what `outcomes` knows."""
        if call.report is None:
            raise Failed("CONFIGURATION", "nobody has rows here")
        found = await call.report(config.report, config.format, config.until)
        if len(found.content) > BYTES_MAX:
            raise Failed("CONFIGURATION", f"expected a report of at most {BYTES_MAX} bytes, found {len(found.content)}")
        file = f"{''.join(ch if ch.isalnum() or ch in '._-' else '_' for ch in config.report)}.{config.format}"
        send = self._mailed if isinstance(config.delivery, Mail) else self._posted
        answer = await send(config, found, file, call)
        return {"rows": found.rows, "bytes": len(found.content), "from": found.since, "to": found.until, "file": file, **answer}

    async def _mailed(self, config: ReportConfig, found: Report, file: str, call: Call) -> dict[str, Any]:
        assert isinstance(config.delivery, Mail)
        one = Attachment(filename=file, content_type=found.media_type, base64=base64.b64encode(found.content).decode())
        words = f"{found.title}\n{found.since} - {found.until}\n\n{file} ({found.rows})\n"
        mail = config.delivery.as_mail(" ".join(found.title.split()), words, [one])
        return await self._mail.call(mail.model_copy(update={"timeout_in_seconds": config.timeout_in_seconds}), call)

    async def _posted(self, config: ReportConfig, found: Report, file: str, call: Call) -> dict[str, Any]:
        hook = config.delivery
        assert isinstance(hook, Webhook)
        headers = {
            "Content-Type": found.media_type, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file)}",
            "Flowledger-Report": quote(config.report), "Flowledger-From": found.since, "Flowledger-To": found.until,
        }  # fmt: skip
        if hook.secret is not None:
            try:
                key = signing.key_of(hook.secret)
            except ValueError as e:
                raise Failed("SECRET_UNUSABLE", f"secret: {e}") from None
            headers |= signing.headers([key], call.key, int(time.time()), found.content)
        seconds = config.timeout_in_seconds
        request = HttpConfig.model_validate(
            {"url": hook.url, "method": "POST", "authentication": hook.authentication, "headers": hook.headers | headers, "body": found.content,
             "timeout_in_seconds": seconds, "connection_timeout_in_seconds": seconds, "read_timeout_in_seconds": seconds}
        )  # fmt: skip
        return {"status": (await self._http.call(request, call))["status"]}

"""Messages to chats by their incoming webhooks, over the HTTP connector's machinery: Slack (and what takes its form, such as Mattermost), Microsoft
Teams, Discord, Google Chat.

What a message says is data: none of it calls a whole channel, becomes a link that it is not, or formats anything.
Sources: Slack, "Sending messages using incoming webhooks" and "Formatting text"; Adaptive Cards 1.4 in a message of Teams' workflows; Discord's
"Execute Webhook"; Google Chat's webhooks.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from flowledger.connectors.fields import Seconds, Text, dropped
from flowledger.connectors.frame import Call, Config
from flowledger.connectors.http.config import HttpConfig, Url

#: characters that the services take; more is cut off with an ellipsis
CHARS = {"slack": 30_000, "teams": 20_000, "discord": 2_000, "googleChat": 4_000}
FACTS_MAX = 50
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>])")


class NotifyConfig(Config):
    """Sends a message to a channel of Slack, Teams, Discord or Google Chat."""

    model_config = ConfigDict(title="Notification to a chat")

    service: Literal["slack", "teams", "discord", "googleChat"] = Field("slack", description="Whose webhook it is", title="Service")
    url: Url = Field(description="The webhook's address; it is a secret: {{secrets.NAME}}", title="Webhook")
    title: Annotated[Text, Field(max_length=250)] = Field("", description="First line", title="Title")
    text: Annotated[Text, Field(min_length=1, max_length=100_000)] = Field(
        description="What it says; what is too long is cut off", title="Text"
    )
    facts: Annotated[dict[str, Text], BeforeValidator(dropped), Field(max_length=FACTS_MAX)] = Field(
        {}, description="A context: shown as names and values", title="Facts"
    )
    link: Annotated[str, Field(max_length=2048, pattern=r"^$|^https?://[^\s<>|\"\\]+$")] = Field(
        "", description="Where to read on", title="Link"
    )
    timeout_in_seconds: Seconds = Field(30, description="For all of the call", title="Time limit (s)")


class NotifyConnector:
    name = "notify"
    job_type = "flowledger:notify"
    aliases: tuple[str, ...] = ()
    config: type[Config] = NotifyConfig

    def __init__(self) -> None:
        from flowledger.connectors.http.connector import HttpConnector

        self._http = HttpConnector()

    async def call(self, config: NotifyConfig, call: Call) -> dict[str, Any]:
        """`{status}`. Raises: as the HTTP connector."""
        seconds = config.timeout_in_seconds
        request = HttpConfig.model_validate(
            {"url": config.url, "method": "POST", "body": message_of(config), "timeout_in_seconds": seconds,
             "connection_timeout_in_seconds": seconds, "read_timeout_in_seconds": seconds}
        )  # fmt: skip
        answer = await self._http.call(request, call)
        return {"status": answer["status"]}


def message_of(config: NotifyConfig) -> dict[str, Any]:
    """As the service takes it."""
    most = CHARS[config.service]
    text = config.text if len(config.text) <= most else config.text[: most - 1] + "\u2026"
    if config.service == "teams":
        return _card(config, text)
    if config.service == "discord":
        whole = _lines(config, text, _escaped_marks, "**{}**", "{}")
        return {"content": whole[: CHARS["discord"]], "allowed_mentions": {"parse": []}}
    return {"text": _lines(config, text, _escaped_slack, "*{}*", "<{}>"), **({"mrkdwn": True} if config.service == "slack" else {})}


def _lines(config: NotifyConfig, text: str, escaped: Any, bold: str, link: str) -> str:
    lines = [bold.format(escaped(config.title))] if config.title else []
    lines.append(escaped(text))
    lines += [f"{bold.format(escaped(name))}: {escaped(value)}" for name, value in config.facts.items()]
    return "\n".join(lines + ([link.format(config.link)] if config.link else []))


def _escaped_slack(text: str) -> str:
    """The three characters of control; an invisible joiner keeps marks from being marks."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_~`])", "\u2060\\1\u2060", plain)


def _escaped_marks(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)


def _card(config: NotifyConfig, text: str) -> dict[str, Any]:
    """An Adaptive Card with runs of text, which are shown as they are (a TextBlock would read Markdown)."""

    def run(words: str, **more: Any) -> dict[str, Any]:
        return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": words, **more}]}

    body = [run(config.title, weight="Bolder", size="Medium")] if config.title else []
    body.append(run(text))
    if config.facts:
        body += [
            {
                "type": "RichTextBlock",
                "inlines": [{"type": "TextRun", "text": f"{k}: ", "weight": "Bolder"}, {"type": "TextRun", "text": v}],
            }
            for k, v in config.facts.items()
        ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if config.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": config.link[:80], "url": config.link}]
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}],
    }

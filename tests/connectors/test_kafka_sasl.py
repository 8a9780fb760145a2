"""The connector of Kafka and who it says it is: a broker of one's own that lets in by SASL only."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from flowledger.infra.kafka_broker import Broker, BrokerUnavailable, _free_port, jars, java
from tests import kafka_listeners as listeners
from tests.connectors.contract import SECRET, Contract, Rig
from tests.connectors.test_http_connector import failure
from tests.connectors.test_kafka_connector import KafkaRig

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
JAAS = "org.apache.kafka.common.security"


@pytest.fixture(scope="module")
def sasl(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """Its place for who needs to say nothing, and the one that lets in by PLAIN and by SCRAM-SHA-256."""
    folder = tmp_path_factory.mktemp("sasl")
    broker, (plain, asking, controller) = Broker(folder), (_free_port(), _free_port(), _free_port())
    more = {
        **listeners.told(folder, {"PLAINTEXT": (plain, "PLAINTEXT"), "SASLED": (asking, "SASL_PLAINTEXT")}, controller),
        "listener.name.sasled.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
        "listener.name.sasled.plain.sasl.jaas.config": f'{JAAS}.plain.PlainLoginModule required user_alice="{SECRET}";',
        "listener.name.sasled.scram-sha-256.sasl.jaas.config": f"{JAAS}.scram.ScramLoginModule required;",
    }
    try:
        broker.up(plain, more=more, users=[f"SCRAM-SHA-256=[name=alice,password={SECRET}]"], progress=lambda _: None)
    except BrokerUnavailable as e:
        pytest.skip(str(e))
    try:
        yield f"127.0.0.1:{plain}", f"127.0.0.1:{asking}"
    finally:
        broker.kill()


class SaslRig(KafkaRig):
    secret_at = "password"
    patience_s = 10

    def __init__(self, inside: str, asking: str, mechanism: str) -> None:
        super().__init__(asking)
        self.inside, self.mechanism = inside, mechanism
        self.bootstrap = inside  # who looks at the records needs no password

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {**super().call(host, port, tls), "mechanism": self.mechanism, "username": "alice", "password": "{{secrets.KEY}}"}

    async def rotate(self, value: str) -> None:
        """By Kafka's own tool: the library has no call for it."""
        command = [
            java(),
            "-cp",
            os.pathsep.join(map(str, jars(lambda _: None))),
            "kafka.admin.ConfigCommand",
            "--bootstrap-server",
            self.inside,
        ]
        command += ["--alter", "--entity-type", "users", "--entity-name", "alice", "--add-config", f"SCRAM-SHA-256=[password={value}]"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


async def rig_of(sasl: tuple[str, str], mechanism: str) -> SaslRig:
    rig = SaslRig(*sasl, mechanism)
    admin = AIOKafkaAdminClient(bootstrap_servers=sasl[0])
    await admin.start()
    await admin.create_topics([NewTopic(rig.topic, 1, 1)])
    await admin.close()
    return rig


class Credentials:
    """What the contract says of them; its other cases are those of the connector without."""

    keys, wire, run, failed = Contract.keys, Contract.wire, Contract.run, staticmethod(Contract.failed)
    test_it_does_what_it_should = Contract.test_it_does_what_it_should
    test_a_wrong_secret_then_the_right_one = Contract.test_a_wrong_secret_then_the_right_one


class TestPlain(Credentials):
    @pytest.fixture
    async def rig(self, sasl) -> AsyncIterator[Rig]:
        yield await rig_of(sasl, "PLAIN")


class TestScram(Credentials):
    test_a_rotated_secret_is_used_by_the_next_call = Contract.test_a_rotated_secret_is_used_by_the_next_call

    @pytest.fixture
    async def rig(self, sasl) -> AsyncIterator[Rig]:
        yield await rig_of(sasl, "SCRAM-SHA-256")


@pytest.mark.parametrize("more", [{"mechanism": "SCRAM-SHA-512"}, {"username": f"bob-{uuid.uuid4().hex[:6]}"}], ids=["mechanism", "user"])
async def test_what_the_server_does_not_know_is_an_incident_at_once(sasl, bench, more):
    rig = await rig_of(sasl, "PLAIN")
    found = await failure(bench("kafka")({**rig.call(*rig.to), "password": SECRET, "timeoutInSeconds": 60, **more}))
    assert (found.code, found.retries) == ("AUTHENTICATION", 0), found.message
    assert SECRET not in found.message and not await _records(rig)


async def test_who_says_nothing_is_not_let_in(sasl, bench):
    """A broker that asks hangs up on who doesn't say who it is, without a word."""
    rig = await rig_of(sasl, "PLAIN")
    found = await failure(bench("kafka")({**KafkaRig.call(rig, *rig.to), "timeoutInSeconds": 5}))
    assert found.code in ("CUT", "CONNECT", "TIMEOUT", "CONNECT_TIMEOUT") and not await _records(rig), (found.code, found.message)


async def _records(rig: SaslRig) -> int:
    """So many stand in its topic."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(bootstrap_servers=rig.inside)
    await consumer.start()
    try:
        (end,) = (await consumer.end_offsets([TopicPartition(rig.topic, 0)])).values()
        return end
    finally:
        await consumer.stop()

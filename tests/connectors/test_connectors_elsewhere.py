"""A node that has connectors and nothing else gets its jobs through the log, of one partition too."""

from __future__ import annotations

import uuid

import pytest

from flowledger.events import commands as c
from flowledger.infra.settings import Settings
from flowledger.system import System

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="p" isExecutable="true"><startEvent id="s"/><serviceTask id="call"><extensionElements><zeebe:taskDefinition type="flowledger:http"/>
<zeebe:ioMapping><zeebe:input source="=address" target="url"/></zeebe:ioMapping><zeebe:taskHeaders><zeebe:header key="resultExpression"
 value="={status: response.status}"/></zeebe:taskHeaders></extensionElements></serviceTask><endEvent id="e"/><sequenceFlow id="a" sourceRef="s"
 targetRef="call"/><sequenceFlow id="b" sourceRef="call" targetRef="e"/></process></definitions>"""


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1])
async def test_jobs_come_through_the_log(kafka_bootstrap, target, tmp_path, partitions: int):
    told = {
        "kafka": kafka_bootstrap,
        "prefix": f"t{uuid.uuid4().hex[:8]}",
        "partitions": partitions,
        "port": 0,
        "egress_private": ("127.0.0.1",),
    }
    owners = Settings(**told, data=tmp_path / "a", roles=("owner",))
    elsewhere = Settings(**told, data=tmp_path / "b", roles=("connectors",))
    async with System(owners) as system, System(elsewhere) as other:
        assert other.connectors is not None
        done = await system.engine.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL)]))
        assert isinstance(done, dict), done
        for _ in range(3):
            start = c.StartInstance(id="p", variables={"address": f"{target.url}/echo"}, wait=True)
            ended = await system.engine.call(start, timeout_s=120)
            assert isinstance(ended, dict) and ended["variables"]["status"] == 200, ended

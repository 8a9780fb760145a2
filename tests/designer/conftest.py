"""The API with drafts on a real PostgreSQL, beside a scripted engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest

from flowledger.api.services import Services
from flowledger.connectors import check
from flowledger.infra.drafts import Drafts
from flowledger.infra.settings import Settings
from tests.api.conftest import RowsInMemory, ScriptedClient, app_of

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"


def model(inside: str, id: str = "p") -> str:
    return (
        f'<definitions xmlns="{BPMN}" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">'
        f'<process id="{id}" isExecutable="true">{inside}</process></definitions>'
    )


#: start, a job, a task of a person, end
THREE = model(
    '<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="job"/>'
    '<serviceTask id="job" name="Check"><extensionElements><zeebe:taskDefinition type="check"/></extensionElements></serviceTask>'
    '<sequenceFlow id="f2" sourceRef="job" targetRef="task"/>'
    '<userTask id="task" name="Approve"><extensionElements><zeebe:userTask/></extensionElements></userTask>'
    '<sequenceFlow id="f3" sourceRef="task" targetRef="e"/><endEvent id="e"/>'
)


def client_of(services: Services) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app_of(services), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


@pytest.fixture
def reads() -> RowsInMemory:
    return RowsInMemory()


@pytest.fixture
def services(reads: RowsInMemory) -> Services:
    found = Services(ScriptedClient(), reads, Settings(body_bytes_max=2_000_000))  # type: ignore[arg-type]
    found.findings_of = check.findings
    return found


@pytest.fixture
async def http(services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(services) as c:
        yield c


@pytest.fixture(scope="module")
def database(empty_database: Callable[..., Any]) -> Iterator[str]:
    with empty_database() as url:
        yield url


@pytest.fixture
async def drafts(database: str) -> AsyncIterator[Drafts]:
    """A tenant's own: tests of a module share the tables."""
    now = iter(range(1_800_000_000_000_000, 1_900_000_000_000_000, 1_000_000))
    found = Drafts(database, lambda: next(now))
    await found.open()
    await found.rows("DELETE FROM drafts RETURNING id")
    yield found
    await found.close()


@pytest.fixture
async def desk(services: Services, drafts: Drafts) -> AsyncIterator[httpx2.AsyncClient]:
    services.drafts = drafts
    async with client_of(services) as c:
        c.headers["x-actor"] = "ann"
        yield c

"""Tests for processes: an engine in the test, a clock that is moved by hand, mocked jobs, assertions on path and variables, coverage.

    def test_small_orders_need_nobody(engine):
        engine.deploy("order.bpmn")
        engine.on_job("order.check", {"checked": True})
        order = engine.start("order", {"amount": 50})
        assert_that(order).has_passed("check").has_not_passed("approve")

Nothing of the server is imported and nothing runs beside: a test takes milliseconds. docs/testing.md tells the whole.
"""

from flowledger.sdk.job import BpmnError, Job, JobFailed
from flowledger.sdk.testing.assertions import InstanceAssert, JobAssert, assert_that
from flowledger.sdk.testing.coverage import Coverage
from flowledger.sdk.testing.engine import Engine, Thrown
from flowledger.sdk.testing.errors import Endless, ModelInvalid, Refused, UnknownElement
from flowledger.sdk.testing.instance import Instance, Work
from flowledger.sdk.testing.mocks import NO_ANSWER, JobMock

__all__ = [
    "NO_ANSWER", "BpmnError", "Coverage", "Endless", "Engine", "Instance", "InstanceAssert", "Job", "JobAssert", "JobFailed", "JobMock", "ModelInvalid",
    "Refused", "Thrown", "UnknownElement", "Work", "assert_that",
]  # fmt: skip

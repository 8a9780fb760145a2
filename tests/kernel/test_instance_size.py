"""An instance stays small enough to be kept in one record of the checkpoint, however it grows: by many small steps, large ones, or commands."""

import pytest
from scenario import Refused, Scenario

from flowledger.events import commands as c
from flowledger.events.base import Broken, Rejected
from flowledger.kernel import checkpoint, decide, decision, limits, record_broken
from flowledger.kernel.stored import encode_state

MOST, STEP = 200_000, 20_000
TEXT = "x" * 6_000  # more than a small command
MODEL = """startEvent s
parallelGateway f
{tasks}
s > f
{flows}
"""
TASKS = range(60)
PARALLEL = MODEL.format(
    tasks="\n".join(f"serviceTask t{n}" for n in TASKS), flows="\n".join(f"f > t{n}" for n in TASKS)
)  # fmt: skip
LOOP = """startEvent s
{kind} a
{behaviour}
endEvent e
s > a > e"""


def multi(kind: str, inner: str, sequential: bool, output: str) -> str:
    loop = f'<zeebe:loopCharacteristics inputCollection="=items" inputElement="i" {output}/>'
    text = f'.<multiInstanceLoopCharacteristics isSequential="{str(sequential).lower()}"><extensionElements>{loop}</extensionElements>'
    return LOOP.format(kind=kind, behaviour=f"{text}</multiInstanceLoopCharacteristics>\n{inner}".strip())


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(limits, "INSTANCE_BYTES_MAX", MOST)
    monkeypatch.setattr(limits, "WEIGH_BYTES", STEP)
    monkeypatch.setattr(decision, "_HEAVY_STEP", STEP // 8)


def size(s: Scenario) -> int:
    return max((len(encode_state(checkpoint.image(s.p, i))) for i in s.p.instances.values()), default=0)


class Held(Scenario):
    """As an owner: what breaks is recorded, and what is held is not gone on with."""

    def _made(self, request, settle):
        self.now_us += 1_000
        answer = decide(self.p, request, self.facts(self.p))
        if isinstance(answer, Broken):
            answer = record_broken(self.p, request, self.facts(self.p), answer)
        if isinstance(answer, Rejected):
            raise Refused(answer)
        self._take(answer)
        while settle and (open_ := [k for k in self.p.unsettled if self.p.instances[k].status == "running"]):
            self.do(c.Continue(key=open_[0]), settle=False)
        return answer.answer


def played(model: str, **variables) -> Scenario:
    s = Held(model)
    s.check = False
    return s.start(**variables)


def stopped(s: Scenario) -> set[str]:
    return {w for w in s.words if w.startswith("?")}


@pytest.mark.parametrize("sequential", [True, False])
def test_a_loop_that_gathers_results_in_small_steps(sequential):
    script = '<zeebe:script expression="= string(i) + &quot;0123456789012345678901234567890123456789&quot;" resultVariable="r"/>'
    s = played(multi("scriptTask", script, sequential, 'outputCollection="all" outputElement="=r"'), items=list(range(6_000)))
    assert stopped(s) & {"?INSTANCE_TOO_LARGE", "?QUARANTINED"}
    assert size(s) < MOST + 2 * STEP


def test_many_runs_at_once():
    s = played(multi("serviceTask", "", False, ""), items=list(range(6_000)))
    assert stopped(s) & {"?INSTANCE_TOO_LARGE", "?QUARANTINED"}
    assert size(s) < MOST + 2 * STEP


def test_variables_that_are_set_are_refused_and_room_can_be_made():
    s = played(PARALLEL)
    refused = None
    for n in range(60):
        try:
            s.do(c.SetVariables(key=s.key, variables={f"v{n}": TEXT}))
        except Refused as e:
            refused = e
            break
    assert refused is not None and n > 20, n
    assert refused.rejected.code == "INVALID_ARGUMENT" and f"expected at most {MOST} bytes" in refused.rejected.message
    assert size(s) < MOST + 2 * STEP
    for gone in range(n):
        s.do(c.SetVariables(key=s.key, variables={f"v{gone}": None}))
    s.do(c.SetVariables(key=s.key, variables={"v": TEXT}))


def test_results_of_work_are_refused():
    s = played(PARALLEL)
    done = 0
    with pytest.raises(Refused, match=f"expected at most {MOST} bytes"):
        for n in TASKS:
            s.do(c.CompleteTask(task=s.task(f"t{n}").key, variables={f"v{n}": TEXT}))
            done += 1
    assert done > 20 and size(s) < MOST + 2 * STEP


def test_messages_that_pile_up_hold_the_instance_only():
    s = played(
        """subProcess a {
  startEvent s1
  serviceTask w
  s1 > w
}
boundaryEvent b on=a cancel=false : message M
startEvent s
serviceTask k
s > a
b > k"""
    )
    for n in range(60):
        try:
            s.do(c.PublishMessage(name="M", correlation_key="", variables={f"v{n}": TEXT}))
        except Refused:
            pass
    assert stopped(s) and size(s) < MOST + 2 * STEP


def test_what_has_ended_is_not_counted_any_more():
    s = Scenario("startEvent s\ntask a\nendEvent e\ns > a > e")
    for _ in range(20):
        s.start(text=TEXT)
    assert s.p.weights == {}

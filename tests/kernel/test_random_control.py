"""Random models, random work, and random operations of operators in between (modify, migrate, roll back, re-run), live and with a crash after every step.

After each operation: it did what its dry run said, the dry run left nothing, replay equals live (`scenario.py`), and every token waits for something that
can come. In the end the work that is offered is done, and nothing is left. `FLOWLEDGER_RANDOM_CONTROL` seeds (40).
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import pytest
from notation import bpmn
from scenario import Refused, Scenario, image, moment
from test_random_models import Model

from flowledger.events import commands as c
from flowledger.events.base import Envelope, Rejected
from flowledger.kernel.decide import decide
from flowledger.kernel.decision import Decision
from flowledger.kernel.soundness import problems

RUNS = int(os.environ.get("FLOWLEDGER_RANDOM_CONTROL", "40"))
BASE = int(os.environ.get("FLOWLEDGER_RANDOM_BASE", "0"))
VALUES = ("v0", "v1", "v2", "flag")


class Operator:
    """Changes an instance by hand. `done`, `refused`: how often each operation was."""

    def __init__(self, s: Scenario, rng: random.Random, versions: dict[str, int]) -> None:
        self.s, self.rng, self.versions = s, rng, versions
        self.done: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    @property
    def nodes(self) -> dict[str, Any]:
        return self.s.library.processes(self.s.p)[self.s.i.definition].nodes  # type: ignore[no-any-return]

    def operate(self, name: str, command: Any) -> None:
        s = self.s
        before = image(s.p)
        plan = decide(s.p, c.Request(command=command, plan=c.DRY_RUN), s.facts(s.p))
        assert image(s.p) == before, "a question leaves nothing"
        try:
            s.do(command)
        except Refused as refused:
            assert isinstance(plan, Rejected) and plan == refused.rejected, "the question is refused as the act is"
            self.refused[name] = self.refused.get(name, 0) + 1
            return
        assert isinstance(plan, Decision), plan
        self.done[name] = self.done.get(name, 0) + 1
        if s.key in s.p.instances:
            found = problems(Decision(s.p, s.facts(s.p), Envelope(), None), s.i)
            assert not found, (name, command, found, s.line[-300:])

    def modify(self) -> None:
        rng, tokens = self.rng, self.s.i.tokens
        places = [n.id for n in self.nodes.values() if n.kind != "process"]
        instructions: list[dict[str, Any]] = []
        for _ in range(rng.randint(1, 3)):
            kind = rng.choice(["activate", "activate", "cancel", "move", "move"])
            named = rng.choice([str(rng.choice(list(tokens))), tokens[rng.choice(list(tokens))].element])
            if kind == "activate":
                wish: dict[str, Any] = {"activate": rng.choice(places)}
                if rng.random() < 0.3:
                    wish["scope"] = str(rng.choice([self.s.key, *tokens]))
                if rng.random() < 0.3:
                    wish["variables"] = {"item": 7}
            elif kind == "cancel":
                wish = {"cancel": named}
            else:
                wish = {"move": {"from": named, "to": rng.choice(places)}}
            instructions.append(wish)
        self.operate("modify", c.ModifyInstance(key=self.s.key, instructions=instructions))

    def migrate(self) -> None:
        """To a version with another element, with other loops, or with all of it in a sub-process, and back."""
        rng, versions = self.rng, self.versions
        now = next(name for name, key in versions.items() if key == self.s.i.definition)
        to = rng.choice([name for name in versions if name != now])
        elements = {"wrap": ""} if now == "wrapped" else {}
        if rng.random() < 0.2:
            elements[rng.choice([t.element for t in self.s.i.tokens.values()])] = ""
        self.operate(
            "migrate",
            c.MigrateInstance(
                key=self.s.key, definition=versions[to], elements=elements, same_ids=True, timers=rng.choice(["keep", "restart"]),
                tasks=rng.choice(["keep", "keep", "renew"]),
            ),
        )  # fmt: skip

    def rollback(self) -> None:
        """To any moment of its history at which a token stood; now and then with compensation."""
        s, rng = self.s, self.rng
        ends = [n for n in range(1, len(s.log)) if s.log[n - 1][0].key == s.key and s.log[n - 1][1].time_us != s.log[n][1].time_us]
        if not ends:
            return
        at = rng.choice(ends)
        image_then = moment(s, at)
        self.operate("rollback", c.RollBackInstance(key=s.key, image=image_then, position=f"0-{at}", compensate=rng.random() < 0.2))

    def rerun(self) -> None:
        places = [n.id for n in self.nodes.values() if n.kind != "process"]
        self.operate("rerun", c.RerunElement(key=self.s.key, element=self.rng.choice(places)))


LOOPS = (
    ".<multiInstanceLoopCharacteristics><loopCardinality>3</loopCardinality></multiInstanceLoopCharacteristics>",
    '.<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>',
    '.<standardLoopCharacteristics loopMaximum="2"/>',
)


def other_loops(rng: random.Random, lines: list[str]) -> list[str]:
    """Each loop is another kind, or none; and some tasks have one."""
    out: list[str] = []
    for n, line in enumerate(lines):
        if line.startswith((".<multiInstance", ".<standardLoop")):
            out += rng.choice([[], *([kind] for kind in LOOPS)])
            continue
        out.append(line)
        looped = n + 1 < len(lines) and lines[n + 1].startswith((".<multiInstance", ".<standardLoop"))
        if line.startswith(("serviceTask ", "userTask ")) and "comp=true" not in line and not looped and rng.random() < 0.3:
            out.append(rng.choice(LOOPS))
    return out


def values(rng: random.Random, late: bool) -> dict[str, int]:
    return {name: 0 if late else rng.randint(0, 9) for name in VALUES}


def begun(seed: int, whole: bool) -> tuple[Scenario, random.Random, dict[str, int]]:
    rng = random.Random(seed)
    model = Model(rng)
    model.scope(rng.choice((2, 2, 3, 3)))
    crash = rng.random() < 0.3 and not whole
    s = Scenario("\n".join(model.lines), crash=crash, steps_max=1 if crash else 1_000 if whole else rng.choice([7, 1_000]))
    s.start("p", **values(rng, False))
    versions = {"first": s.i.definition} if s.key in s.p.instances else {}
    wrapped = ["subProcess wrap {", *model.lines, "}"]
    for name, lines in (
        ("loops", other_loops(random.Random(seed), model.lines)),
        ("more", [*model.lines, "serviceTask unreached"]),
        ("wrapped", ["startEvent wrap_s", *wrapped, "endEvent wrap_e", "wrap_s > wrap > wrap_e"]),
    ):
        versions[name] = s.do(c.Deploy(resources=[c.Resource("m0.bpmn", bpmn("\n".join(lines)))], force=True))["definitions"][0]["key"]
    return s, rng, versions


def work(s: Scenario, rng: random.Random, late: bool) -> None:
    """One step of whoever works: a task, a timer, a signal; an incident is passed over by who repairs its data."""
    dice = rng.random()
    if s.p.incidents:
        incident = s.p.incidents[min(s.p.incidents)]
        s.do(c.ModifyInstance(key=s.key, terminate=[incident.token], force=True)) if incident.token in s.i.tokens else s.move("resolve")
    elif dice < 0.1:
        s.do(c.BroadcastSignal(name=rng.choice("SG")))
    elif s.p.tasks and dice < 0.8:
        task = s.p.tasks[rng.choice(sorted(s.p.tasks))]
        s.do(c.CompleteTask(task=task.key, variables=values(rng, late)))
    elif s.p.timers:
        s.move("tick")
    elif s.p.tasks:
        s.do(c.CompleteTask(task=min(s.p.tasks), variables=values(rng, late)))
    else:
        s.do(c.BroadcastSignal(name="S"))


def drive(seed: int, operations: int = 6, of: Sequence[str] = (), whole: bool = False) -> Operator:
    """`of`: some of the operations only. `whole`: no crash, and each decision in one step."""
    s, rng, versions = begun(seed, whole)
    operator = Operator(s, rng, versions)
    for n in range(600):
        if s.key not in s.p.instances:
            break
        if n % 4 == 3 and n < operations * 8:
            getattr(operator, rng.choice(of or OPERATIONS))()
            if s.key not in s.p.instances:
                break
        work(s, rng, late=n > operations * 6)
    assert s.key not in s.p.instances, f"stuck at {s.at} after {s.line[-400:]}"
    assert s.empty
    return operator


OPERATIONS = ["modify", "migrate", "rollback", "rerun"]


@pytest.mark.req("WSM-RES-005", "WSM-DAG-006")
@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
def test_operators_may_do_anything_and_nothing_is_lost_or_left(seed: int) -> None:
    drive(seed)

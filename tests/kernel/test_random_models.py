"""Random models built from blocks, random paths: replay gives the same state after every step, decisions are repeatable, nothing is left at the end.

Each seed makes one model and one path through it. Some runs take one token step per command and continue on the replayed state (a crash after every
step). Reproduce one seed: `SIM_SEED=<seed> SIM_RUNS=1 pytest tests/kernel/test_random_models.py`.
"""

import os
import random

import pytest
from scenario import Scenario

from flowledger.events import commands as c
from flowledger.kernel.state import ARRIVED

BASE = int(os.environ.get("SIM_SEED", "1"))
RUNS = int(os.environ.get("SIM_RUNS", "150"))


class Model:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.n = 0
        self.lines: list[str] = []

    def id(self, prefix: str) -> str:
        self.n += 1
        return f"{prefix}{self.n}"

    def scope(self, depth: int) -> None:
        """A start, a block, an end; now and then an event sub-process."""
        start, end = self.id("s"), self.id("e")
        self.lines += [f"startEvent {start}", f"endEvent {end}"]
        first, last = self._sequence(depth) if depth > 1 else self.block(depth)
        self.lines += [f"{start} > {first}", f"{last} > {end}"]
        if depth > 0 and self.rng.random() < 0.25:
            sub, s, t, e = self.id("es"), self.id("s"), self.id("t"), self.id("e")
            event = self.rng.choice(["signal G", "timer PT5M", "conditional flag > 8", "error E", "escalation X"])
            interrupting = "" if event == "error E" or self.rng.random() < 0.5 else " interrupting=false"
            self.lines += [
                f"subProcess {sub} event=true {{",
                f"startEvent {s}{interrupting} : {event}",
                f"serviceTask {t}",
                f"endEvent {e}",
                f"{s} > {t} > {e}",
                "}",
            ]

    def block(self, depth: int) -> tuple[str, str]:
        kinds = ["task", "task", "script", "throw", "catch", "listener", "event_gateway"]
        if depth > 0:
            kinds += ["sequence", "sequence", "sequence", "xor", "both", "some", "again", "inner", "multi", "transaction", "complex"]
        return getattr(self, f"_{self.rng.choice(kinds)}")(depth)

    def _task(self, depth: int) -> tuple[str, str]:
        t = self.id("t")
        self.lines.append(f"{self.rng.choice(['serviceTask', 'userTask'])} {t}")
        if self.rng.random() < 0.2:
            self.lines.append(f'.<standardLoopCharacteristics loopMaximum="{self.rng.randint(1, 3)}"/>')
        if self.rng.random() < 0.3:
            self._compensated(t)
        return t, self._boundary(t) if self.rng.random() < 0.4 else t

    def _compensated(self, t: str) -> None:
        b, h = self.id("b"), self.id("h")
        self.lines += [
            f"boundaryEvent {b} on={t} : compensate",
            f"serviceTask {h} comp=true",
            f'~<association id="as{b}" sourceRef="{b}" targetRef="{h}"/>',
        ]

    def _boundary(self, host: str) -> str:
        """What an interrupting one leads to merges with the normal way out. Returns that merge."""
        b, t, e = self.id("b"), self.id("t"), self.id("e")
        event = self.rng.choice(["signal S", "timer PT1M", "error E", "conditional flag > 7", "signal S + timer PT1M"])
        cancel = "" if event == "error E" or self.rng.random() < 0.5 else " cancel=false"
        self.lines += [f"boundaryEvent {b} on={host}{cancel} : {event}", f"serviceTask {t}"]
        if cancel:
            self.lines += [f"endEvent {e}", f"{b} > {t} > {e}"]
            return host
        self.lines += [f"exclusiveGateway {e}", f"{b} > {t} > {e}", f"{host} > {e}"]
        return e

    def _listener(self, depth: int) -> tuple[str, str]:
        t = self.id("t")
        self.lines += [
            f"serviceTask {t}",
            f'<zeebe:executionListeners><zeebe:executionListener eventType="{self.rng.choice(["start", "end"])}" type="l{t}"/></zeebe:executionListeners>',
        ]
        return t, t

    def _script(self, depth: int) -> tuple[str, str]:
        t = self.id("f")
        self.lines += [f"scriptTask {t}", f'<zeebe:script expression="= flag + 1" resultVariable="v{self.rng.randint(0, 2)}"/>']
        return t, t

    def _throw(self, depth: int) -> tuple[str, str]:
        t = self.id("th")
        self.lines.append(
            f"intermediateThrowEvent {t} : {self.rng.choice(['compensate', 'compensate nowait', 'escalation X', 'signal T', 'message M'])}"
        )
        return t, t

    def _catch(self, depth: int) -> tuple[str, str]:
        t = self.id("ca")
        self.lines.append(f"intermediateCatchEvent {t} : {self.rng.choice(['timer PT1S', 'signal S', 'signal S + timer PT1M'])}")
        return t, t

    def _event_gateway(self, depth: int) -> tuple[str, str]:
        g, a, b, j = self.id("g"), self.id("ca"), self.id("ca"), self.id("g")
        self.lines += [f"eventBasedGateway {g}", f"intermediateCatchEvent {a} : timer PT1M", f"intermediateCatchEvent {b} : signal S", f"exclusiveGateway {j}",
                       f"{g} > {a} > {j}", f"{g} > {b} > {j}"]  # fmt: skip
        return g, j

    def _sequence(self, depth: int) -> tuple[str, str]:
        first, at = self.block(depth - 1)
        for _ in range(self.rng.randint(1, 2)):
            a, b = self.block(depth - 1)
            self.lines.append(f"{at} > {a}")
            at = b
        return first, at

    def _split(self, depth: int, tag: str, conditional: bool, join: str = "") -> tuple[str, str]:
        g, j = self.id("g"), self.id("g")
        self.lines += [f"{tag} {g}", f"{tag if not join else join} {j}"]
        count = self.rng.randint(2, 3)
        for n in range(count):
            a, b = self.block(depth - 1)
            condition = "" if not conditional else " !" if n == count - 1 else f" ? v{self.rng.randint(0, 2)} > {self.rng.randint(2, 8)}"
            self.lines += [f"{g} > {a}{condition}", f"{b} > {j}"]
        return g, j

    def _xor(self, depth: int) -> tuple[str, str]:
        return self._split(depth, "exclusiveGateway", True)

    def _both(self, depth: int) -> tuple[str, str]:
        return self._split(depth, "parallelGateway", False)

    def _some(self, depth: int) -> tuple[str, str]:
        return self._split(depth, "inclusiveGateway", True)

    def _complex(self, depth: int) -> tuple[str, str]:
        return self._split(depth, "parallelGateway", False, "complexGateway")

    def _again(self, depth: int) -> tuple[str, str]:
        m, x = self.id("g"), self.id("g")
        a, b = self.block(depth - 1)
        t = self.id("t")
        self.lines += [
            f"exclusiveGateway {m}",
            f"exclusiveGateway {x}",
            f"serviceTask {t}",
            f"{m} > {t} > {a}",
            f"{b} > {x}",
            f"{x} > {m} ? v0 > 6",
        ]
        out = self.id("f")
        self.lines += [f"task {out}", f"{x} > {out} !"]
        return m, out

    def _inner(self, depth: int) -> tuple[str, str]:
        sub = self.id("sp")
        self.lines.append(f"subProcess {sub} {{")
        self.scope(depth - 1)
        self.lines.append("}")
        return sub, self._boundary(sub) if self.rng.random() < 0.5 else sub

    def _multi(self, depth: int) -> tuple[str, str]:
        loop = (
            f'.<multiInstanceLoopCharacteristics isSequential="{self.rng.choice(["true", "false"])}"><extensionElements>'
            '<zeebe:loopCharacteristics inputCollection="= [1,2,3]" inputElement="item" outputCollection="out" outputElement="= item"/></extensionElements>'
            + self.rng.choice(["", "", "<completionCondition>numberOfCompletedInstances = 2</completionCondition>"])
            + "</multiInstanceLoopCharacteristics>"
        )
        sub = self.id("sp")
        self.lines.append(f"subProcess {sub} {{")
        self.scope(depth - 1)
        self.lines += ["}", loop]
        return sub, self._boundary(sub) if self.rng.random() < 0.4 else sub

    def _transaction(self, depth: int) -> tuple[str, str]:
        tx, b, e, g, s, ok, no = (self.id(p) for p in ("tx", "b", "e", "g", "s", "e", "e"))
        self.lines += [f"transaction {tx} {{", f"startEvent {s}", f"endEvent {ok}", f"endEvent {no} : cancel", f"exclusiveGateway {g}"]
        t = self.id("t")
        self.lines.append(f"serviceTask {t}")
        self._compensated(t)
        first, last = self.block(depth - 1)
        self.lines += [f"{s} > {t} > {first}", f"{last} > {g}", f"{g} > {no} ? v1 > 5", f"{g} > {ok} !", "}",
                       f"boundaryEvent {b} on={tx} : cancel", f"exclusiveGateway {e}", f"{b} > {e}", f"{tx} > {e}"]  # fmt: skip
        return tx, e


def at_rest(s: Scenario) -> None:
    """Between commands each token waits for something that exists, or at a join; what is held belongs to where its token stands."""
    p, nodes = s.p, s.library.graphs[next(iter(s.library.graphs))].processes["p"].nodes
    for t in s.i.tokens.values():
        node = nodes[t.element]
        if t.phase == ARRIVED:
            assert len(node.incoming) > 1 and node.kind.endswith("Gateway"), f"nobody looks at the token at {t.element}"
        else:
            assert t.kids or t.holds, f"the token at {t.element} waits for nothing"
        for key in t.holds or ():
            held = p.tasks.get(key) or p.timers.get(key) or p.subscriptions[key]
            near = {
                t.element,
                *(b.id for b in node.attached),
                *(f.target.id for f in node.outgoing),
                *(k.id for sub in node.event_subs for k in sub.starts),
            }
            assert held.element in near, f"{held.element} is held at {t.element}"


def drive(seed: int, crashes: bool = True) -> Scenario:
    """One model, one path through it. `crashes`: a crash after each command in some of the seeds."""
    rng = random.Random(seed)
    model = Model(rng)
    model.scope(rng.choice((2, 3, 3, 4)))
    crash = rng.random() < 0.4 and crashes
    s = Scenario("\n".join(model.lines), crash=crash, steps_max=1 if crash else rng.choice([3, 1_000]))

    def values() -> dict:
        return {name: rng.randint(0, 9) for name in ("v0", "v1", "v2", "flag")}

    s.start("p", **values())
    for _ in range(400):
        if s.key not in s.p.instances:
            break
        assert not s.p.incidents, list(s.p.incidents.values())
        at_rest(s)
        dice = rng.random()
        if dice < 0.1:
            s.do(c.BroadcastSignal(name=rng.choice("SG")))
        elif dice < 0.2 and s.p.timers:
            s.move("tick")
        elif dice < 0.25:
            s.do(c.SetVariables(key=s.key, variables={"flag": rng.randint(0, 9)}))
        elif s.p.tasks:
            task = s.p.tasks[rng.choice(sorted(s.p.tasks))]
            node = s.library.graphs[next(iter(s.library.graphs))].processes["p"].nodes[task.element]
            if rng.random() < 0.2 and not task.listener and any(e.kind == "error" for b in node.attached for e in b.events):
                s.do(c.ThrowTaskError(task=task.key, code="E"))
            else:
                # loops end: late values are small
                s.do(
                    c.CompleteTask(
                        task=task.key,
                        variables=values() if s.words.count("done") == 0 and len(s.words) < 300 else dict.fromkeys(("v0", "v1", "v2"), 0),
                    )
                )
        elif s.p.timers:
            s.move("tick")
        else:
            s.do(c.BroadcastSignal(name="S"))
    return s


@pytest.mark.parametrize("seed", range(BASE, BASE + RUNS))
def test_replay_equals_live_and_nothing_is_left(seed):
    s = drive(seed)
    assert s.key not in s.p.instances, f"stuck at {s.at} after {s.line[-400:]}"
    assert s.empty

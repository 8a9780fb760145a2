"""Random structured models: sound ones are not suspected; with one join of the wrong kind the block is found, however deep it is."""

import random

import pytest
from notation import bpmn

from flowledger.kernel import model

CODES = {
    "DEADLOCK",
    "DEADLOCK_INCLUSIVE",
    "DEADLOCK_IN_LOOP",
    "NOT_SYNCHRONISED",
    "NOT_SYNCHRONISED_INCLUSIVE",
    "TOKENS_MULTIPLY",
    "UNREACHABLE",
    "LOOP_WITHOUT_EXIT",
}
KINDS = ("exclusiveGateway", "parallelGateway", "inclusiveGateway")
WRONG = {
    "exclusiveGateway": ("parallelGateway", "DEADLOCK"),
    "parallelGateway": ("exclusiveGateway", "NOT_SYNCHRONISED"),
    "inclusiveGateway": ("parallelGateway", "DEADLOCK_INCLUSIVE"),
}


class Builder:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kinds: dict[str, str] = {"s": "startEvent", "e": "endEvent"}
        self.flows: list[str] = []
        #: (kind, id of the join) of each block
        self.blocks: list[tuple[str, str]] = []

    def node(self, kind: str) -> str:
        id = f"n{len(self.kinds)}"
        self.kinds[id] = kind
        return id

    def block(self, depth: int) -> tuple[str, str]:
        choice = self.random.random()
        if depth == 0 or choice < 0.25:
            task = self.node("userTask")
            return task, task
        if choice < 0.45:
            (a, b), (c, d) = self.block(depth - 1), self.block(depth - 1)
            self.flows.append(f"{b} > {c}")
            return a, d
        if choice < 0.6:
            again, leave = self.node("exclusiveGateway"), self.node("exclusiveGateway")
            a, b = self.block(depth - 1)
            self.flows += [f"{again} > {a}", f"{b} > {leave}", f"{leave} > {again} ? more"]
            return again, leave
        kind = self.random.choice(KINDS)
        split, join = self.node(kind), self.node(kind)
        self.blocks.append((kind, join))
        for _ in range(self.random.randint(2, 4)):
            a, b = self.block(depth - 1)
            self.flows += [f"{split} > {a}" + ("" if kind == "parallelGateway" else " ? some"), f"{b} > {join}"]
        return split, join

    def build(self) -> None:
        a, b = self.block(self.random.randint(2, 4))
        self.flows += [f"s > {a}", f"{b} > e"]
        self.random.shuffle(self.flows)

    def found(self) -> list[str]:
        text = "\n".join([f"{kind} {id}" for id, kind in self.kinds.items()] + self.flows)
        return [f.code for f in model.read(bpmn(text).encode(), "m.bpmn")[1] if f.code in CODES]


@pytest.mark.parametrize("seed", range(60))
def test_structured_models(seed):
    one = Builder(seed)
    one.build()
    assert one.found() == []
    if one.blocks:
        kind, join = one.random.choice(one.blocks)
        one.kinds[join], code = WRONG[kind]
        assert code in one.found()


def test_the_seeds_have_blocks_of_each_kind():
    kinds = set()
    for seed in range(60):
        one = Builder(seed)
        one.build()
        kinds |= {kind for kind, _ in one.blocks}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("seed", range(40))
def test_any_graph_can_be_looked_at(seed):
    rng = random.Random(seed)
    count = rng.randint(2, 9)
    nodes = [f"{rng.choice((*KINDS, 'task', 'userTask'))} v{n}" for n in range(count)]
    flows = [
        f"v{rng.randrange(count)} > {rng.choice(['e', *(f'v{n}' for n in range(count))])}" for _ in range(rng.randint(count, 3 * count))
    ]
    graph, _ = model.read(bpmn("\n".join(["startEvent s", "endEvent e", *nodes, "s > v0", *flows])).encode(), "m.bpmn")
    assert graph is not None

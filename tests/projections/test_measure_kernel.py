"""Work in progress by the figures is what stands in the kernel's state: random runs of models with scopes, loops, timers, errors and incidents."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from flowledger.analytics.figures import COUNTED
from flowledger.events.base import Recorded
from flowledger.kernel.state import Instance, Token
from flowledger.projections.context import Context
from flowledger.projections.fold import Fold
from flowledger.projections.tracker import Folder
from flowledger.projections.views import VIEWS

sys.path.insert(0, str(Path(__file__).parent.parent / "kernel"))  # for `scenario`
sys.path.insert(0, str(Path(__file__).parent))
from scenario import Refused, Scenario
from test_projection_kernel import ENGINES_OWN, MODEL, one_move


def counts(i: Instance, t: Token) -> bool:
    """A run of a loop, and the scope of a choice, stand at the element that they are in; some tokens only carry what is to be undone."""
    around = i.tokens.get(t.scope)
    return not (around is not None and around.element == t.element) and t.handler_of != t.key


def in_progress(f: Fold) -> Counter[tuple[str, str]]:
    out: Counter[tuple[str, str]] = Counter()
    for (s, _), numbers in f.figures.rolled("minute").items():
        n = dict(zip(COUNTED, numbers, strict=False))
        out[s.element, s.job_type] += (
            n["started"] + n["moved_in"] - n["moved_out"] - n["completed"] - n["failed"] - n["cancelled"] - n["terminated"]
        )
    return +out


@pytest.mark.parametrize("model", [MODEL, ENGINES_OWN], ids=["work", "own"])
@pytest.mark.parametrize("seed", range(8))
def test_work_in_progress_is_what_stands_in_the_state(seed: int, model: str) -> None:
    rng = random.Random(seed)
    s = Scenario(model)
    s.check = False
    f, folder, done, looked = Fold(Context()), Folder([VIEWS["measures"]]), 0, 0
    for _ in range(120):
        try:
            one_move(s, rng)
        except Refused:
            continue
        finally:
            folder.fold([Recorded(e, v, 0, done + n) for n, (e, v) in enumerate(s.log[done:])], f)
            done = len(s.log)
            f.context.forget(f.context.take_ended())
        state: Counter[tuple[str, str]] = Counter()
        for i in s.p.instances.values():
            state["", ""] += i.status != "pending"
            for t in i.tokens.values():
                state[t.element, ""] += counts(i, t)
        for task in s.p.tasks.values():
            if task.job_type:
                state[task.element, task.job_type] += 1
        assert in_progress(f) == +state
        looked += len(state) > 3
    assert looked > 20

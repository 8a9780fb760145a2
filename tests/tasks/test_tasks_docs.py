"""docs/tasks.md says what is so: its table of moves is the kernel's, its model deploys and runs, its words are known."""

import re
from pathlib import Path

from workbench import Bench, bpmn

from flowledger.events import commands as c
from flowledger.events.wire import WIRE
from flowledger.kernel import retries
from flowledger.kernel.handlers import moves
from flowledger.kernel.tasks import assignment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"
TEXT = PAGE.read_text()


def test_the_table_of_moves():
    rows = [f"| `{m}` | {', '.join(sorted(a))} | {s or 'as before'} | `{WIRE[e][1]}` |" for m, (e, a, s) in moves.MOVES.items()]
    found = TEXT[TEXT.index("<!-- moves -->") + 15 : TEXT.index("<!-- /moves -->")].strip()
    assert found == "\n".join(rows), "the table should be:\n" + "\n".join(rows)


def test_the_model_of_the_page():
    task = re.search(r"```xml\n(.*?)```", TEXT, re.S)
    assert task is not None
    body = (
        f'<startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="approve"/>{task[1]}'
        '<sequenceFlow id="f2" sourceRef="approve" targetRef="e"/><endEvent id="e"/>'
    )
    b = Bench(bpmn(body))
    b.store("directory", "user:ann", groups=["clerks"], capabilities=["english"])
    b.store("directory", "calendar:office", zone="UTC", days={"mon": ["09:00-17:00"], "tue": ["09:00-17:00"]})
    b.start(amount=500)
    assert b.details()["assignee"] == "ann" and b.details()["due_us"]
    kinds = sorted(t.element.rsplit(":", 1)[0] for t in b.p.timers.values())
    assert kinds == ["task:due:0", "task:escalate:1", "task:escalate:2", "task:escalate:3", "task:remind:1", "task:timeout:0"]
    b.do(c.CompleteTask(task=b.task().key))
    b.start(amount=5)
    assert not b.p.instances and not b.p.timers


def test_every_strategy_and_every_ending_is_named():
    for word in (*assignment.STRATEGIES, *retries.ENDINGS, *set(retries.STRATEGIES.values())):
        assert f"`{word}`" in TEXT, word


def test_every_retry_setting_is_known():
    table = TEXT[TEXT.index("| setting | meaning |") : TEXT.index("The policy decides")]
    for row in table.splitlines()[2:]:
        for word in re.findall(r"`(\w+)`", row.split("|")[1]) if row.startswith("|") else ():
            assert word.lower() in retries.ALIASES, word

"""Compensation (BPMN 13.5.5): handlers at boundaries and as event sub-processes, order, scopes, and what can't be compensated."""

import pytest
from scenario import play

from flowledger.events import commands as c

BOOK = """
serviceTask {0}
boundaryEvent {0}_c on={0} : compensate
serviceTask un{0} comp=true
~<association id="as_{0}" sourceRef="{0}_c" targetRef="un{0}"/>
"""


def book(*names: str) -> str:
    return "".join(BOOK.format(n) for n in names)


TWO = (
    book("a", "b")
    + """
startEvent s
intermediateThrowEvent t : compensate
endEvent e
s > a > b > t > e
"""
)
ONE_OF_TWO = TWO.replace(": compensate\nendEvent", ": compensate a\nendEvent")
NO_WAIT = TWO.replace(": compensate\nendEvent", ": compensate nowait\nendEvent")
AT_END = book("a") + "startEvent s\nendEvent e : compensate\ns > a > e"
NOTHING = "startEvent s\nintermediateThrowEvent t : compensate\nendEvent e\ns > t > e"

NESTED = f"""
startEvent s
subProcess sp {{
  startEvent i
  {book("a", "b")}
  endEvent x
  i > a > b > x
}}
serviceTask c
intermediateThrowEvent t : compensate
endEvent e
s > sp > c > t > e
"""
FROM_OUTSIDE = NESTED.replace(": compensate\nendEvent e", ": compensate a\nendEvent e")
BY_SCOPE = NESTED.replace(": compensate\nendEvent e", ": compensate sp\nendEvent e")
OWN_HANDLER = NESTED.replace(
    "serviceTask c",
    """boundaryEvent sp_c on=sp : compensate
serviceTask unsp comp=true
~<association id="as_sp" sourceRef="sp_c" targetRef="unsp"/>
serviceTask c""",
)
EVENT_SUB = NESTED.replace(
    "  i > a",
    """  subProcess h event=true {
    startEvent hs : compensate
    serviceTask hh
    intermediateThrowEvent ht : compensate
    endEvent he
    hs > hh > ht > he
  }
  i > a""",
)
INTERRUPTED = f"""
startEvent s
subProcess sp {{
  startEvent i
  {book("a")}
  serviceTask b
  endEvent x
  i > a > b > x
}}
boundaryEvent bd on=sp : error E
intermediateThrowEvent t : compensate
endEvent e
s > sp > e
bd > t > e
"""
IN_EVENT_SUB = f"""
startEvent s
{book("a")}
serviceTask b
endEvent e
s > a > b > e
subProcess h event=true {{
  startEvent hs : error E
  intermediateThrowEvent ht : compensate
  endEvent he
  hs > ht > he
}}
"""
LOOPED = (
    book("a")
    + """
startEvent s
exclusiveGateway g
intermediateThrowEvent t : compensate
endEvent e
s > a > g
g > a ? again
g > t !
t > e
"""
)
MULTI = (
    book("a").replace(
        "serviceTask a\n",
        """serviceTask a
.<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>
""",
    )
    + "startEvent s\nendEvent e : compensate\ns > a > e"
)
MULTI_INSIDE = f"""
startEvent s
subProcess sp {{
  startEvent i
  {book("a")}
  endEvent x
  i > a > x
}}
.<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>
endEvent e : compensate
s > sp > e
""".replace("}\n.<multi", "}\n.<multi")
RUNS = MULTI.replace(
    "<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>",
    '<multiInstanceLoopCharacteristics isSequential="true"><extensionElements><zeebe:loopCharacteristics inputCollection="= [7, 8]" inputElement="item"/>'
    "</extensionElements></multiInstanceLoopCharacteristics>",
)
PROPERTY = '<zeebe:properties><zeebe:property name="flowledger:compensateRuns" value="{}"/></zeebe:properties>\n.'
RUNS_EACH = RUNS.replace("\n.", "\n" + PROPERTY.format("each"), 1)
MULTI_ONCE = MULTI.replace("\n.", "\n" + PROPERTY.format("once"), 1)
STANDARD = MULTI.replace(
    "<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>",
    '<standardLoopCharacteristics loopMaximum="2"/>',
)
NAMED_RUNS = MULTI.replace(": compensate\ns > a", ": compensate a\ns > a")
# each run of the sub-process is undone by its own event sub-process, which undoes what stands in it
RUNS_EVENT_SUB = MULTI_INSIDE.replace(
    "  endEvent x",
    """  subProcess h event=true {
    startEvent hs : compensate
    serviceTask hh
    intermediateThrowEvent ht : compensate
    endEvent he
    hs > hh > ht > he
  }
  endEvent x""",
)
# a run undoes what it has done itself, not what the runs before it did
RUN_UNDOES = MULTI_INSIDE.replace("  endEvent x\n", "  intermediateThrowEvent x : compensate a\n  endEvent y\n  x > y\n").replace(
    "e : compensate", "e"
)
RUN_UNDOES_NOTHING = RUN_UNDOES.replace("i > a > x", "exclusiveGateway g\n  i > g\n  g > a ? loopCounter = 1\n  g > x !\n  a > x").replace(
    "x : compensate a", "x : compensate sp"
)
ACTIVE = f"""
startEvent s
parallelGateway g
{MULTI[: MULTI.index("startEvent s")]}
serviceTask b
intermediateThrowEvent t : compensate
endEvent e
endEvent f
s > g > a > e
g > b > t > f
"""
ADHOC = f"""
startEvent s
adHocSubProcess ah {{
{book("a")}
}}
<zeebe:adHoc activeElementsCollection="= [&quot;a&quot;]"/>
boundaryEvent ah_c on=ah : compensate
serviceTask unah comp=true
~<association id="as_ah" sourceRef="ah_c" targetRef="unah"/>
endEvent e : compensate
s > ah > e
"""
HANDLER_SUB = """
startEvent s
serviceTask a
boundaryEvent a_c on=a : compensate
subProcess una comp=true {
  startEvent us
  serviceTask u1
  endEvent ue
  us > u1 > ue
}
~<association id="as" sourceRef="a_c" targetRef="una"/>
endEvent e : compensate
s > a > e
"""


@pytest.mark.req("APG-RES-001", "APG-RES-004")
@pytest.mark.parametrize(
    ("model", "moves", "tasks"),
    [
        (TWO, "complete a; complete b; complete unb; complete una", "a b unb una"),
        (ONE_OF_TWO, "complete a; complete b; complete una", "a b una"),
        (AT_END, "complete a; complete una", "a una"),
        (NOTHING, "", ""),
        (NESTED, "complete a; complete b; complete c; complete unb; complete una", "a b c unb una"),
        (FROM_OUTSIDE, "complete a; complete b; complete c; complete una", "a b c una"),
        (BY_SCOPE, "complete a; complete b; complete c; complete unb; complete una", "a b c unb una"),
        (OWN_HANDLER, "complete a; complete b; complete c; complete unsp", "a b c unsp"),
        (EVENT_SUB, "complete a; complete b; complete c; complete hh; complete unb; complete una", "a b c hh unb una"),
        (INTERRUPTED, "complete a; error b E", "a b"),
        (IN_EVENT_SUB, "complete a; error b E; complete una", "a b una"),
        (LOOPED, "complete a again=true; complete a again=false; complete una; complete una", "a a una una"),
        (MULTI, "complete a; complete a; complete una; complete una", "a a una una"),
        (RUNS, "complete a; complete a; complete una", "a a una"),
        (RUNS_EACH, "complete a; complete a; complete una; complete una", "a a una una"),
        (MULTI_ONCE, "complete a; complete a; complete una", "a a una"),
        (STANDARD, "complete a; complete a; complete una; complete una", "a a una una"),
        (NAMED_RUNS, "complete a; complete a; complete una; complete una", "a a una una"),
        (RUNS_EVENT_SUB, "complete a; complete a; complete hh; complete una; complete hh; complete una", "a a hh una hh una"),
        (RUN_UNDOES, "complete a; complete una; complete a; complete una", "a una a una"),
        (RUN_UNDOES_NOTHING, "complete a", "a"),
        (ACTIVE, "complete a; complete b; complete a", "b a a"),
        (ADHOC, "complete a; complete unah", "a unah"),
        (MULTI_INSIDE, "complete a; complete a; complete una; complete una", "a a una una"),
        (HANDLER_SUB, "complete a; complete u1", "a u1"),
    ],
    ids="""two one-of-two end nothing nested outside by-scope own-handler event-sub interrupted in-event-sub loop multi runs-in-zeebes-words
    runs-in-zeebes-words-each multi-once standard-loop named-runs runs-with-event-sub run-undoes-its-own run-undoes-no-other active-runs ad-hoc multi-inside
    sub-handler""".split(),
)
def test_what_is_undone_and_in_which_order(model, moves, tasks):
    s = play(model, moves)
    assert s.tasks == tasks
    assert s.words[-1] == "done" and s.empty


#: 13.5.5: where a boundary event of A led to B, B is undone before A
BY_BOUNDARY = (
    book("a", "b", "c", "x")
    + """
startEvent s
parallelGateway f
boundaryEvent bs on=a cancel=false : signal S
endEvent e1
endEvent e2
intermediateThrowEvent t : compensate
endEvent e
s > f
f > a > t > e
f > x > e2
bs > b > c > e1
"""
)
#: what the boundary event leads to is reached without it as well: nobody can tell who caused it, the last is the first
BY_EITHER = BY_BOUNDARY.replace("f > x > e2", "f > x > b")
#: a sub-process is undone by what is inside of it, and its boundary belongs to all runs of a loop
BY_BOUNDARY_OF_RUNS = (
    book("b")
    + """
startEvent s
subProcess m {
  startEvent i
  """
    + book("a")
    + """
  endEvent x
  i > a > x
~<multiInstanceLoopCharacteristics isSequential="true"><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>
}
boundaryEvent bs on=m cancel=false : signal S
endEvent e1
intermediateThrowEvent t : compensate
endEvent e
s > m > t > e
bs > b > e1
"""
)


@pytest.mark.parametrize(
    ("model", "moves", "undone"),
    [
        (BY_BOUNDARY, "complete x; signal S; complete b; complete c; complete a", "unc unb una unx"),
        (BY_BOUNDARY, "signal S; complete b; complete x; complete c; complete a", "unc unb una unx"),
        (BY_BOUNDARY, "complete x; complete a", "una unx"),
        (BY_EITHER, "complete x; complete b; complete c; complete a", "una unc unb unx"),
        (BY_BOUNDARY_OF_RUNS, "complete a; signal S; complete b; complete a", "unb una una"),
    ],
)
def test_what_a_boundary_event_led_to_is_undone_before_its_host(model, moves, undone):
    s = play(model, "; ".join([moves, *(f"complete {handler}" for handler in undone.split())]))
    assert s.tasks.endswith(f" {undone}") and s.words[-1] == "done" and s.empty


def test_one_handler_after_the_other():
    s = play(TWO, "complete a; complete b")
    assert s.at == "t unb"
    s.move("complete unb")
    assert s.at == "t una"


def test_without_waiting_the_token_goes_on_and_the_scope_waits():
    s = play(NO_WAIT, "complete a; complete b")
    assert "t>e" in s.words and s.at == "t unb"
    s.moves("complete unb", "complete una")
    assert s.words[-1] == "done" and s.empty


def test_a_handler_sees_the_locals_of_the_activity():
    model = TWO.replace(
        "serviceTask a\n", 'serviceTask a\n<zeebe:ioMapping><zeebe:input source="= 7" target="mine"/></zeebe:ioMapping>\n', 1
    )
    s = play(model, "complete a; complete b; complete unb")
    task = s.task("una")
    assert s.i.tokens[task.token].vars == {"mine": 7}


CALLED = """
process p {{
  startEvent s
  callActivity c
  <zeebe:calledElement processId="q"/>
  {loop}
  {handler}
  endEvent e : compensate
  s > c > e
}}
process q {{
  startEvent qs
  {book}
  endEvent qe
  qs > a > qe
}}
"""
HANDLER = """boundaryEvent c_c on=c : compensate
  serviceTask unc comp=true
  ~<association id="as_c" sourceRef="c_c" targetRef="unc"/>"""
IN_A_LOOP = ".<multiInstanceLoopCharacteristics><loopCardinality>2</loopCardinality></multiInstanceLoopCharacteristics>"


@pytest.mark.parametrize(
    ("handler", "loop", "moves", "tasks"),
    [
        ("", "", "complete a", "a"),
        (HANDLER, "", "complete a; complete unc", "a unc"),
        (HANDLER, IN_A_LOOP, "complete a; complete a; complete unc; complete unc", "a a unc unc"),
    ],
)
def test_a_called_instance_that_has_completed_is_undone_by_its_call_activity_alone(handler, loop, moves, tasks):
    """As in Zeebe and Camunda 7: what completed in it has handlers, and they are never run from outside."""
    s = play(CALLED.format(handler=handler, loop=loop, book=book("a")), moves)
    assert s.tasks == tasks and s.words[-1] == "done" and s.empty


def test_each_handler_sees_the_item_of_its_run_the_last_first():
    s = play(RUNS_EACH, "complete a; complete a")
    seen = [s.i.tokens[s.task("una").token].vars]
    s.move("complete una")
    seen.append(s.i.tokens[s.task("una").token].vars)
    assert seen == [{"item": 8, "loopCounter": 2}, {"item": 7, "loopCounter": 1}]


def test_cancelling_the_instance_compensates_what_runs_of_an_active_loop_have_done():
    s = play(RUNS_EACH, "complete a")
    s.do(c.CancelInstance(key=s.key))
    assert s.at == "s una"
    s.move("complete una")
    assert s.empty and s.words[-1] == "cancelled"


def test_cancelling_the_instance_withdraws_handlers():
    s = play(TWO, "complete a; complete b; cancel")
    assert s.empty and "~unb" in s.words


def test_an_error_of_a_handler_goes_outwards():
    model = TWO + "\nsubProcess h event=true {\nstartEvent hs : error X\nendEvent he\nhs > he\n}"
    s = play(model, "complete a; complete b; error unb X")
    assert s.empty and "unb!X" in s.words


def test_a_boundary_without_handler_is_refused():
    from notation import bpmn

    from flowledger.kernel.model import bpmn as reader

    _, findings = reader.read(
        bpmn("startEvent s\nserviceTask a\nboundaryEvent c on=a : compensate\nendEvent e\ns > a > e").encode(), "m.bpmn"
    )
    assert [f.code for f in findings if f.severity == "error"] == ["COMPENSATION_WITHOUT_HANDLER"]

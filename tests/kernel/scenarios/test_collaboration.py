# ruff: noqa: E501 - models are lines
"""Pools and message flows, correlation properties, lanes and resource roles, global tasks (BPMN 8.4.2, 9, 10.3)."""

from scenario import Scenario, play

from flowledger.events import commands as c

POOLS = """
process shop {
  startEvent s
  sendTask ask
  intermediateCatchEvent answer : message A
  endEvent e
  s > ask > answer > e
}
process bank {
  startEvent bs : message
  serviceTask check
  endEvent be : message
  bs > check > be
}
^<collaboration id="co"><participant id="p1" processRef="shop"/><participant id="p2" processRef="bank"/>
^<messageFlow id="f1" sourceRef="ask" targetRef="bs"/><messageFlow id="f2" sourceRef="be" targetRef="answer"/></collaboration>
"""


def test_message_flows_join_the_pools():
    pools = (
        POOLS.replace("sendTask ask", "intermediateThrowEvent ask : message Q")
        .replace("be : message", "be : messageEventDefinitionX")
        .replace("be : messageEventDefinitionX", "be : message A")
        .replace("bs : message\n", "bs : message Q\n")
    )
    for crash in (False, True):
        s = Scenario(pools, crash=crash)
        s.do(c.StartInstance(id="shop", business_key="7"))
        s.do(c.StartInstance(id="shop", business_key="8"))
        banks = {i.business_key: k for k, i in s.p.instances.items() if i.process == "bank"}
        assert set(banks) == {"7", "8"}
        task = next(t for t in s.p.tasks.values() if t.instance == banks["8"])
        s.do(c.CompleteTask(task=task.key))
        assert sorted((i.process, i.business_key) for i in s.p.instances.values()) == [("bank", "7"), ("shop", "7")]
        s.move("complete check")
        assert s.empty


def test_a_message_flow_names_an_event_without_message():
    text = """
process shop {
  startEvent s
  intermediateThrowEvent ask
  .<messageEventDefinition id="d1"/>
  endEvent e
  s > ask > e
}
process bank {
  startEvent bs
  .<messageEventDefinition id="d2"/>
  serviceTask check
  endEvent be
  bs > check > be
}
^<collaboration id="co"><participant id="p1" processRef="shop"/><participant id="p2" processRef="bank"/><messageFlow id="f1" name="Q" sourceRef="ask" targetRef="bs"/></collaboration>
"""
    s = Scenario(text)
    s.start("shop")
    assert s.tasks == "check"


CORRELATION = """
^<message id="m1" name="paid"/>
^<correlationProperty id="order_id"><correlationPropertyRetrievalExpression messageRef="m1"><messagePath>order.id</messagePath></correlationPropertyRetrievalExpression></correlationProperty>
^<collaboration id="co"><participant id="pa" processRef="p"/><correlationKey id="k1"><correlationPropertyRef>order_id</correlationPropertyRef></correlationKey></collaboration>
~<correlationSubscription id="cs" correlationKeyRef="k1"><correlationPropertyBinding correlationPropertyRef="order_id"><dataPath>number</dataPath></correlationPropertyBinding></correlationSubscription>
startEvent s
receiveTask r messageRef=m1
endEvent e
s > r > e
process q {
  startEvent qs
  sendTask t messageRef=m1
  endEvent qe
  qs > t > qe
}
"""


def test_correlation_by_properties():
    for crash in (False, True):
        s = Scenario(CORRELATION, crash=crash)
        s.start("p", number=1)
        s.start("p", number=2)
        s.start("q", order={"id": 2})
        assert [i.vars["number"] for i in s.p.instances.values()] == [1]


LANES = """
~<laneSet id="ls"><lane id="l1" name="Sales"><flowNodeRef>a</flowNodeRef><childLaneSet id="cl"><lane id="l2" name="Senior"><flowNodeRef>b</flowNodeRef></lane></childLaneSet></lane></laneSet>
startEvent s
userTask a
userTask b
userTask c
.<potentialOwner><resourceAssignmentExpression><formalExpression>user(anna), group(audit)</formalExpression></resourceAssignmentExpression></potentialOwner>
userTask d
.<humanPerformer><resourceAssignmentExpression><formalExpression>= boss</formalExpression></resourceAssignmentExpression></humanPerformer>
userTask f
<zeebe:assignmentDefinition assignee="otto"/>
<zeebe:userTask/>
endEvent e
s > a > b > c > d > f > e
"""


def test_lanes_and_roles_say_who():
    s = Scenario(LANES).start("p", boss="rita")
    found = {}
    for name in "abcdf":
        found[name] = {k: v for k, v in (s.task(name).details or {}).items() if k in ("assignee", "candidate_groups", "candidate_users")}
        s.move(f"complete {name}")
    assert found == {
        "a": {"candidate_groups": ["Sales"]},
        "b": {"candidate_groups": ["Senior"]},
        "c": {"candidate_users": ["anna"], "candidate_groups": ["audit"]},
        "d": {"assignee": "rita"},
        "f": {"assignee": "otto"},
    }
    assert s.empty


def test_process_level_roles_are_the_default():
    model = "~<potentialOwner id='po'><resourceRef>rs</resourceRef></potentialOwner>\n^<resource id='rs' name='Clerks'/>\nstartEvent s\nuserTask a\nendEvent e\ns > a > e"
    s = Scenario(model).start("p")
    assert s.task("a").details["candidate_groups"] == ["Clerks"]


def test_a_call_activity_calls_a_global_task():
    model = '^<globalUserTask id="gt" name="Look"/>\nstartEvent s\ncallActivity ca calledElement=gt\nendEvent e\ns > ca > e'
    s = play(model, "complete gt_task v=1")
    assert s.empty and s.tasks == "gt_task"

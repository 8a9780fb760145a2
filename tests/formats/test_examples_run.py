"""Every example is read without a finding that matters, and runs each of its ways to the end (requirements APG-EXM-027 to 030, WSM-DAG-001)."""

import json
from pathlib import Path
from typing import Any

import pytest
from converted import xml
from scenario import Scenario

from flowledger.kernel import model

FOLDER = Path(__file__).parents[2] / "examples"
FILES = sorted(
    p
    for p in FOLDER.rglob("*")
    if p.suffix in (".bpmn", ".json", ".yaml", ".bpml", ".dmn", ".form")
    and not any(other in p.name for other in (".flowtest.", ".alert.", ".kpi.", ".report.", ".schedule."))
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_example_has_a_finding(path):
    graph, findings = model.read(path.read_bytes(), path.name)
    assert graph is not None
    assert [f"{f.line} {f.code} {f.message}" for f in findings if f.severity != "info"] == []


def test_each_file_stands_in_the_readme():
    text = (FOLDER / "README.md").read_text()
    assert [p.name for p in FILES if p.name not in text] == []


def play(file: str, id: str, moves: str, **variables) -> Scenario:
    data = (FOLDER / file).read_bytes()
    text = data.decode() if file.endswith(".bpmn") else xml(data, file)
    rules = [(p.name, p.read_text()) for p in FOLDER.glob("*.dmn")]
    s = Scenario(text, resources=rules)
    s.start(id, **variables)
    return s.moves(*(m.strip() for m in moves.split(";")))


ORDER = {"order_id": "1", "customer": "c", "items": []}
PO = {"po_number": "7", "requester": "r", "vendor": "v", "description": "d"}
CHECKED = 'complete assess prediction={"risk":"low"}; complete vendor_check valid=true; complete compliance_check compliant=true; '
RISKY = CHECKED.replace("low", "high")
YES = "; complete audit_yes; complete notice_yes"
NO = "; complete audit_no; complete notice_no"
PERSON = {"employee": {"name": "N", "email": "e", "manager": "m"}, "start_date": "2026-02-01T00:00:00Z"}
LATER = "; tick first_day; complete welcome; tick one_week; complete week_check; tick one_month; complete month_survey; tick three_months; complete review"
SET_UP = "; complete order_equipment; complete prepare_workspace; complete payroll"
CLOSE = "; complete summary; complete close_room; complete audit_report"
ALERT = {"alert": {"id": "1", "text": "t", "personal_data": False}}
OFFERS = "; complete ask price=40; complete ask price=30; complete ask price=50"
PATTERNS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("saga", "trip-saga", {}, "complete flight; complete hotel; complete car", "booked"),
    ("saga", "trip-saga", {}, "error flight FULL", "refused"),
    ("saga", "trip-saga", {}, "complete flight; complete hotel; error car NONE; complete hotel_cancel; complete flight_cancel", "refused"),
    ("request-reply", "credit-check", {"request_id": "7"}, "complete ask; message credit-answer 7 credit=true", "answered"),
    (
        "request-reply",
        "credit-check",
        {"request_id": "7"},
        "complete ask; message credit-answer 8; tick late; complete by_hand credit=true",
        "decided",
    ),
    ("scatter-gather", "ask-for-offers", {"suppliers": ["a", "b", "c", "d"], "enough": 3}, OFFERS[2:], "chosen"),
    ("scatter-gather", "ask-for-offers", {"suppliers": ["a", "b"], "enough": 2}, "complete ask price=40; tick over", "nobody"),
    ("claim-check", "scan-claim", {"scan_url": "u"}, 'complete fetch ticket={"name":"scan"}; complete assess paid=true', "assessed"),
]
WAYS = [
    ("order.bpmn", "order", {**ORDER, "amount": 10}, "complete check; complete reserve; complete charge; complete ship", "shipped"),
    ("order.bpmn", "order", {**ORDER, "amount": 2000},
     "complete check; tick late; complete remind; complete approve approved=true; complete reserve; complete charge; complete ship", "shipped"),
    ("order.bpmn", "order", {**ORDER, "amount": 2000}, "complete check; complete approve approved=false; complete refuse", "refused"),
    ("order.bpmn", "order", {**ORDER, "amount": 10}, "error check INVALID_ORDER; complete refuse", "refused"),
    ("order.bpmn", "order", {**ORDER, "amount": 10}, "complete check; error reserve OUT_OF_STOCK; complete refund", "cancelled"),
    ("order.bpmn", "order", {**ORDER, "amount": 10}, "complete check; tick stuck; complete refund", "cancelled"),
    ("document-approval.bpmn", "document-approval", {"document": "d", "author": "a"}, 'complete review decision="approve"', "approved"),
    ("document-approval.bpmn", "document-approval", {"document": "d", "author": "a"}, 'complete review decision="reject"', "rejected"),
    ("document-approval.bpmn", "document-approval", {"document": "d", "author": "a"},
     'tick overdue; complete notice; complete review decision="approve"', "approved"),
    ("purchase-order-approval.bpmn", "purchase-order-approval", {**PO, "amount": 900}, CHECKED + YES[2:], "end_yes"),
    ("purchase-order-approval.bpmn", "purchase-order-approval", {**PO, "amount": 5000}, CHECKED + "complete manager approved=true" + YES, "end_yes"),
    ("purchase-order-approval.bpmn", "purchase-order-approval", {**PO, "amount": 5000}, RISKY + "complete director approved=false" + NO, "end_no"),
    ("purchase-order-approval.bpmn", "purchase-order-approval", {**PO, "amount": 20000},
     CHECKED + "tick director_late; complete remind; complete director approved=true" + YES, "end_yes"),
    ("purchase-order-approval.bpmn", "purchase-order-approval", {**PO, "amount": 60000}, CHECKED + "complete executive approved=true" + YES, "end_yes"),
    ("purchase-order-approval.bpmn", "purchase-order-approval", {**PO, "amount": 5000},
     CHECKED + "tick manager_late; complete escalate; complete director approved=true" + YES, "end_yes"),
    ("purchase-order-approval.bpmn", "purchase-order-approval", {**PO, "amount": 5000},
     CHECKED.replace("valid=true", "valid=false") + NO[2:], "end_no"),
    ("employee-onboarding.json", "employee-onboarding", PERSON, "complete register_employee" + SET_UP + "; complete benefits" + LATER, "onboarded"),
    ("employee-onboarding.json", "employee-onboarding", {**PERSON, "employee_type": "intern"}, "complete register_intern" + SET_UP + LATER, "onboarded"),
    ("employee-onboarding.json", "employee-onboarding", {**PERSON, "employee_type": "contractor", "clearance_required": True},
     "complete register_contractor; tick security_clearance_on_1; complete chase_clearance; complete security_clearance cleared=true" + SET_UP + LATER,
     "onboarded"),
    ("employee-onboarding.json", "employee-onboarding", {**PERSON, "clearance_required": True},
     "complete register_employee; complete security_clearance cleared=false; complete withdraw", "not_cleared"),
    ("incident-response.json", "incident-response", ALERT, 'complete log_alert; complete classify severity="low" kinds=[]; complete note', "noted"),
    ("incident-response.json", "incident-response", ALERT,
     'complete log_alert; complete classify severity="medium" kinds=[]; complete open_room; complete fix' + CLOSE, "incident_closed"),
    ("incident-response.json", "incident-response", ALERT, 'complete log_alert; error classify DOWN; complete classify_by_hand severity="critical" '
     "kinds=[]; complete open_room; tick contain_on_1; complete escalate; complete communicate; complete contain; complete forensics" + CLOSE,
     "incident_closed"),
    ("pipeline.yaml", "code-pipeline", {"task": "t"}, "complete analysis; complete generation; complete validation passed=true; complete publish", "end"),
    ("pipeline.yaml", "code-pipeline", {"task": "t"}, "complete analysis; complete generation; complete validation passed=false; complete generation; "
     "complete validation passed=true; complete publish", "end"),
    ("pipeline.yaml", "code-pipeline", {"task": "t"}, "complete analysis" + "; complete generation; complete validation passed=false" * 4 +
     '; complete review decision="stop"', "end"),
    ("pipeline.yaml", "code-pipeline", {"task": "t"}, 'error analysis X; complete review decision="accept"; complete publish', "end"),
    ("nightly-report.yaml", "nightly-report", {}, "complete orders count=1 rows=[1]; complete customers rows=[2]; error weather X; complete combine; "
     "complete archive; complete publish", "end"),
    ("nightly-report.yaml", "nightly-report", {}, "complete orders count=0 rows=[1]; complete customers rows=[2]; complete weather; error combine X; "
     "complete combine_fallback; complete publish", "end"),
    *((f"patterns/{file}.bpmn", *rest) for file, *rest in PATTERNS),
]  # fmt: skip


@pytest.mark.req("APG-EXM-027", "APG-EXM-028", "APG-HUM-006")
@pytest.mark.parametrize(("file", "id", "variables", "moves", "end"), WAYS)
def test_ways_to_the_end(file, id, variables, moves, end):
    s = play(file, id, moves, **variables)
    assert s.line.endswith("done") and s.empty
    assert f">{end} " in s.line


@pytest.mark.req("APG-ENG-001")
def test_each_pattern_of_services_does_what_it_is_for():
    """What was done is undone, the newest first; an answer reaches the one who asked; the best of those who answered; and a ticket instead of the bytes."""
    saga = play("patterns/saga.bpmn", "trip-saga", "complete flight; complete hotel; error car NONE; complete hotel_cancel")
    assert saga.tasks == "flight hotel car hotel_cancel flight_cancel"
    assert [t.job_type for t in saga.p.tasks.values()] == ["flight.cancel"], (
        "after the hotel, and no cancelling of a car that was never booked"
    )

    asked = play("patterns/request-reply.bpmn", "credit-check", "complete ask", request_id="7")
    other = asked.key
    asked.start("credit-check", request_id="8")
    asked.moves("complete ask", "message credit-answer 8 credit=true")
    assert asked.vars["credit"] is True and list(asked.p.instances) == [other]

    offers = play("patterns/scatter-gather.bpmn", "ask-for-offers", OFFERS[2:], suppliers=["a", "b", "c", "d"], enough=3)
    assert offers.tasks == "ask ask ask ask" and offers.vars["best"] == {"supplier": "b", "price": 30} and offers.empty

    ticket = {"name": "scan", "size": 5_000_000, "sha256": "0" * 64}
    claim = play(
        "patterns/claim-check.bpmn", "scan-claim", f"complete fetch ticket={json.dumps(ticket, separators=(',', ':'))}", scan_url="u"
    )
    assert claim.tasks.endswith("assess") and claim.i.vars == {"scan_url": "u", "ticket": ticket}


@pytest.mark.req("D-ENG-008", "APG-EXM-027")
def test_the_checks_of_a_purchase_order_run_side_by_side():
    s = play("purchase-order-approval.bpmn", "purchase-order-approval", 'complete assess prediction={"risk":"low"}', **PO, amount=1)
    assert {t.element for t in s.p.tasks.values()} == {"vendor_check", "compliance_check"}
    s.move("tick sla_start")
    assert s.task("sla_notice").job_type == "notification_engine.send"


@pytest.mark.req("APG-MOD-002", "APG-EXM-028")
def test_each_kind_of_employee_gets_its_form():
    for kind, form in (("full_time", "onboarding-employee"), ("contractor", "onboarding-contractor"), ("intern", "onboarding-intern")):
        s = play("employee-onboarding.json", "employee-onboarding", "set z=1", **PERSON, employee_type=kind)
        assert [t.details["form"]["formId"] for t in s.p.tasks.values()] == [form]

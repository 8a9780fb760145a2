"""What a setting names is done by two people: one asks, another one approves, the first does it, once, as it was asked, in time."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from asking import Caller
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.api import approvals as approvals_of
from flowledger.events import control as co
from flowledger.infra.settings import SettingsError
from flowledger.kernel.batches.actions import ACTIONS
from flowledger.kernel.operations import name_of
from flowledger.kernel.tasks import approvals
from flowledger.kernel.tasks.privacy import digest_of

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"><process id="p" isExecutable="true">
<startEvent id="s"/><userTask id="u"><extensionElements><zeebe:userTask/></extensionElements></userTask><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="u"/><sequenceFlow id="f2" sourceRef="u" targetRef="e"/></process></definitions>"""


async def asked(http: Any, actor: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    r = await http.request(
        method, f"/v1/{path}", json=body, headers={"X-Actor": actor, **{k.replace("_", "-"): v for k, v in headers.items()}}
    )
    return r.status_code, r.json()


async def test_two_people_do_it(place, database, tmp_path):
    told: dict[str, Any] = {
        "second_person": ("cancel_instance", "put_retention"),
        "roles": ("api", "owner", "projector", "grpc"),
        "grpc_port": 0,
    }
    async with place.system(data=tmp_path, postgres=database, partitions=2, **told) as (system, http):
        x = Caller(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        one, two = await x.start("p", 2)
        cancel = f"instances/{one}/cancel"
        status, problem = await asked(http, "ann", "POST", cancel, {"reason": "r"}, X_Reason="the%20customer")
        assert (status, problem["code"]) == (403, "APPROVAL_NEEDED") and problem["approval"] in problem["detail"]
        id = problem["approval"]
        shown = await x.ok("GET", f"approvals/{id}")
        assert (shown["operation"], shown["by"], shown["status"], shown["reason"]) == ("cancel_instance", "ann", "waiting", "the customer")
        status, problem = await asked(http, "ann", "POST", cancel, {"reason": "r"}, X_Approval=id)
        assert status == 403 and "can't become used" in problem["detail"], "nobody has approved it"
        assert (await asked(http, "ann", "POST", f"approvals/{id}/approve", {}))[0] == 409, "not by oneself"
        assert (await asked(http, "", "POST", f"approvals/{id}/approve", {}))[0] == 409, "nor by nobody"
        assert (await asked(http, "bob", "POST", f"approvals/{id}/approve", {"reason": "seen"}))[0] == 200
        assert (await asked(http, "bob", "POST", f"approvals/{id}/refuse", {}))[0] == 409, "it is decided"
        assert (await asked(http, "bob", "POST", cancel, {"reason": "r"}, X_Approval=id))[0] == 403, "it is ann's"
        assert (await asked(http, "ann", "POST", cancel, {"reason": "other"}, X_Approval=id))[0] == 403, (
            "with other words it is something else"
        )
        assert (await asked(http, "ann", "POST", f"instances/{two}/cancel", {"reason": "r"}, X_Approval=id))[0] == 403, "of another one"
        status, done = await asked(http, "ann", "POST", cancel, {"reason": "r"}, X_Approval=id)
        assert status == 200, done
        assert (await asked(http, "ann", "POST", cancel, {"reason": "r"}, X_Approval=id))[0] == 403, "once"
        assert (await x.ok("GET", f"approvals/{id}"))["status"] == "used"

        status, problem = await asked(http, "ann", "POST", "batches", {"action": "cancel", "ids": [two]})
        assert (status, problem["code"]) == (403, "APPROVAL_NEEDED"), "many at once need it as well"
        refused = problem["approval"]
        assert (await asked(http, "bob", "POST", f"approvals/{refused}/refuse", {"reason": "no"}))[0] == 200
        assert (await asked(http, "ann", "POST", "batches", {"action": "cancel", "ids": [two]}, X_Approval=refused))[0] == 403
        async with grpc.aio.insecure_channel(system.grpc_address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as none:
                await GatewayStub(channel).CancelProcessInstance(pb.CancelProcessInstanceRequest(processInstanceKey=int(two)))
            assert none.value.code() == grpc.StatusCode.PERMISSION_DENIED and "second person" in str(none.value.details())
            with pytest.raises(grpc.aio.AioRpcError) as none:
                await GatewayStub(channel).ResolveIncident(pb.ResolveIncidentRequest(incidentKey=int(two)))
            assert none.value.code() == grpc.StatusCode.NOT_FOUND, "what isn't named goes on there"
        assert (await asked(http, "ann", "POST", f"instances/{two}/suspend", {}))[0] == 200, "what isn't named needs nobody"
        assert (await x.ask("POST", f"instances/{two}/cancel", {}, dry_run="true"))[0] == 200, "who looks needs nobody"
        rule = {"after": "P1Y", "reason": "r"}
        assert (await asked(http, "ann", "PUT", "retention/all", rule))[1]["code"] == "APPROVAL_NEEDED"
        assert (await asked(http, "ann", "PUT", "retention/all", rule, X_Tenant="acme"))[1]["code"] == "APPROVAL_NEEDED"
        assert (await asked(http, "", "PUT", "retention/all", rule))[0] == 403, "nobody can't ask for a second one"
        assert {a["status"] for a in (await x.ok("GET", "approvals"))["items"]} == {"used", "refused", "waiting"}
        assert (
            len((await x.ok("GET", "approvals", tenant="acme"))["items"]) == 1
            and (await x.ask("GET", f"approvals/{id}", tenant="acme"))[0] == 404
        )

        async def written() -> Any:
            rows = (await x.ok("GET", "operations", operation="store_approval", subject=id))["items"]
            return [r["actor"] for r in rows if r["outcome"] == "granted"] == ["ann", "bob", "ann"]

        await place.until(written, 60)


@pytest.mark.parametrize("partitions", [1, 2])
async def test_a_request_with_an_id_and_a_plan_is_done_by_two_people_too(place, database, tmp_path, partitions):
    """As the SDK and the console send it; its answer may be lost at each step."""
    async with place.system(data=tmp_path, postgres=database, partitions=partitions, second_person=("cancel_instance",)) as (_, http):
        x = Caller(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        [key] = await x.start("p", 1)
        plan = (await x.ok("POST", f"instances/{key}/cancel", {}, dry_run="true"))["plan"]
        cancel = ("ann", "POST", f"instances/{key}/cancel?plan={plan}", {})
        first = await asked(http, *cancel, Idempotency_Key="k1")
        assert first[1]["code"] == "APPROVAL_NEEDED" and await asked(http, *cancel, Idempotency_Key="k1") == first, (
            "asked twice, it is one approval"
        )
        id = first[1]["approval"]
        assert len((await x.ok("GET", "approvals"))["items"]) == 1
        for _ in range(2):
            assert (await asked(http, "bob", "POST", f"approvals/{id}/approve", {}, Idempotency_Key="k2"))[0] == 200
        done = await asked(http, *cancel, X_Approval=id, Idempotency_Key="k3")
        assert done[0] == 200, done
        assert await asked(http, *cancel, X_Approval=id, Idempotency_Key="k3") == done, "the same once more has the first answer"
        assert (await asked(http, *cancel, X_Approval=id, Idempotency_Key="k4"))[0] == 403, "and is not done again by another one"


async def test_who_looks_before_needs_nobody_whether_the_query_or_the_body_says_so(place, database, tmp_path):
    named = ("create_batch", "modify_instance", "change_rollout", "put_retention")
    async with place.system(data=tmp_path, postgres=database, partitions=1, second_person=named) as (_, http):
        x = Caller(http, place)
        assert (await x.ok("GET", "me"))["second_person"] == list(named)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        [key] = await x.start("p", 1)
        wishes = (
            ("batches", {"action": "suspend", "ids": [key]}),
            (f"instances/{key}/modify", {"instructions": [{"cancel": "u"}], "force": True}),
            ("definitions/p/rollout", {"stop_starts": True}),
        )
        for path, wish in wishes:
            status, looked = await asked(http, "ann", "POST", path, {**wish, "dry_run": True})
            assert status == 200, looked
            status, waits = await asked(http, "ann", "POST", path, {**wish, "dry_run": False})
            assert waits["code"] == "APPROVAL_NEEDED", waits
            assert (await x.ok("GET", f"approvals/{waits['approval']}"))["right"], "who decides needs the right to it as well"
        rule = {"after": "P1Y", "reason": "r", "dry_run": True}
        assert (await asked(http, "ann", "PUT", "retention/all", rule))[1]["code"] == "APPROVAL_NEEDED", (
            "where the word means nothing it lets nobody by"
        )
        assert (await asked(http, "ann", "POST", "batches", {"action": 7}))[0] == 400, "what can't be read is told so"


@pytest.mark.req("D-CMP-003")
async def test_a_start_that_is_refused_starts_nothing_and_the_verdict_is_kept(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=1, second_person=("start_instance",)) as (_, http):
        x = Caller(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        verdicts = []
        for verdict, reason in (("refuse", "not this quarter"), ("approve", "as planned")):
            status, problem = await asked(http, "ann", "POST", "instances", {"definition": "p"})
            assert (status, problem["code"]) == (403, "APPROVAL_NEEDED")
            verdicts.append(problem["approval"])
            assert (await asked(http, "bob", "POST", f"approvals/{verdicts[-1]}/{verdict}", {"reason": reason}))[0] == 200
        refused, approved = verdicts
        assert (await asked(http, "ann", "POST", "instances", {"definition": "p"}, X_Approval=refused))[0] == 403
        status, made = await asked(http, "ann", "POST", "instances", {"definition": "p"}, X_Approval=approved)
        assert status == 201, made
        rows = (await x.ok("GET", "instances", wait_for=made["position"]))["items"]
        assert [row["id"] for row in rows] == [made["id"]]
        shown = await x.ok("GET", f"approvals/{refused}")
        assert (shown["status"], shown["by"], shown["decided_by"], shown["answer"]) == ("refused", "ann", "bob", "not this quarter")

        async def written() -> Any:
            rows = (await x.ok("GET", "operations", operation="store_approval", subject=refused))["items"]
            return sorted(r["actor"] for r in rows if r["outcome"] == "granted") == ["ann", "bob"]

        await place.until(written, 60)


async def test_a_batch_needs_two_people_for_what_it_does_whatever_it_is_called(place, database, tmp_path):
    named = ("cancel_instance", "remove_from_views", "set_variables", "resolve_incident")
    async with place.system(data=tmp_path, postgres=database, partitions=1, second_person=named) as (_, http):
        x = Caller(http, place)
        await x.ok("POST", "deployments", {"resources": [{"name": "p.bpmn", "content": MODEL}]})
        [key] = await x.start("p", 1)
        bodies: list[dict[str, Any]] = [{"action": a} for a in ("cancel", "terminate", "delete")]
        bodies.append({"action": "set_variables", "params": {"variables": {"a": 1}}})
        for body in bodies:
            wanted = {**body, "ids": [key]}
            assert (await asked(http, "ann", "POST", "batches", wanted))[1]["code"] == "APPROVAL_NEEDED", body
            assert (await asked(http, "ann", "POST", "batches", {**wanted, "dry_run": True}))[0] == 200, "who looks needs nobody"
        digits = f'{{"action": "cancel", "ids": ["{key}"], "rate": 1{"0" * 5000}}}'
        r = await http.post("/v1/batches", content=digits, headers={"X-Actor": "ann", "Content-Type": "application/json"})
        assert r.status_code in (400, 403, 422), "what can't be read isn't done"
        group = "incidents/groups/00000000000000000000000000000000/resolve"
        status, problem = await asked(http, "ann", "POST", group, {"confirm": 1})
        assert (status, problem["code"]) == (403, "APPROVAL_NEEDED"), problem
        assert (await asked(http, "ann", "POST", "batches", {"action": "suspend", "ids": [key]}))[0] in (200, 201, 202)
        assert (await x.ok("GET", f"instances/{key}"))["status"] != "cancelled"


def test_each_action_of_a_batch_is_something_that_can_be_named():
    known = {name_of(co.RemoveFromViews(key=1, reason=""))[0], "cancel_instance", "set_variables", "suspend_instance", "resume_instance"}
    known |= {"modify_instance", "migrate_instance", "roll_back_instance", "resolve_incident", "update_retries", "replay_dead_letter"}
    known |= {f"{move}_task" for move in ("assign", "claim", "release", "complete", "escalate")}
    assert {action for action in ACTIONS if not approvals_of.of_action(action, known)} == set()


async def test_what_no_id_remembers_is_done_once_by_one_approval(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=1, second_person=("put_retention", "put_profile")) as (_, http):
        x = Caller(http, place)
        put = ("ann", "PUT", "retention/all", {"after": "P1Y", "reason": "r"})
        id = (await asked(http, *put, Idempotency_Key="k"))[1]["approval"]
        assert (await asked(http, "bob", "POST", f"approvals/{id}/approve", {}))[0] == 200
        assert (await asked(http, *put, X_Approval=id, Idempotency_Key="k"))[0] == 200
        await x.ok("DELETE", "retention/all")
        status, problem = await asked(http, *put, X_Approval=id, Idempotency_Key="k")
        assert (status, problem["code"]) == (403, "APPROVAL_NEEDED"), "the same id doesn't make it good for twice"
        assert (await x.ok("GET", "retention"))["items"] == []


async def test_a_profile_that_goes_with_models_needs_its_second_person_too(place, database, tmp_path):
    from tests.connectors.test_profiles import MODEL as CARRIER

    async with place.system(data=tmp_path, postgres=database, partitions=1, second_person=("put_profile",)) as (_, http):
        x = Caller(http, place)
        text = CARRIER.format(id="pa", type="http", retries=1, inputs='<zeebe:input source="/q" target="url"/>')
        body = {"resources": [{"name": "a.bpmn", "content": text}]}
        assert (await asked(http, "ann", "POST", "deployments", body))[0] == 201, "models alone need nobody"
        body["profiles"] = {"carrier": {"base_url": "https://api.example"}}  # type: ignore[assignment]
        status, problem = await asked(http, "ann", "POST", "deployments", body)
        assert (status, problem["code"]) == (403, "APPROVAL_NEEDED") and "put_profile" in problem["detail"], problem
        assert (await asked(http, "ann", "GET", "profiles/carrier"))[0] == 404
        assert (await asked(http, "bob", "POST", f"approvals/{problem['approval']}/approve", {}))[0] == 200
        status, answer = await asked(http, "ann", "POST", "deployments", body, X_Approval=problem["approval"])
        assert (status, answer["profiles"]) == (201, [{"name": "carrier", "version": 1}]), answer
        assert (await x.ok("GET", "profiles/carrier"))["version"] == 1


@pytest.mark.req("D-CMP-003")
async def test_the_ledger_has_no_reference_of_a_subject_of_what_waits_and_what_is_refused(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, partitions=1, second_person=("erase_subject",)) as (_, http):
        x = Caller(http, place)
        status, problem = await asked(http, "ann", "POST", "subjects/C-4711/erase", {"reason": "r"}, X_Tenant="acme")
        assert (status, problem["code"]) == (403, "APPROVAL_NEEDED")
        digest = digest_of("acme", "C-4711")
        assert (await x.ok("GET", f"approvals/{problem['approval']}", tenant="acme"))["path"] == f"/v1/subjects/{digest}/erase"
        status, none = await asked(http, "ann", "POST", "subjects/C-4711/export", {"reason": "r"}, X_Tenant="acme")
        assert status == 404, none  # the door says so, and has it told

        async def told() -> Any:
            rows = (await x.ok("GET", "operations", tenant="acme"))["items"]
            return rows if any(r["operation"] == "export_subject" for r in rows) else None

        rows = await place.until(told, 60)
        assert "C-4711" not in str(rows) and {r["subject"] for r in rows if r["operation"] == "export_subject"} == {digest}
    written = b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file() and "postgres" not in f.parts and f.suffix != ".log")
    assert problem["approval"].encode() in written and b"C-4711" not in written


@pytest.mark.parametrize("name", ["attach_task", "change_files"])
async def test_uploads_can_t_be_named(place, database, tmp_path, name):
    with pytest.raises(SettingsError, match=name):
        async with place.system(data=tmp_path, postgres=database, partitions=1, second_person=(name,)):
            pass


async def test_a_name_that_no_operation_has_is_an_error_at_the_start(place, database, tmp_path):
    with pytest.raises(SettingsError, match="second_person.*erase_everything"):
        async with place.system(data=tmp_path, postgres=database, partitions=1, second_person=("erase_subject", "erase_everything")):
            pass


class State:
    def __init__(self, **records: Any) -> None:
        self.registry = {approvals.REGISTRY: records}


ASKED = {
    "operation": "o",
    "right": "",
    "method": "POST",
    "path": "/",
    "digest": "d",
    "by": "ann",
    "reason": "",
    "at_us": 1,
    "until_us": 100,
    "status": "waiting",
}
APPROVED = {**ASKED, "status": "approved", "decided_by": "bob", "decided_us": 5, "answer": ""}


@pytest.mark.parametrize(
    ("was", "value", "actor", "now", "why"),
    [
        (None, ASKED, "ann", 1, ""),
        (None, ASKED, "bob", 1, "for oneself"),
        (None, APPROVED, "ann", 1, "can't become approved"),
        (ASKED, APPROVED, "bob", 99, ""),
        (ASKED, APPROVED, "bob", 100, "expired"),
        (ASKED, APPROVED, "ann", 5, "somebody else"),
        (ASKED, APPROVED, "", 5, "somebody else"),
        (ASKED, APPROVED, "eve", 5, "for oneself"),
        (ASKED, {**APPROVED, "digest": "x"}, "bob", 5, "can't be changed"),
        (ASKED, {**APPROVED, "until_us": 200}, "bob", 5, "can't be changed"),
        (ASKED, {**ASKED, "status": "used"}, "ann", 5, "can't become used"),
        (APPROVED, {**APPROVED, "status": "used"}, "ann", 99, ""),
        (APPROVED, {**APPROVED, "status": "used"}, "ann", 100, "expired"),
        (APPROVED, {**APPROVED, "status": "used"}, "bob", 50, "asked for by ann"),
        ({**APPROVED, "status": "used"}, {**APPROVED, "status": "used"}, "ann", 50, "can't become used"),
        (ASKED, None, "ann", 5, "not over"),
        (ASKED, None, "ann", 100, ""),
    ],
)
def test_the_ledger_holds_who_may_do_which_step(was, value, actor, now, why):
    found = approvals.refused(State(**({"id": was} if was else {})), approvals.REGISTRY, "id", value, actor, now)  # type: ignore[arg-type]
    assert (why in found) if why else found == ""


def test_there_is_a_limit_of_those_that_are_open():
    many = {f"i{n}": ASKED for n in range(approvals.OPEN_MAX)}
    assert "aren't allowed" in approvals.refused(State(**many), approvals.REGISTRY, "id", ASKED, "ann", 1)  # type: ignore[arg-type]
    del many["i0"]
    assert approvals.refused(State(**many), approvals.REGISTRY, "id", ASKED, "ann", 1) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize("by", [None, "", 7], ids=["missing", "empty", "no text"])
def test_a_record_that_does_not_say_who_asked_is_refused_and_breaks_nothing(by):
    value = {k: v for k, v in ASKED.items() if k != "by"} | ({} if by is None else {"by": by})
    assert approvals.problems("id", value) == ["by: expected a text"] and approvals.problems("id", ASKED) == []

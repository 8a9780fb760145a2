import { describe, expect, test } from "vitest";
import type { HistoryEvent } from "~/api/types";
import { causesOf, choicesOf, flowsOf, namesOf, spokenOf } from "~/pages/instance/why";

const xml = `<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"><process id="p">
  <exclusiveGateway id="g" default="no"/>
  <sequenceFlow id="yes" name="Yes" sourceRef="g" targetRef="a"><conditionExpression>=amount &gt; 100</conditionExpression></sequenceFlow>
  <sequenceFlow id="no" sourceRef="g" targetRef="b"/><sequenceFlow id="on" sourceRef="a" targetRef="b"/></process></definitions>`;
const event = (id: string, type: string, data: Record<string, unknown>, cause = ""): HistoryEvent => ({ id, type, data, cause, time: "", instance: "1", tenant: null, trace: null, actor: "", correlation: "" });
const events = [
  event("0-1", "workflow.started", {}, "request:x/1"),
  event("0-2", "task.created", { task: "7", element: "a", details: null }, "request:x/1"),
  event("0-3", "task.assigned", { task: "7", details: { assignment: { assignee: "ann", why: "least load", excluded: { bob: "away" } } } }, "request:x/1"),
  event("0-4", "timer.scheduled", { timer: "8" }, "task:7"),
  event("0-5", "flow.taken", { flow: "yes", source: "g" }, "timer:8"),
  event("0-6", "flow.taken", { flow: "on", source: "a" }, "timer:8"),
];

test("flows know their condition and which of them is the default", () => {
  const flows = flowsOf(xml);
  expect(flows.get("yes")).toMatchObject({ condition: "=amount > 100", isDefault: false, name: "Yes" });
  expect(flows.get("no")).toMatchObject({ condition: "", isDefault: true });
});

describe("choices", () => {
  test("are what could have gone otherwise, the latest first", () => {
    expect(choicesOf(events, flowsOf(xml)).map((c) => [c.kind, c.event.id])).toEqual([["flow", "0-5"], ["person", "0-3"]]);
  });
  test("end at the moment that is looked at", () => expect(choicesOf(events, flowsOf(xml), "0-4").map((c) => c.kind)).toEqual(["person"]));
  test("a person's element is that of the task", () => expect(choicesOf(events, flowsOf(xml), "0-4")[0]).toMatchObject({ element: "a" }));
});

test("causes lead back until they leave the instance", () => {
  expect(causesOf(events, "0-5").map((e) => e.id)).toEqual(["0-5", "0-4", "0-2"]);
  expect(causesOf(events, "9-9")).toEqual([]);
  const loop = [event("0-1", "task.created", { task: "1" }, "task:1")];
  expect(causesOf(loop, "0-1")).toHaveLength(1);
});

test("of an expression only the variables that there are, and no words in quotes", () => {
  expect(spokenOf('=amount > 100 and kind = "note"', { amount: 5, note: 1, kind: "x" })).toEqual([["amount", 5], ["kind", "x"]]);
});

test("elements are called by their names", () => {
  expect([...namesOf(xml)]).toEqual([["yes", "Yes"]]);
});

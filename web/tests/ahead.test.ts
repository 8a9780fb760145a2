// @vitest-environment jsdom
import { expect, test } from "vitest";
import { recordOf, sorted, stateOf, wishOf, wrongs, type Kpi } from "../src/pages/insight/kpis/kpi";
import { bodyOf, read, ready, scenario, START, tasksOf } from "../src/pages/insight/whatif";

const promise = (more: object) => ({ name: "p", title: "p", process: "", element: "", within_ms: 1, count: 1, kept: 1, broken: 0, kept_share: 1, goal: null, met: null, open: 0, late: 0, at_risk: 0, ...more }) as never;

test.each([
  [{ late: 1, at_risk: 2 }, "late"],
  [{ at_risk: 1 }, "at_risk"],
  [{ met: false }, "at_risk"],
  [{}, "ok"],
  [{ count: 0 }, "none"],
  [{ count: 0, open: 2 }, "ok"],
  [{ open: null, late: null, at_risk: null }, "ok"],
])("%o is %s", (more, state) => expect(stateOf(promise(more))).toBe(state));

test("what is late stands first, and work by when it is due without a record", () => {
  const kpis: Kpi[] = [{ name: "b", kind: "time" }, { name: "a", kind: "sla" }];
  const rows = sorted(kpis, [promise({ name: "a", late: 1 }), promise({ name: "due" })]);
  expect(rows.map((r) => r.kpi.name)).toEqual(["a", "due", "b"]);
  expect(sorted(kpis, [])).toHaveLength(2);
});

test("a record goes through the form and back, with what the form has no field for", () => {
  const record: Kpi = { name: "x", kind: "sla", title: "T", process: "order", within: "PT8H", goal: 0.955, at_risk: 0.75, of: "waiting", element: "e", calendar: "office", when: "= a", by: "tier", values: ["gold"], description: "d", enabled: false };
  expect(wrongs(wishOf(record))).toEqual({});
  const { name, ...rest } = record;
  expect(name).toBe("x");
  expect(recordOf(wishOf(record), record)).toEqual(rest);
  const cost: Kpi = { name: "c", kind: "cost", each: { mail: 0.02 }, otherwise: 40, people: { ann: 60 }, unit: "EUR" };
  expect(recordOf(wishOf(cost), cost)).toEqual({ kind: "cost", each: { mail: 0.02 }, otherwise: 40, people: { ann: 60 }, unit: "EUR" });
  expect(recordOf({ ...wishOf(cost), kind: "time" }, cost)).toEqual({ kind: "time" });
});

test("what is wrong is told by field", () => {
  const wish = { ...wishOf(), name: "due", within: "soon", goal: "0", at_risk: "101", element: "e" };
  expect(Object.keys(wrongs(wish)).sort()).toEqual(["at_risk", "element", "goal", "name", "within"]);
  expect(Object.keys(wrongs({ ...wishOf(), name: "a", kind: "cost", each: "[", otherwise: "x" })).sort()).toEqual(["each", "otherwise"]);
  expect(wrongs({ ...wishOf(), name: "a", kind: "value", within: "" })).toEqual({ value: "kpis.wrong.value" });
});

test("people are named at their elements, and scenarios change what they say alone", () => {
  const asked = { ...START, people: [{ element: "look", count: "1" }], every: "PT5M", scenarios: [{ ...scenario(1), name: "two", counts: ["2"], more: '{"branches": {"f": 0.5}}' }, { ...scenario(2), version: "3" }] };
  expect(ready(asked)).toBe(true);
  expect(bodyOf(asked, "p", "4")).toMatchObject({
    process: "p", version: 4, seed: 1, runs: 10,
    plan: { instances: 500, arrival: { every: "PT5M" }, elements: { look: { wait: null, resource: "look" } }, resources: { look: { count: 1 } } },
    scenarios: [{ name: "two", version: 0, changes: { resources: { look: { count: 2 } }, branches: { f: 0.5 } } }, { name: "2", version: 3, changes: {} }],
  }); // prettier-ignore
  expect(read(JSON.stringify(asked))).toEqual(asked);
  for (const none of [undefined, "", "[", "7", '{"people": 1}', '{"scenarios": [{}]}']) expect(read(none)).toEqual(START);
  for (const wrong of [{ runs: "51" }, { instances: "0" }, { seed: "x" }, { every: "5" }, { people: [{ element: "", count: "1" }] }, { scenarios: [{ ...scenario(1), more: "[]" }] }]) expect(ready({ ...START, ...wrong })).toBe(false);
});

test("tasks of the process alone", () => {
  const model = '<b:definitions xmlns:b="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:z="z"><b:process id="p"><b:userTask id="u" name="U"/><z:otherTask id="no"/><b:subProcess id="s"><b:serviceTask id="t"/></b:subProcess></b:process><b:process id="q"><b:userTask id="v"/></b:process></b:definitions>';
  expect(tasksOf(model, "p")).toEqual([{ value: "u", label: "U" }, { value: "t", label: "t" }]);
  expect(tasksOf("<", "p")).toEqual([]);
});

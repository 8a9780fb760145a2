import { beforeEach, describe, expect, test } from "vitest";
import { translation } from "~/designer/translation";
import { blank, drawable, fileName, idOf } from "~/pages/designer/blank";
import * as kept from "~/pages/designer/kept";
import { answerTo, objectOf, shownOf, words } from "~/pages/designer/trial";
import { shownOfHistories, toldOf } from "~/pages/designer/histories";
import type { HistoryExample, HistoryRun, Trial } from "~/api/types";

test.each([
  ["Leave request", "leave-request"],
  ["Überprüfung 2", "uberprufung-2"],
  ["2nd", "process-2nd"],
  ["!!!", "process"],
  ["x".repeat(100), "x".repeat(60)],
])("the id of %s is %s", (name, id) => expect(idOf(name, "process")).toBe(id));

test.each(["process", "decision", "form"] as const)("a new %s can be drawn, whatever its name", (kind) => {
  const text = blank(kind, `A & "B" <c>`);
  expect(drawable(kind, text)).toBe(true);
  if (kind !== "form") expect(new DOMParser().parseFromString(text, "text/xml").querySelector("parsererror")).toBeNull();
  else expect(JSON.parse(text)).toHaveProperty("components");
  expect(fileName("A", kind, text)).toMatch(/^a\.(bpmn|dmn|form)$/);
});

describe("what is kept in the browser", () => {
  beforeEach(() => localStorage.clear());
  test("comes back, and is forgotten", () => {
    expect(kept.keep("a", 3, "text")).toBe(true);
    expect(kept.read("a")).toMatchObject({ base: 3, text: "text" });
    kept.forget("a");
    expect(kept.read("a")).toBeUndefined();
  });
  test("is twenty drawings at most", () => {
    for (let n = 0; n < 25; n++) kept.keep(String(n), 1, "x");
    expect(Object.keys(localStorage).filter((k) => k.startsWith("flowledger.design."))).toHaveLength(20);
    expect(kept.read("24")).toBeDefined();
  });
  test("is nothing when it is garbage", () => {
    localStorage.setItem("flowledger.design.a", "{");
    expect(kept.read("a")).toBeUndefined();
  });
});

test("each thing that waits is answered by a step", () => {
  const of = (kind: string, more = {}) => ({ kind, instance: "p#1", element: "e", name: "n", ...more }) as Parameters<typeof answerTo>[0];
  expect(answerTo(of("task"), { a: 1 }, "eve")).toEqual({ complete: "e", instance: "p#1", variables: { a: 1 }, by: "eve" });
  expect(answerTo(of("job"), {})).toEqual({ complete: "e", instance: "p#1" });
  expect(answerTo(of("message"), {})).toEqual({ receive: "n", instance: "p#1" });
  expect(answerTo(of("signal"), {})).toEqual({ signal: "n" });
  expect(answerTo(of("timer", { due: "2026-01-05T10:00:00Z" }), {})).toEqual({ advance_to: "2026-01-05T10:00:00Z" });
  expect(answerTo(of("incident"), {})).toEqual({ resolve: 1, instance: "p#1" });
  expect(words({ throw: "e", instance: "p#1", code: "X" })).toBe("throw e (X)");
});

test("tokens and what was reached are those of the processes that are drawn", () => {
  const trial = {
    instances: [
      { process: "p", active: ["a", "a"], incidents: [{ code: "X", element: "a", message: "" }] },
      { process: "other", active: ["b"], incidents: [] },
    ],
    coverage: [{ process: "p", entered: { a: 2 }, taken: { f: 1 } }],
  } as unknown as Trial;
  expect(shownOf(trial, ["p"])).toEqual({ active: { a: 2 }, incidents: new Set(["a"]), covered: { a: 2, f: 1 } });
  expect(shownOf(undefined, ["p"])).toBeNull();
});

test.each([
  ["", {}],
  ['{"a": 1}', { a: 1 }],
  ["[1]", undefined],
  ["{", undefined],
])("%s as an object", (text, value) => expect(objectOf(text)).toEqual(value));

test("texts of the drawing library", () => {
  expect(translation("de")("Open minimap")).toBe("Übersicht zeigen");
  expect(translation("en")("no {what}", { what: "x" })).toBe("no x");
});

describe("histories that were run against a draft", () => {
  const run = (elements: unknown[]) => ({ process: "p", elements }) as unknown as HistoryRun;
  test("are counted where they differ first, in the process that is drawn", () => {
    expect(shownOfHistories(undefined)).toBeNull();
    const shown = shownOfHistories(run([{ process: "p", element: "g", other_way: 2, waits: 1, failed: 0, other_values: 0 }, { process: "p", element: "f", other_way: 0, waits: 0, failed: 3, other_values: 0 }, { process: "child", element: "x", waits: 9 }]));
    expect(shown).toEqual({ active: { g: 3, f: 3 }, incidents: new Set(["f"]) });
  });
  test.each([
    [{ element: "g", recorded: ["a -> x"], now: ["b -> y"], values: { amount: [5, 5] }, then: "waits at y" }, "g · a -> x ⇒ b -> y · amount 5 · waits at y"],
    [{ element: "f", message: "SCRIPT: no" }, "f · SCRIPT: no"],
    [{ values: { level: [2, 1] } }, "level 2 → 1"],
    [{}, ""],
  ])("one is told in a line", (e, line) => expect(toldOf({ id: "1", outcome: "x", ...e } as unknown as HistoryExample)).toBe(line));
});

import { describe, expect, test } from "vitest";
import type { HistoryEvent } from "~/api/types";
import { pathOf } from "~/pages/instance/path";

const event = (id: string, type: string, data: Record<string, unknown>): HistoryEvent => ({ id, type, data, time: "", instance: "1", tenant: null, trace: null, actor: "", cause: "", correlation: "" });
const events = [
  event("0-1", "workflow.started", { element: "start" }),
  event("0-2", "flow.taken", { flow: "a", source: "start", target: "task" }),
  event("0-3", "task.created", { element: "task" }),
  event("0-4", "flow.taken", { flow: "b", source: "task", target: "end" }),
  event("0-5", "workflow.completed", { element: "end" }),
];

describe("the path that was taken", () => {
  test("up to now", () => expect(pathOf(events)).toEqual({ flows: ["a", "b"], done: ["start", "task", "end"] }));
  test("up to a moment, that event included", () => expect(pathOf(events, "0-2")).toEqual({ flows: ["a"], done: ["start"] }));
  test("of nothing", () => expect(pathOf([])).toEqual({ flows: [], done: [] }));
});

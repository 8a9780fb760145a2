import { expect, test } from "vitest";
import type { HistoryEvent, Incident, InstanceState, TaskRow } from "~/api/types";
import { incidentsAt, workAt } from "~/pages/instance/past";

const event = (id: string, type: string, data: Record<string, unknown>): HistoryEvent => ({ id, type, data, time: "", instance: "1", tenant: null, trace: null, actor: "", cause: "", correlation: "" });
const events = [
  event("0-1", "task.created", { task: "5" }),
  event("0-2", "task.leased", { tasks: ["5"], worker: "robot" }),
  event("0-3", "task.failed", { task: "5", retries: 0 }),
  event("0-4", "incident.raised", { incident: "9", task: "5" }),
  event("0-5", "incident.resolved", { incident: "9" }),
  event("0-6", "task.completed", { task: "5" }),
  event("0-7", "task.created", { task: "6" }),
];
const rows = [
  { id: "5", status: "completed", retries: 1, attempts: 2, worker: "other", assignee: null, incident: null, completed_at: "2026-01-01T00:00:00Z" },
  { id: "6", status: "created", retries: 3, attempts: 0, worker: null, assignee: null, incident: null, completed_at: null },
] as unknown as TaskRow[];
const state = (tasks: unknown[], incidents: unknown[]) => ({ tasks, incidents }) as unknown as InstanceState;

test("work stands as it stood: what was not yet there isn't shown, what was open is open", () => {
  expect(workAt(rows, { events, at: "0-2", state: state([{ task: "5", status: "leased", retries: 3, worker: "robot" }], []) })).toEqual([expect.objectContaining({ id: "5", status: "leased", retries: 3, attempts: 1, worker: "robot", incident: null, completed_at: null })]);
  expect(workAt(rows, { events, at: "0-4", state: state([{ task: "5", status: "failed", retries: 0 }], [{ incident: "9" }]) })).toEqual([expect.objectContaining({ id: "5", status: "failed", retries: 0, incident: "9" })]);
  expect(workAt(rows, { events, at: "0-7", state: state([{ task: "6", status: "created", retries: 3 }], []) })).toEqual([rows[0], expect.objectContaining({ id: "6", status: "created" })]);
});

test("incidents stand as they stood", () => {
  const all = [{ id: "9", status: "resolved", resolved_at: "2026-01-01T00:00:00Z", resolved_by: "ann" }] as unknown as Incident[];
  expect(incidentsAt(all, { events, at: "0-3", state: state([], []) })).toEqual([]);
  expect(incidentsAt(all, { events, at: "0-4", state: state([], [{ incident: "9" }]) })).toEqual([expect.objectContaining({ status: "open", resolved_at: null, resolved_by: "" })]);
  expect(incidentsAt(all, { events, at: "0-6", state: state([], []) })).toEqual(all);
});

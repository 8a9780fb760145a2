import type { HistoryEvent } from "~/api/types";

export interface Flow {
  id: string;
  name: string;
  source: string;
  target: string;
  condition: string;
  isDefault: boolean;
}

/** Flows with a condition or a choice, out of the model's XML. */
export function flowsOf(xml: string): Map<string, Flow> {
  const found = new Map<string, Flow>();
  const doc = new DOMParser().parseFromString(xml, "text/xml");
  const defaults = new Set([...doc.querySelectorAll("[default]")].map((e) => e.getAttribute("default")));
  for (const e of doc.getElementsByTagNameNS("*", "sequenceFlow")) {
    const id = e.getAttribute("id") ?? "";
    found.set(id, {
      id,
      name: e.getAttribute("name") ?? "",
      source: e.getAttribute("sourceRef") ?? "",
      target: e.getAttribute("targetRef") ?? "",
      condition: e.getElementsByTagNameNS("*", "conditionExpression")[0]?.textContent?.trim() ?? "",
      isDefault: defaults.has(id),
    });
  }
  return found;
}

/** What its elements are called, by id: those that have a name. */
export function namesOf(xml: string): Map<string, string> {
  const doc = new DOMParser().parseFromString(xml, "text/xml");
  return new Map([...doc.querySelectorAll("[id][name]")].map((e) => [e.getAttribute("id") ?? "", e.getAttribute("name")?.trim() ?? ""] as const).filter(([, name]) => name));
}

/** Why a person was chosen, as the engine wrote it down. */
export interface Assignment {
  assignee: string;
  strategy?: string;
  why?: string;
  excluded?: Record<string, string>;
  /** who could have had it, too, and by what they stood behind */
  behind?: Record<string, string>;
}

export type Choice = { event: HistoryEvent } & (
  | { kind: "flow"; flow: Flow; others: Flow[] }
  | { kind: "person"; assignment: Assignment; element: string }
  | { kind: "decision"; element: string; decision: string; result: unknown }
);

/** Everything that could have gone otherwise, the latest first: flows with alternatives, people chosen, decisions. */
export function choicesOf(events: HistoryEvent[], flows: Map<string, Flow>, at?: string): Choice[] {
  const found: Choice[] = [];
  const from = new Map<string, Flow[]>();
  for (const f of flows.values()) from.set(f.source, [...(from.get(f.source) ?? []), f]);
  const elements = new Map(events.filter((e) => e.type === "task.created").map((e) => [String(e.data.task), String(e.data.element)]));
  for (const event of events) {
    const d = event.data;
    if (event.type === "flow.taken") {
      const flow = flows.get(String(d.flow));
      const all = flow ? (from.get(flow.source) ?? []) : [];
      if (flow && all.length > 1 && all.some((f) => f.condition || f.isDefault)) found.push({ event, kind: "flow", flow, others: all.filter((f) => f.id !== flow.id) });
    } else if (event.type.startsWith("task.") && (d.details as { assignment?: Assignment } | null)?.assignment) {
      found.push({ event, kind: "person", assignment: (d.details as { assignment: Assignment }).assignment, element: String(d.element ?? elements.get(String(d.task)) ?? "") });
    } else if (event.type === "decision.evaluated") {
      found.push({ event, kind: "decision", element: String(d.element), decision: String(d.decision), result: d.result });
    }
    if (event.id === at) break;
  }
  return found.reverse();
}

const NAMES: Record<string, [string, string]> = {
  "task.created": ["task", "task"],
  "timer.scheduled": ["timer", "timer"],
  "incident.raised": ["incident", "incident"],
  "message.received": ["message", "message"],
};

/** From an event back by its causes (`task:KEY`, `timer:KEY`, `request:WHO/N`) as far as this instance's history goes. */
export function causesOf(events: HistoryEvent[], id: string): HistoryEvent[] {
  const made = new Map<string, HistoryEvent>();
  for (const e of events) {
    const [kind, field] = NAMES[e.type] ?? [];
    if (kind && field && e.data[field] !== undefined) made.set(`${kind}:${String(e.data[field])}`, e);
  }
  const first = events.find((e) => e.id === id);
  if (!first) return [];
  const chain = [first];
  const seen = new Set([first.id]);
  for (;;) {
    const next = made.get(chain.at(-1)!.cause ?? "");
    if (!next || seen.has(next.id)) return chain;
    chain.push(next);
    seen.add(next.id);
  }
}

/** Names of variables that an expression speaks of, among those that there are. */
export const spokenOf = (expression: string, values: Record<string, unknown>): [string, unknown][] => {
  const words = new Set(expression.replace(/"[^"]*"/g, "").match(/[\p{L}_][\p{L}\p{N}_]*/gu) ?? []);
  return Object.entries(values).filter(([name]) => words.has(name));
};

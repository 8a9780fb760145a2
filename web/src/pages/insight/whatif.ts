import type { BodyOf } from "~/api/types";

/** What is asked: people at elements, and scenarios that change them, as it stands in the fields of the form. */
export interface Asked {
  people: { element: string; count: string }[];
  every: string;
  scenarios: Scenario[];
  runs: string;
  instances: string;
  seed: string;
}
export interface Scenario {
  name: string;
  version: string;
  every: string;
  /** one for each element of `people`; empty: as in the base */
  counts: string[];
  more: string;
}
export interface Band {
  mean: number | null;
  from: number | null;
  to: number | null;
  least: number | null;
  most: number | null;
}
/** A row of the answer, which the document leaves open (docs/simulation.md). */
export interface Told {
  name: string;
  cycle_ms: Record<"mean" | "p50" | "p90" | "p95", Band>;
  throughput: Band;
  elements: Record<string, { count: number; waiting_ms: Band; working_ms: Band }>;
  resources: Record<string, Band>;
  unfinished: number;
  stuck: { why: string; count: number }[];
  against_base_ms?: Record<string, Band & { sure: boolean }>;
}

/** as many scenarios beside the base as the server takes */
export const SCENARIOS_MAX = 5;
export const RUNS_MAX = 50;
export const scenario = (n: number): Scenario => ({ name: `${n}`, version: "", every: "", counts: [], more: "" });
export const START: Asked = { people: [], every: "", scenarios: [], runs: "10", instances: "500", seed: "1" };

/** What an address asks; one that says nothing of it, or nonsense, asks nothing yet. */
export function read(text: string | undefined): Asked {
  try {
    const found = JSON.parse(text ?? "") as Partial<Asked>;
    const whole = { ...START, ...found };
    return Array.isArray(whole.people) && Array.isArray(whole.scenarios) && whole.scenarios.every((s) => Array.isArray(s.counts)) ? whole : START;
  } catch {
    return START;
  }
}

export const objectIn = (text: string): Record<string, unknown> | null => {
  if (!text.trim()) return {};
  try {
    const found: unknown = JSON.parse(text);
    return found && typeof found === "object" && !Array.isArray(found) ? (found as Record<string, unknown>) : null;
  } catch {
    return null;
  }
};

const whole = (text: string, most: number) => /^\d+$/.test(text.trim()) && Number(text) >= 1 && Number(text) <= most;
const EVERY = /^P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/;

export const sound = {
  count: (text: string) => whole(text, 10_000),
  every: (text: string) => !text.trim() || EVERY.test(text.trim()),
  runs: (text: string) => whole(text, RUNS_MAX),
  instances: (text: string) => whole(text, 5_000),
  seed: (text: string) => /^\d{1,9}$/.test(text.trim()),
};

export const ready = (a: Asked): boolean =>
  sound.runs(a.runs) && sound.instances(a.instances) && sound.seed(a.seed) && sound.every(a.every) && a.people.every((p) => p.element && sound.count(p.count)) &&
  a.scenarios.every((s) => s.name.trim() && sound.every(s.every) && objectIn(s.more) !== null && a.people.every((_, n) => !s.counts[n]?.trim() || sound.count(s.counts[n])));

const arrival = (every: string) => (every.trim() ? { arrival: { every: every.trim() } } : {});

/** As it is sent. Work at an element that people are named for waits for them, and no more as it was seen to. */
export function bodyOf(a: Asked, process: string, version: string | undefined): BodyOf<"POST", "/simulations"> {
  const named = a.people.length > 0;
  const plan = {
    instances: Number(a.instances),
    ...arrival(a.every),
    ...(named ? { elements: Object.fromEntries(a.people.map((p) => [p.element, { wait: null, resource: p.element }])), resources: Object.fromEntries(a.people.map((p) => [p.element, { count: Number(p.count) }])) } : {}),
  };
  const scenarios = a.scenarios.map((s) => {
    const changed = a.people.flatMap((p, n) => (s.counts[n]?.trim() ? [[p.element, { count: Number(s.counts[n]) }] as const] : []));
    return { name: s.name.trim(), version: Number(s.version || 0), changes: { ...(changed.length ? { resources: Object.fromEntries(changed) } : {}), ...arrival(s.every), ...(objectIn(s.more) ?? {}) } };
  });
  return { process, version: Number(version || 0), plan, scenarios, runs: Number(a.runs), seed: Number(a.seed), learn: true } as unknown as BodyOf<"POST", "/simulations">;
}

const TASKS = /Task$|^receiveTask$|^callActivity$/;

/** Elements of a model at which people can be: [id, name]. */
export function tasksOf(xml: string, process: string): { value: string; label: string }[] {
  const own = [...new DOMParser().parseFromString(xml, "text/xml").getElementsByTagNameNS("*", "process")].find((p) => p.getAttribute("id") === process);
  return [...(own?.getElementsByTagName("*") ?? [])]
    .filter((e) => e.namespaceURI === "http://www.omg.org/spec/BPMN/20100524/MODEL" && TASKS.test(e.localName) && e.getAttribute("id"))
    .map((e) => ({ value: e.getAttribute("id")!, label: e.getAttribute("name") || e.getAttribute("id")! }));
}

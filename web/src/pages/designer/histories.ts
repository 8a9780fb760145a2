/** What came of histories that were run against a draft: no drawing here. */
import type { HistoryExample, HistoryRun } from "~/api/types";
import type { Shown } from "~/designer/editor";

export const OUTCOMES = [
  { name: "same", color: "teal" },
  { name: "other_way", color: "blue" },
  { name: "waits", color: "yellow" },
  { name: "failed", color: "red" },
  { name: "other_values", color: "grape" },
  { name: "broken_off", color: "gray" },
  { name: "not_run", color: "gray" },
] as const;

/** How many differ first at each element; where any fails it is as an incident. */
export function shownOfHistories(found: HistoryRun | undefined): Shown | null {
  if (!found) return null;
  const active: Record<string, number> = {};
  const incidents = new Set<string>();
  for (const e of found.elements) {
    if (e.process !== found.process) continue;
    active[e.element] = (e.other_way ?? 0) + (e.waits ?? 0) + (e.failed ?? 0) + (e.other_values ?? 0);
    if (e.failed) incidents.add(e.element);
  }
  return { active, incidents };
}

/** In one line: where, from what to what, by which values, and what then. */
export function toldOf(e: HistoryExample): string {
  const values = Object.entries(e.values ?? {}).map(([name, [then, now]]) => (JSON.stringify(then) === JSON.stringify(now) ? `${name} ${JSON.stringify(now)}` : `${name} ${JSON.stringify(then)} → ${JSON.stringify(now)}`));
  const ways = [(e.recorded ?? []).join(", "), (e.now ?? []).join(", ")].filter(Boolean).join(" ⇒ ");
  return [e.element, ways, values.join(", "), e.message, e.then].filter(Boolean).join(" · ");
}

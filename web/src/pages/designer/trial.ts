/** What a run is made of, and what of it is shown: no drawing here. */
import type { Trial, TrialWait } from "~/api/types";
import type { Shown } from "~/designer/editor";

export type Step = Record<string, unknown>;

/** Tokens and what was reached, by element; of all instances of the processes that are drawn. */
export function shownOf(trial: Trial | undefined, processes: string[]): Shown | null {
  if (!trial) return null;
  const active: Record<string, number> = {};
  const incidents = new Set<string>();
  for (const i of trial.instances) {
    if (!processes.includes(i.process)) continue;
    for (const element of i.active) active[element] = (active[element] ?? 0) + 1;
    for (const one of i.incidents) incidents.add(one.element);
  }
  const covered: Record<string, number> = {};
  for (const c of trial.coverage) if (processes.includes(c.process)) Object.assign(covered, c.entered, c.taken);
  return { active, incidents, covered };
}

/** A step in few words. */
export function words(step: Step): string {
  const [verb = "", value] = Object.entries(step).find(([k]) => !["instance", "variables", "by", "message", "code"].includes(k)) ?? [];
  const what = verb === "throw" && step.code ? `${String(value)} (${String(step.code)})` : typeof value === "string" ? value : JSON.stringify(value);
  return `${verb} ${what}`.trim();
}

/** The step that answers what waits: done, sent, or the clock moved there. */
export function answerTo(w: TrialWait, variables: Record<string, unknown>, by = ""): Step {
  const given = Object.keys(variables).length > 0 ? { variables } : {};
  if (w.kind === "message") return { receive: w.name, instance: w.instance, ...given };
  if (w.kind === "signal") return { signal: w.name, ...given };
  if (w.kind === "timer") return { advance_to: w.due ?? "" };
  if (w.kind === "incident") return { resolve: 1, instance: w.instance };
  return { complete: w.element, instance: w.instance, ...given, ...(by ? { by } : {}) };
}

/** Texts of a JSON object; undefined: it is none. */
export function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const found: unknown = JSON.parse(text.trim() || "{}");
    return found && typeof found === "object" && !Array.isArray(found) ? (found as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

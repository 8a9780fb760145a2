import type { AnswerOf } from "~/api/types";

export const KINDS = ["sla", "time", "cost", "value"] as const;
export type Kind = (typeof KINDS)[number];
export type Promise_ = AnswerOf<"get", "/reports/sla">["items"][number];
/** A record under a name, as it was put (docs/insight.md). */
export interface Kpi {
  name: string;
  kind: Kind;
  title?: string;
  process?: string;
  element?: string;
  enabled?: boolean;
  [field: string]: unknown;
}

export type State = "late" | "at_risk" | "ok" | "none";

/** What is open now says it; nothing that is open, or known of it, is judged by the goal. */
export function stateOf(p: Promise_ | undefined): State {
  if (!p) return "none";
  if ((p.late ?? 0) > 0) return "late";
  if ((p.at_risk ?? 0) > 0) return "at_risk";
  if (p.met === false) return "at_risk";
  return p.count > 0 || (p.open ?? 0) > 0 ? "ok" : "none";
}

const ORDER: State[] = ["late", "at_risk", "ok", "none"];

/** What is late stands first; work by when it is due is a promise without a record. */
export function sorted(kpis: Kpi[], promises: Promise_[]): { kpi: Kpi; promise?: Promise_ }[] {
  const of = new Map(promises.map((p) => [p.name, p]));
  const due = promises.filter((p) => !kpis.some((k) => k.name === p.name)).map((p): Kpi => ({ name: p.name, kind: "sla", title: p.title, process: p.process, element: p.element }));
  return [...due, ...kpis].map((kpi) => ({ kpi, promise: of.get(kpi.name) })).sort((a, b) => ORDER.indexOf(stateOf(a.promise)) - ORDER.indexOf(stateOf(b.promise)) || (a.kpi.title ?? a.kpi.name).localeCompare(b.kpi.title ?? b.kpi.name));
}

/** A KPI as it stands in the fields of the form. */
export interface Wish {
  name: string;
  title: string;
  kind: Kind;
  process: string;
  element: string;
  of: string;
  within: string;
  goal: string;
  at_risk: string;
  calendar: string;
  at: string;
  value: string;
  unit: string;
  when: string;
  each: string;
  otherwise: string;
  enabled: boolean;
}

const text = (v: unknown) => (v === undefined || v === null ? "" : String(v as string));
const hundred = (v: unknown) => (typeof v === "number" ? String(Math.round(v * 1e6) / 1e4) : "");

export const wishOf = (k?: Kpi): Wish => ({
  name: k?.name ?? "",
  title: text(k?.title),
  kind: k?.kind ?? "sla",
  process: text(k?.process),
  element: text(k?.element),
  of: text(k?.of) || "cycle",
  within: text(k?.within) || (k ? "" : "P1D"),
  goal: hundred(k?.goal),
  at_risk: hundred(k?.at_risk),
  calendar: text(k?.calendar),
  at: text(k?.at) || "end",
  value: text(k?.value),
  unit: text(k?.unit),
  when: text(k?.when),
  each: k?.each ? JSON.stringify(k.each) : "",
  otherwise: text(k?.otherwise),
  enabled: k?.enabled !== false,
});

/** Fields of the form by kind, beside those that all have. */
export const FIELDS: Record<Kind, (keyof Wish)[]> = { sla: ["within", "goal", "at_risk", "of", "calendar", "element"], time: ["of", "calendar", "element"], cost: ["otherwise", "each", "unit"], value: ["value", "at", "unit", "element"] };
const OWN = new Set<string>(["name", "title", "kind", "process", "when", "enabled", ...Object.values(FIELDS).flat()]);
const NUMBER = /^\d+([.,]\d+)?$/;
const number = (v: string) => Number(v.trim().replace(",", "."));
const SPAN = /^P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/;

const rates = (v: string): Record<string, number> | undefined => {
  try {
    const found: unknown = JSON.parse(v);
    return found && typeof found === "object" && !Array.isArray(found) ? (found as Record<string, number>) : undefined;
  } catch {
    return undefined;
  }
};

/** What is wrong with a wish, by field: keys of texts. The server has the last word. */
export function wrongs(w: Wish): Partial<Record<keyof Wish, string>> {
  const found: Partial<Record<keyof Wish, string>> = {};
  if (!/^[^/]{1,100}$/.test(w.name.trim()) || w.name.trim() === "due") found.name = "kpis.wrong.name";
  if (w.kind === "sla" && !SPAN.test(w.within.trim())) found.within = "alerts.wrong.duration";
  for (const share of ["goal", "at_risk"] as const) if (w.kind === "sla" && w[share].trim() && !(NUMBER.test(w[share].trim()) && number(w[share]) > 0 && number(w[share]) <= 100)) found[share] = "kpis.wrong.share";
  if (w.kind === "value" && !w.value.trim()) found.value = "kpis.wrong.value";
  if (w.element.trim() && !w.process && FIELDS[w.kind].includes("element")) found.element = "kpis.wrong.element";
  if (w.kind === "cost" && w.otherwise.trim() && !NUMBER.test(w.otherwise.trim())) found.otherwise = "alerts.wrong.number";
  if (w.kind === "cost" && w.each.trim() && !rates(w.each)) found.each = "kpis.wrong.each";
  return found;
}

/** The record as it is sent; what the form has no field for stays as it was, where the kind does. */
export function recordOf(w: Wish, was?: Kpi): Record<string, unknown> {
  const kept = Object.fromEntries(Object.entries(was ?? {}).filter(([k]) => !OWN.has(k) && (was!.kind === w.kind || k === "by" || k === "values" || k === "description")));
  const own: Record<string, unknown> = {
    within: w.within.trim(), goal: w.goal.trim() && number(w.goal) / 100, at_risk: w.at_risk.trim() && number(w.at_risk) / 100, of: w.of === "cycle" ? "" : w.of, calendar: w.calendar.trim(), element: w.element.trim(),
    otherwise: w.otherwise.trim() && number(w.otherwise), each: w.each.trim() && rates(w.each), unit: w.unit.trim(), value: w.value.trim(), at: w.at === "end" ? "" : w.at,
  }; // prettier-ignore
  const found = { ...kept, kind: w.kind, title: w.title.trim(), process: w.process, when: w.when.trim(), ...Object.fromEntries(FIELDS[w.kind].map((f) => [f, own[f]])), ...(w.enabled ? {} : { enabled: false }) };
  return Object.fromEntries(Object.entries(found).filter(([, v]) => v !== "" && v !== undefined));
}

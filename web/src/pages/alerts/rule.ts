import type { BodyOf, RowOf } from "~/api/types";

export type Alert = RowOf<"/alerts">;
export type Rule = NonNullable<BodyOf<"post", `/alerts/${string}/test`>["rule"]>;

export const TIMES = ["cycle_time", "waiting_time", "working_time"];
export const LAG = "lag";
export const MEASURES = ["waiting_time", "cycle_time", "working_time", "failed", "errors", "error_rate", "incidents", "success_rate", "started", "completed", "ended", "throughput", "wip", "retries", "reworked", "recovered_share", LAG];
export const FIGURES = ["mean", "p50", "p75", "p90", "p95", "p99"];
export const GROUPS = ["process", "version", "element", "job_type"];
export const SEVERITIES = ["info", "warning", "critical"];

/** A rule as it stands in the fields of the form. */
export interface Wish {
  name: string;
  title: string;
  severity: string;
  measure: string;
  figure: string;
  process: string;
  element: string;
  group: string[];
  side: string;
  limit: string;
  window: string;
  for: string;
  keep: string;
  least: string;
  enabled: boolean;
}

const rest = new Set(["title", "severity", "measure", "figure", "process", "element", "group", "above", "below", "window", "for", "keep", "least", "enabled"]);
const several = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : value ? [String(value)] : []);
const text = (value: unknown, otherwise = "") => (value === undefined || value === null ? otherwise : String(value as string));

export function wishOf(row?: Alert): Wish {
  const rule = (row?.rule ?? {}) as Record<string, unknown>;
  return {
    name: row?.name ?? "",
    title: text(rule.title),
    severity: text(rule.severity, "warning"),
    measure: text(rule.measure, "waiting_time"),
    figure: text(rule.figure, "mean"),
    process: text(rule.process),
    element: text(rule.element),
    group: several(rule.group),
    side: "below" in rule ? "below" : "above",
    limit: text(rule.above ?? rule.below),
    window: text(rule.window, "PT1H"),
    for: text(rule.for),
    keep: text(rule.keep),
    least: text(rule.least),
    enabled: rule.enabled !== false,
  };
}

const NAME = /^[^/]{1,200}$/;
const DURATION = /^P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?$/;
const NUMBER = /^-?\d+([.,]\d+)?$/;
const timely = (measure: string) => TIMES.includes(measure) || measure === LAG;

/** What is wrong with a wish, by field: keys of texts. The server has the last word. */
export function wrongs(w: Wish): Partial<Record<keyof Wish, string>> {
  const found: Partial<Record<keyof Wish, string>> = {};
  if (!NAME.test(w.name.trim())) found.name = "alerts.wrong.name";
  if (!NUMBER.test(w.limit.trim()) && !(timely(w.measure) && DURATION.test(w.limit.trim()))) found.limit = timely(w.measure) ? "alerts.wrong.time" : "alerts.wrong.number";
  for (const field of ["window", "for", "keep"] as const) if (w[field].trim() && !DURATION.test(w[field].trim())) found[field] = "alerts.wrong.duration";
  if (w.least.trim() && !/^\d+$/.test(w.least.trim())) found.least = "alerts.wrong.number";
  return found;
}

/** The rule as it is sent; what the form has no field for stays as it was. */
export function ruleOf(w: Wish, row?: Alert): Rule {
  const kept = Object.fromEntries(Object.entries((row?.rule ?? {}) as Record<string, unknown>).filter(([k]) => !rest.has(k)));
  const limit = w.limit.trim();
  const wide = w.measure !== LAG;
  const found: Record<string, unknown> = {
    ...(wide ? kept : {}),
    measure: w.measure,
    severity: w.severity,
    [w.side]: NUMBER.test(limit) ? Number(limit.replace(",", ".")) : limit,
    title: w.title.trim() || undefined,
    figure: TIMES.includes(w.measure) ? w.figure : undefined,
    for: w.for.trim() || undefined,
    keep: w.keep.trim() || undefined,
    enabled: w.enabled ? undefined : false,
  };
  if (wide) Object.assign(found, { process: w.process.trim() || undefined, element: w.element.trim() || undefined, group: w.group.length ? w.group : undefined, window: w.window.trim() || undefined, least: w.least.trim() ? Number(w.least) : undefined });
  return Object.fromEntries(Object.entries(found).filter(([, v]) => v !== undefined)) as unknown as Rule;
}

/** A duration as ISO 8601 has it, in milliseconds; null: it is none. */
export function spanOf(value: unknown): number | null {
  if (typeof value !== "string" || !DURATION.test(value)) return null;
  const [, d, , h, m, s] = DURATION.exec(value)!;
  return [d, h, m, s].reduce((sum, part, k) => sum + (part ? parseInt(part) : 0) * [86_400_000, 3_600_000, 60_000, 1000][k]!, 0);
}

/** What its figure is told in. */
export const inTime = (measure: unknown) => TIMES.includes(text(measure));

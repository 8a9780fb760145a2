/** What the address asks for: a process, a time, a version. */
export type Search = Record<string, string>;

export const LASTS = { "1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000, "30d": 30 * 86_400_000, "90d": 90 * 86_400_000, "1y": 366 * 86_400_000 } as const;
export type Last = keyof typeof LASTS;
export const LAST: Last = "30d";
export const TABS = ["time", "heat", "bottlenecks", "variants", "compare", "predict", "forecast", "anomalies", "whatif", "advice"] as const;
/** What belongs together: on a phone they are chosen from a list. */
export const GROUPS = { was: ["time", "heat", "bottlenecks", "variants", "compare", "anomalies"], comes: ["predict", "forecast", "whatif", "advice"] } as const;
export const HEATS = ["frequency", "duration", "waiting", "errors"] as const;
export type Heat = (typeof HEATS)[number];

export interface Span {
  from?: string;
  to?: string;
}

const day = (text: string | undefined): Date | undefined => {
  const found = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text ?? "");
  const date = found && new Date(Number(found[1]), Number(found[2]) - 1, Number(found[3]));
  return date && !Number.isNaN(date.getTime()) && date.getFullYear() >= 1970 ? date : undefined;
};

/** A day of the reader's, as it stands in an address. */
export const textOf = (d: Date): string => `${d.getFullYear()}-${String(d.getMonth() + 1).padStart(2, "0")}-${String(d.getDate()).padStart(2, "0")}`;

export const lastOf = (search: Search): Last | undefined => (search.from || search.to ? undefined : search.last && search.last in LASTS ? (search.last as Last) : LAST);

const MINUTE_MS = 60_000;

/** Days are those of the reader, and `to` is the last of them; a `last` ends now, so no end is said, and begins with a minute: who asks twice within one asks the same. */
export function spanOf(search: Search, now: number): Span {
  const last = lastOf(search);
  if (last) return { from: new Date(Math.floor((now - LASTS[last]) / MINUTE_MS) * MINUTE_MS).toISOString() };
  const from = day(search.from);
  const to = day(search.to);
  to?.setDate(to.getDate() + 1);
  const end = to?.getTime() ?? now;
  const start = from?.getTime() ?? end - LASTS[LAST];
  return { from: new Date(Math.min(start, end - 60_000)).toISOString(), to: to?.toISOString() };
}

const WEEK_MS = 7 * 86_400_000;

/** A day to a week of the time asked for, its end: more at once isn't looked at. */
export function weekOf(search: Search, now: number): Search {
  const last = lastOf(search);
  if (last) return { ...search, last: last === "1h" || last === "24h" ? "24h" : "7d" };
  const to = day(search.to) ?? new Date(now);
  const first = new Date(to.getFullYear(), to.getMonth(), to.getDate() - 6);
  const end = new Date(to.getFullYear(), to.getMonth(), to.getDate() + 1).getTime();
  if (end - first.getTime() > WEEK_MS) first.setDate(first.getDate() + 1); // a day of it has 25 hours
  const from = day(search.from);
  const start = from && from > first ? from : first;
  return { ...search, from: textOf(start), to: textOf(start > to ? start : to) };
}

/** What the page's first part asks for of the measures: of all processes, or of one. */
export function measuresOf(search: Search, now: number): { whole: Record<string, string | undefined>; time: Record<string, string | undefined> } {
  const window = windowOf(spanOf(search, now), now);
  if (!search.process) return { whole: { group: "process", measure: "started,completed,failed,cancelled,terminated,wip,success_rate,cycle_time" }, time: { window, measure: "started,completed,failed,cancelled,terminated,wip" } };
  const filter = { process: search.process, version: search.version };
  return { whole: { ...filter, measure: OF_ONE }, time: { ...filter, window, measure: "started,completed,failed,cancelled,terminated,wip,cycle_time,waiting_time,working_time" } };
}
const OF_ONE = "started,completed,failed,cancelled,terminated,wip,success_rate,throughput,cycle_time,waiting_time,working_time,errors,retries,incidents,reworked";

/** Windows that a chart has some hundred of at most. */
export function windowOf(span: Span, now: number): "minute" | "hour" | "day" | "week" | "month" {
  const ms = (span.to ? Date.parse(span.to) : now) - Date.parse(span.from ?? new Date(now).toISOString());
  const hour = 3_600_000;
  return ms <= 4 * hour ? "minute" : ms <= 8 * 24 * hour ? "hour" : ms <= 120 * 24 * hour ? "day" : ms <= 800 * 24 * hour ? "week" : "month";
}

/** The beginning of a window as it stands below a chart. The server's windows are in UTC; days, weeks and months are shown as such, moments in the reader's zone. */
export function pointOf(at: string, window: string, language: string, span: Span = {}): string {
  const date = new Date(at);
  const long = span.from !== undefined && Date.now() - Date.parse(span.from) > 25 * 3_600_000;
  const fields: Intl.DateTimeFormatOptions =
    window === "minute" ? { hour: "2-digit", minute: "2-digit" } : window === "hour" ? { ...(long ? { day: "numeric", month: "numeric" } : {}), hour: "2-digit", minute: "2-digit" } : window === "month" ? { month: "short", year: "numeric", timeZone: "UTC" } : { day: "numeric", month: "short", timeZone: "UTC" };
  return new Intl.DateTimeFormat(language, fields).format(date);
}

/** One of six grades of heat; nothing is no heat. */
export const gradeOf = (heat: number) => (heat <= 0 ? undefined : Math.min(6, Math.max(1, Math.ceil(heat * 6))));

/** The instances that began in a window. */
export const instancesOf = (process: string, from: string, to: string): Search => ({ definition: process, started_from: from, started_to: to });

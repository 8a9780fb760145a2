import type { Series } from "~/chart/Chart";
import { pointOf } from "../asked";

export const MEASURES = ["started", "completed", "failed", "cancelled", "terminated", "ended", "throughput", "wip", "success_rate", "cycle_time", "waiting_time", "working_time", "working_share", "attempts", "errors", "error_rate", "retries", "recovered_share", "incidents", "reworked"] as const;
export const TIMES = ["cycle_time", "waiting_time", "working_time"];
export const TIME_FIGURES = ["mean", "p50", "p75", "p90", "p95", "p99"];
export const KPI_FIGURES = ["mean", "total", "count", "min", "max", "kept_share", "broken"];
export const GROUPS = ["process", "version", "element", "job_type"];
export const KPI_GROUPS = ["process", "version", "element", "value"];
export const WINDOWS = ["all", "minute", "hour", "day", "week", "month"];
export const LASTS = ["PT24H", "P7D", "P30D", "P90D", "P366D"];
export const CHARTS = ["table", "line", "bar", "pie", "number"];
export const MEASURES_MAX = 10;
/** lines or bars that are still told apart; the table below has all */
export const SERIES_MAX = 8;

/** A report as it is put (docs/insight.md). */
export interface Report {
  title?: string;
  description?: string;
  measure?: string | string[];
  kpi?: string;
  figure?: string;
  group?: string | string[];
  process?: string;
  version?: number;
  element?: string;
  job_type?: string;
  value?: string;
  window?: string;
  last?: string;
  chart?: string;
}
export type Saved = Report & { name: string };

/** A report as it stands in the fields of the form. */
export interface Wish {
  name: string;
  title: string;
  of: "measure" | "kpi";
  measure: string[];
  kpi: string;
  figure: string;
  group: string[];
  process: string;
  version: string;
  element: string;
  job_type: string;
  value: string;
  window: string;
  last: string;
  chart: string;
  description?: string;
}

const several = (v: unknown): string[] => (Array.isArray(v) ? v.map(String) : v ? [String(v)] : []);

export const wishOf = (r?: Partial<Saved>): Wish => ({
  name: r?.name ?? "",
  title: r?.title ?? "",
  of: r?.kpi ? "kpi" : "measure",
  measure: r ? several(r.measure) : ["started", "completed"],
  kpi: r?.kpi ?? "",
  figure: r?.figure ?? "",
  group: several(r?.group),
  process: r?.process ?? "",
  version: r?.version === undefined ? "" : String(r.version),
  element: r?.element ?? "",
  job_type: r?.job_type ?? "",
  value: r?.value ?? "",
  window: r?.window ?? (r ? "all" : "day"),
  last: r?.last ?? "P30D",
  chart: r?.chart ?? (r ? "table" : "line"),
  description: r?.description,
});

/** Figures that the wish may have; none: it has no choice. */
export const figuresOf = (w: Wish): string[] => (w.of === "kpi" ? KPI_FIGURES : w.measure.some((m) => TIMES.includes(m)) ? TIME_FIGURES : []);

export function recordOf(w: Wish): Report {
  const said = (v: string) => v.trim() || undefined;
  const figures = figuresOf(w);
  const found: Report = {
    title: said(w.title),
    description: w.description,
    ...(w.of === "kpi" ? { kpi: said(w.kpi) } : { measure: w.measure }),
    figure: figures.includes(w.figure) ? w.figure : undefined,
    group: w.group.length > 0 ? w.group : undefined,
    process: said(w.process),
    version: /^\d+$/.test(w.version.trim()) ? Number(w.version) : undefined,
    element: said(w.element),
    job_type: w.of === "kpi" ? undefined : said(w.job_type),
    value: w.of === "kpi" ? said(w.value) : undefined,
    window: w.window,
    last: said(w.last),
    chart: w.chart,
  };
  return Object.fromEntries(Object.entries(found).filter(([, v]) => v !== undefined)) as Report;
}

const NAME = /^[^/]{1,100}$/;
const DURATION = /^P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?)?$/;

/** What is wrong with a wish, by field: keys of texts. The server has the last word. */
export function wrongs(w: Wish): Partial<Record<keyof Wish, string>> {
  const found: Partial<Record<keyof Wish, string>> = {};
  const one = w.of === "kpi" || w.measure.length < 2;
  if (w.of === "measure" && w.measure.length === 0) found.measure = "reports.wrong.measure";
  if (w.of === "kpi" && !w.kpi) found.kpi = "reports.wrong.kpi";
  if (w.version.trim() && !/^\d+$/.test(w.version.trim())) found.version = "reports.wrong.version";
  else if (w.version.trim() && !w.process) found.version = "reports.wrong.version.process";
  if (!DURATION.test(w.last.trim())) found.last = "reports.wrong.last";
  if (w.chart === "line" && w.window === "all") found.chart = "reports.wrong.line";
  if ((w.chart === "number" || w.chart === "pie") && (w.window !== "all" || !one)) found.chart = "reports.wrong.one";
  if (w.chart === "number" && w.group.length > 0) found.chart = "reports.wrong.number";
  if (w.chart === "pie" && w.group.length === 0) found.chart = "reports.wrong.pie";
  return found;
}

export const nameWrong = (name: string) => (NAME.test(name.trim()) ? undefined : "reports.wrong.name");

export type Row = Record<string, string | number | null>;
/** What the server tells of a report. */
export interface Told {
  title: string;
  chart: string;
  window: string;
  group: string[];
  columns: string[];
  units: Record<string, string>;
  items: Row[];
  from: string;
  to: string;
  position?: string | null;
}

const COLORS = ["blue", "teal", "orange", "violet", "red", "gray"] as const;
export interface Drawn {
  unit: string;
  points: string[];
  series: Series[];
  /** behind each point: a row */
  rows: Row[];
  /** series that are left out */
  more: number;
}

export const groupOf = (row: Row, told: Told) => told.group.map((g) => (g === "version" ? `v${row[g]}` : String(row[g] ?? "–"))).join(" · ");

/** A chart for each unit: over the windows a line for each of the group and column, else a bar for each of the group. */
export function drawnOf(told: Told, language: string, nameOf: (column: string) => string): Drawn[] {
  const units = [...new Set(told.columns.map((c) => told.units[c] ?? ""))];
  const timed = told.window !== "all";
  return units.map((unit) => {
    const columns = told.columns.filter((c) => (told.units[c] ?? "") === unit);
    const at = [...new Set(told.items.map((r) => (timed ? String(r.from) : groupOf(r, told))))];
    const first = at.map((p) => told.items.find((r) => (timed ? r.from === p : groupOf(r, told) === p))!);
    const groups = timed ? [...new Set(told.items.map((r) => groupOf(r, told)))] : [""];
    const by = new Map(told.items.map((r) => [`${timed ? String(r.from) : ""}\u0000${groupOf(r, told)}`, r]));
    const all = groups.flatMap((group) =>
      columns.map((column) => ({
        name: [group, columns.length > 1 || !group ? nameOf(column) : ""].filter(Boolean).join(" · "),
        values: at.map((p) => {
          const v = by.get(timed ? `${p}\u0000${group}` : `\u0000${p}`)?.[column];
          return typeof v === "number" ? v : null;
        }),
      })),
    );
    const series = all.slice(0, SERIES_MAX).map((s, n): Series => ({ ...s, kind: told.chart === "line" ? "line" : "bar", color: COLORS[n % COLORS.length]! }));
    const points = timed ? at.map((p) => pointOf(p, told.window, language, { from: told.from })) : at.map((p) => p || nameOf(columns[0]!));
    return { unit, points, series, rows: first, more: all.length - series.length };
  });
}

/** The instances that began in a row's time, of its process where that is known. */
export function behind(row: Row, process?: string): Record<string, string> {
  const of = typeof row.process === "string" ? row.process : process;
  return { ...(of ? { definition: of } : {}), started_from: String(row.from), started_to: String(row.to) };
}

// --- schedules ----------------------------------------------------------------------------------------------------------

export interface Sending {
  name: string;
  when: string;
  at: string;
  cron: string;
  zone: string;
  catch_up: string;
  format: string;
  way: "mail" | "webhook";
  host: string;
  security: string;
  username: string;
  password: string;
  from: string;
  to: string;
  url: string;
  secret: string;
}

export const WHENS: Record<string, string> = { day: "* * *", weekdays: "* * MON-FRI", monday: "* * MON", month: "1 * *" };
const CRON = /^0?(\d{1,2}) (\d{1,2}) (.*)$/;
type Kept = Record<string, unknown> | undefined;
const text = (of: Kept, key: string, otherwise = "") => (of?.[key] === undefined || of[key] === null ? otherwise : String(of[key] as string));

export function sendingOf(name: string, spec?: Record<string, unknown>): Sending {
  const cron = text(spec, "cron", "0 7 * * MON");
  const m = CRON.exec(cron);
  const when = (m && Object.keys(WHENS).find((w) => WHENS[w] === m[3])) || "cron";
  const mail = spec?.mail as Kept;
  const hook = spec?.webhook as Kept;
  return {
    name,
    when,
    at: m ? `${m[2]!.padStart(2, "0")}:${m[1]!.padStart(2, "0")}` : "07:00",
    cron,
    zone: text(spec, "zone", spec ? "" : Intl.DateTimeFormat().resolvedOptions().timeZone),
    catch_up: text(spec, "catch_up", "last"),
    format: text(spec, "format", spec ? "csv" : "xlsx"),
    way: hook ? "webhook" : "mail",
    host: text(mail, "host"),
    security: text(mail, "security", "starttls"),
    username: text(mail, "username"),
    password: text(mail, "password"),
    from: text(mail, "from"),
    to: Array.isArray(mail?.to) ? mail.to.join("; ") : "",
    url: text(hook, "url"),
    secret: text(hook, "secret"),
  };
}

export const cronOf = (s: Sending): string => {
  if (s.when === "cron") return s.cron.trim();
  const [hour = "7", minute = "0"] = s.at.split(":");
  return `${Number(minute)} ${Number(hour)} ${WHENS[s.when] ?? ""}`;
};

/** What the form doesn't know stays as it was. */
export function specOf(s: Sending, was?: Record<string, unknown>): Record<string, unknown> {
  const filled = (given: Record<string, unknown>) => Object.fromEntries(Object.entries(given).filter(([, v]) => v !== "" && v !== undefined));
  const rest = Object.fromEntries(Object.entries(was ?? {}).filter(([k]) => ["except", "within"].includes(k)));
  const common = filled({ ...rest, cron: cronOf(s), zone: s.zone.trim(), catch_up: s.catch_up, format: s.format });
  if (s.way === "webhook") return { ...common, webhook: filled({ ...(was?.webhook as object), url: s.url.trim(), secret: s.secret.trim() }) };
  const to = s.to.split(/[;\n]/).map((a) => a.trim()).filter(Boolean);
  return { ...common, mail: filled({ ...(was?.mail as object), host: s.host.trim(), security: s.security, username: s.username.trim(), password: s.password.trim(), from: s.from.trim(), to }) };
}

const REFERENCE = /^\{\{\s*secrets\.[A-Za-z_][A-Za-z0-9_-]*\s*\}\}$/;

export function sendingWrongs(s: Sending): Partial<Record<keyof Sending, string>> {
  const found: Partial<Record<keyof Sending, string>> = {};
  if (s.when === "cron" ? !s.cron.trim() : !/^\d\d:\d\d$/.test(s.at)) found[s.when === "cron" ? "cron" : "at"] = "reports.wrong.needed";
  if (s.way === "webhook") {
    if (!/^https?:\/\/\S+$/.test(s.url.trim())) found.url = "reports.wrong.url";
    if (s.secret.trim() && !REFERENCE.test(s.secret.trim())) found.secret = "reports.wrong.secret";
    return found;
  }
  for (const field of ["host", "from", "to"] as const) if (!s[field].trim()) found[field] = "reports.wrong.needed";
  if (s.password.trim() && !REFERENCE.test(s.password.trim())) found.password = "reports.wrong.secret";
  return found;
}

import { describe, expect, test } from "vitest";
import { behind, cronOf, drawnOf, recordOf, sendingOf, sendingWrongs, SERIES_MAX, specOf, wishOf, wrongs, type Told } from "~/pages/insight/reports/report";

describe("a report in the form", () => {
  const report = { name: "weekly", title: "W", measure: ["started", "cycle_time"], figure: "p90", group: ["version"], process: "order", version: 2, window: "week", last: "P84D", chart: "line" };
  test("is the record that it was made from", () => expect({ name: "weekly", ...recordOf(wishOf(report)) }).toEqual(report));
  test("of a KPI has what a KPI has", () => expect(recordOf({ ...wishOf({ name: "k", kpi: "cost", figure: "total", value: "EU", chart: "bar" }), job_type: "x" })).toEqual({ kpi: "cost", figure: "total", value: "EU", window: "all", last: "P30D", chart: "bar" }));
  test("a figure that its measures have not is left out", () => expect(recordOf({ ...wishOf(report), measure: ["started"] }).figure).toBeUndefined());
  test.each([
    [{ measure: [] }, "measure"],
    [{ of: "kpi" as const, kpi: "" }, "kpi"],
    [{ version: "two" }, "version"],
    [{ process: "" }, "version"],
    [{ last: "a week" }, "last"],
    [{ window: "all" }, "chart"],
    [{ chart: "number" }, "chart"],
    [{ chart: "pie", window: "all", measure: ["wip"], group: [] }, "chart"],
    [{ chart: "number", window: "all", measure: ["wip"] }, "chart"],
  ])("%j is told at %s", (change, field) => expect(Object.keys(wrongs({ ...wishOf(report), ...change }))).toContain(field));
  test("a good one has nothing wrong", () => expect(wrongs(wishOf(report))).toEqual({}));
});

describe("what is drawn", () => {
  const row = (from: string, version: number, started: number | null, cycle_time: number) => ({ from, to: "z", process: "order", version, started, cycle_time });
  const told: Told = { title: "T", chart: "line", window: "day", group: ["process", "version"], columns: ["started", "cycle_time"], units: { started: "", cycle_time: "s" }, from: "2026-11-01T00:00:00Z", to: "2026-11-03T00:00:00Z", items: [row("2026-11-01T00:00:00Z", 1, 3, 10), row("2026-11-02T00:00:00Z", 1, null, 20), row("2026-11-01T00:00:00Z", 2, 5, 30), row("2026-11-02T00:00:00Z", 2, 6, 40)] };
  test("what has another unit has another chart, each group its line", () => {
    const [numbers, times] = drawnOf(told, "en", (c) => c);
    expect(numbers!.series.map((s) => [s.name, s.values])).toEqual([["order · v1", [3, null]], ["order · v2", [5, 6]]]);
    expect(times!.series.map((s) => s.values)).toEqual([[10, 20], [30, 40]]);
    expect(numbers!.points).toHaveLength(2);
  });
  test("of the whole time each group is a point", () => {
    const whole = { ...told, window: "all", chart: "bar", columns: ["started"], items: [row("2026-11-01T00:00:00Z", 1, 3, 1), row("2026-11-01T00:00:00Z", 2, 4, 1)] };
    const [drawn] = drawnOf(whole, "en", (c) => c);
    expect([drawn!.points, drawn!.series.map((s) => [s.kind, s.values])]).toEqual([["order · v1", "order · v2"], [["bar", [3, 4]]]]);
    expect(behind(drawn!.rows[1]!)).toEqual({ definition: "order", started_from: "2026-11-01T00:00:00Z", started_to: "z" });
  });
  test("more than can be told apart are counted", () => {
    const many = { ...told, columns: ["started"], items: Array.from({ length: SERIES_MAX + 3 }, (_, n) => row("2026-11-01T00:00:00Z", n, n, 1)) };
    expect(drawnOf(many, "en", (c) => c)[0]).toMatchObject({ more: 3 });
  });
});

describe("a schedule in the form", () => {
  const spec = { cron: "30 7 * * MON-FRI", zone: "Europe/Berlin", within: "P2D", catch_up: "last", format: "xlsx", mail: { host: "h", from: "a@b.c", to: ["c@d.e", "f@g.h"], port: 2525, security: "off", cc: ["x@y.z"] } };
  test("is the one that it was made from, also what the form doesn't know", () => expect(specOf(sendingOf("r", spec), spec)).toEqual(spec));
  test("a time of day is a cron text", () => expect([cronOf(sendingOf("r", spec)), sendingOf("r", spec).at]).toEqual(["30 7 * * MON-FRI", "07:30"]));
  test("any other cron text stays as it is", () => expect(cronOf(sendingOf("r", { ...spec, cron: "*/15 9-17 * * *" }))).toBe("*/15 9-17 * * *"));
  test("secrets are references", () => {
    expect(sendingWrongs({ ...sendingOf("r", spec), password: "hush" })).toHaveProperty("password");
    expect(sendingWrongs({ ...sendingOf("r", spec), password: "{{secrets.SMTP}}" })).toEqual({});
    expect(Object.keys(sendingWrongs({ ...sendingOf("r"), way: "webhook", secret: "s" }))).toEqual(["url", "secret"]);
  });
});

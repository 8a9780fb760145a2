import { describe, expect, it } from "vitest";
import { ruleOf, spanOf, wishOf, wrongs, type Alert } from "~/pages/alerts/rule";

const good = { ...wishOf(), name: "slow", limit: "PT2H" };
const row = (rule: Record<string, unknown>) => ({ name: "slow", rule }) as unknown as Alert;

describe("an alert as it is asked for", () => {
  it("says what is wrong, by field", () => {
    expect(wrongs(good)).toEqual({});
    expect(Object.keys(wrongs(wishOf())).sort()).toEqual(["limit", "name"]);
    expect(wrongs({ ...good, name: "a/b" }).name).toBe("alerts.wrong.name");
    expect(wrongs({ ...good, measure: "failed" }).limit).toBe("alerts.wrong.number");
    expect(wrongs({ ...good, limit: "P" }).limit).toBe("alerts.wrong.time");
    expect(wrongs({ ...good, for: "soon", least: "some" })).toEqual({ for: "alerts.wrong.duration", least: "alerts.wrong.number" });
  });
  it("sends what is said, and nothing of what isn't", () => {
    expect(ruleOf(good)).toEqual({ measure: "waiting_time", figure: "mean", above: "PT2H", severity: "warning", window: "PT1H" });
    expect(ruleOf({ ...good, measure: "error_rate", limit: "0,25", side: "below", enabled: false })).toEqual({ measure: "error_rate", below: 0.25, severity: "warning", window: "PT1H", enabled: false });
    expect(ruleOf({ ...good, measure: "lag", limit: "PT30S", process: "order" })).toEqual({ measure: "lag", above: "PT30S", severity: "warning" });
  });
  it("keeps what it has no field for, and gives back the rule that it was given", () => {
    const rule = { measure: "waiting_time", figure: "p90", process: "order", group: ["element"], below: 5, window: "PT4H", for: "PT1H", least: 5, severity: "info", title: "T", maintenance: [{ from: "22:00", to: "06:00" }], no_data: "keep" };
    expect(ruleOf(wishOf(row(rule)), row(rule))).toEqual(rule);
  });
  it("tells a duration by its length", () => {
    expect(["PT2H", "P1DT30M", "PT0S", "PT90S"].map(spanOf)).toEqual([7_200_000, 88_200_000, 0, 90_000]);
    expect(["P", "PT", "2h", 5, undefined].map(spanOf)).toEqual([null, null, null, null, null]);
  });
});

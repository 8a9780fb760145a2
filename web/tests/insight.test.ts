import { describe, expect, test } from "vitest";
import { gradeOf, lastOf, pointOf, spanOf, weekOf, windowOf } from "~/pages/insight/asked";

const now = Date.parse("2026-11-29T12:00:00Z");
const hours = (n: number) => ({ from: new Date(now - n * 3_600_000).toISOString() });

describe("the time in the address", () => {
  test("is the last 30 days where nothing is said, or nonsense", () => {
    expect(lastOf({})).toBe("30d");
    expect(lastOf({ last: "ever" })).toBe("30d");
    expect(spanOf({}, now)).toEqual({ from: "2026-10-30T12:00:00.000Z" });
  });
  test("of days has the last of them, and is never empty", () => {
    const span = spanOf({ from: "2026-01-01", to: "2026-01-02" }, now);
    expect(Date.parse(span.to!) - Date.parse(span.from!)).toBe(2 * 86_400_000);
    const turned = spanOf({ from: "2026-03-01", to: "2026-01-02" }, now);
    expect(Date.parse(turned.from!)).toBeLessThan(Date.parse(turned.to!));
  });
  test.each(["2026-13-45x", "yesterday", "0001-01-01"])("a day %s that is none is left out", (from) => expect(Date.parse(spanOf({ from }, now).from!)).toBe(now - 30 * 86_400_000));
  test("of what looks at a week is its last week, also of a week with a longer day", () => {
    expect(weekOf({}, now).last).toBe("7d");
    expect(weekOf({ last: "1h" }, now).last).toBe("24h");
    expect(weekOf({ from: "2026-01-01", to: "2026-01-31", process: "p" }, now)).toEqual({ from: "2026-01-25", to: "2026-01-31", process: "p" });
    expect(weekOf({ from: "2026-01-30", to: "2026-01-31" }, now)).toEqual({ from: "2026-01-30", to: "2026-01-31" });
    for (const asked of [{ to: "2026-10-26" }, { from: "2026-11-01" }, { from: "2026-01-05", to: "2026-01-01" }] as Record<string, string>[]) {
      const span = spanOf(weekOf(asked, now), now);
      const hours = (Date.parse(span.to!) - Date.parse(span.from!)) / 3_600_000;
      expect(hours).toBeGreaterThanOrEqual(23);
      expect(hours).toBeLessThanOrEqual(168);
    }
  });
  test("no request, chart or table gets more windows than can be read", () => {
    for (const n of [1, 4, 5, 24, 192, 193, 2880, 2881, 8784, 19_200, 90_000]) {
      const size = { minute: 1 / 60, hour: 1, day: 24, week: 168, month: 720 }[windowOf(hours(n), now)];
      expect(n / size).toBeLessThanOrEqual(260);
    }
  });
  test("days are told as the server counts them", () => expect(pointOf("2026-11-29T00:00:00Z", "day", "en")).toBe("Nov 29"));
});

test.each([
  [0, undefined],
  [0.001, 1],
  [0.5, 3],
  [1, 6],
])("a heat of %d is grade %s", (heat, grade) => expect(gradeOf(heat)).toBe(grade));

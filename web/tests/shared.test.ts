import { describe, expect, test } from "vitest";
import { query } from "~/api/client";
import { languages, textOf } from "~/i18n";
import { brief } from "~/shared/Json";
import { duration } from "~/shared/time";

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1000, "1 s"],
  [59_900, "59.9 s"],
  [60_000, "1 min"],
  [3_661_000, "1 h 1 min"],
  [90_000_000, "1 d 1 h"],
  [-1500, "−1.5 s"],
])("a duration of %d ms is %s", (ms, text) => expect(duration(ms)).toBe(text));

describe("languages", () => {
  test.each(Object.keys(languages))("%s has every text, and none besides", async (code) => {
    expect(Object.keys(await languages[code]!.load()).sort()).toEqual(Object.keys(await languages.en!.load()).sort());
  });
  test.each(Object.keys(languages))("%s keeps the places that are filled in", async (code) => {
    const texts = await languages[code]!.load();
    for (const [key, text] of Object.entries(await languages.en!.load())) expect([...texts[key]!.matchAll(/\{\w+\}/g)].map(String).sort(), key).toEqual([...text.matchAll(/\{\w+\}/g)].map(String).sort());
  });
  test("one and many", () => {
    expect(textOf("en", "home.partitions", { count: 1 })).toBe("1 partition");
    expect(textOf("en", "home.partitions", { count: 4 })).toBe("4 partitions");
  });
});

test("a query leaves out what is empty, and escapes the rest", () => expect(query({ a: "x y", b: undefined, c: "", "var.n[gt]": 3 })).toBe("?a=x+y&var.n%5Bgt%5D=3"));
test("a long value is cut", () => expect(brief("x".repeat(300), 10)).toHaveLength(11));

import { describe, expect, it } from "vitest";
import { tokenOf } from "~/app/embed";

const parent = {};
const allowed = ["https://portal.example.com"];
const good = { source: parent as MessageEventSource, origin: allowed[0]!, data: { type: "flowledger:token", token: "fl_abc" } };

describe("a token of the page around", () => {
  it("is taken from it alone", () => {
    expect(tokenOf(good, parent, allowed)).toBe("fl_abc");
    expect(tokenOf({ ...good, source: {} as MessageEventSource }, parent, allowed)).toBe("");
    expect(tokenOf({ ...good, origin: "https://portal.example.com.evil.test" }, parent, allowed)).toBe("");
    expect(tokenOf(good, parent, [])).toBe("");
  });
  it("is a text that fits into a header, of 8,192 characters at most", () => {
    for (const token of ["", "a b", "a\nb", "é", "x".repeat(8193), 7, null, undefined]) expect(tokenOf({ ...good, data: { type: "flowledger:token", token } }, parent, allowed)).toBe("");
    expect(tokenOf({ ...good, data: { type: "flowledger:token", token: "x".repeat(8192) } }, parent, allowed)).toHaveLength(8192);
    for (const data of [null, "fl_abc", { type: "other", token: "fl_abc" }]) expect(tokenOf({ ...good, data }, parent, allowed)).toBe("");
  });
});

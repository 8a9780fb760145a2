import { describe, expect, it } from "vitest";
import { fresh } from "~/app/notices";
import { elsewhere } from "~/pages/instance/elsewhere";

describe("notices", () => {
  it("tell what is new, and nothing at the first look", () => {
    const rows = [{ id: "1" }, { id: "2" }];
    expect(fresh(undefined, rows)).toEqual([]);
    expect(fresh(new Set(["1"]), rows)).toEqual([{ id: "2" }]);
    expect(fresh(new Set(["1", "2"]), rows)).toEqual([]);
  });
});

describe("the same value elsewhere", () => {
  it("is asked for as the list of instances reads it", () => {
    expect(elsewhere("colour", "red")).toEqual({ "var.colour": "red" });
    expect(elsewhere("amount", 5)).toEqual({ "var.amount": "5" });
    expect(elsewhere("open", false)).toEqual({ "var.open": "false" });
    expect(elsewhere("number", "17")).toEqual({ "var.number": '"17"' });
  });
  it("is not asked for where it can't be", () => {
    expect(elsewhere("order", { id: 1 })).toBeUndefined();
    expect(elsewhere("none", null)).toBeUndefined();
    expect(elsewhere("text", "x".repeat(201))).toBeUndefined();
    expect(elsewhere("a b", 1)).toBeUndefined();
  });
});

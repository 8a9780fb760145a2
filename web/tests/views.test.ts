import { describe, expect, it } from "vitest";
import { addressOf, filtersOf, groupsOf, shows } from "~/shared/views";

describe("saved views", () => {
  it("keep filters, not the place on the page", () => {
    expect(filtersOf({ status: "running", tab: "x", sort: "due", assignee: "" })).toEqual({ status: "running", sort: "due" });
  });
  it("become the address", () => {
    expect(addressOf({ query: { status: "running", any_group: ["a", "b"] } })).toEqual({ status: "running", any_group: "a,b" });
  });
  it("are recognised in an address, in any order and whole", () => {
    const view = { query: { status: "running", "var.a[gt]": "5" } };
    expect(shows({ "var.a[gt]": "5", status: "running", tab: "x" }, view)).toBe(true);
    expect(shows({ status: "running" }, view)).toBe(false);
    expect(shows({ status: "running", "var.a[gt]": "5", definition: "p" }, view)).toBe(false);
    expect(shows({}, { query: {} })).toBe(true);
  });
  it("are shared with groups, each once", () => {
    expect(groupsOf(" clerks, bosses,,clerks ")).toEqual(["clerks", "bosses"]);
  });
});

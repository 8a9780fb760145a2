import { describe, expect, it } from "vitest";
import { empty, read, write, type Groups } from "~/pages/instances/where";

const c = (path: string, op: Groups[0][0]["op"], value = "") => ({ path, op, value });

describe("conditions of a search", () => {
  it.each<[string, Groups, string]>([
    ["a number", [[c("order.amount", ">", "100")]], "order.amount > 100"],
    ["a text", [[c("tier", "=", "gold")]], 'tier = "gold"'],
    ["a text like a number", [[c("who", "=", '"7"')]], 'who = "7"'],
    ["and, or", [[c("a", "=", "1"), c("b", "!=", "x y")], [c("run.status", "in", "failed, running")]], 'a = 1 and b != "x y" or run.status in ["failed", "running"]'],
    ["calls", [[c("note", "contains", "100"), c("key", "starts with", 'a"b'), c("x", "is defined")]], 'contains(note, "100") and starts with(key, "a\\"b") and is defined(x)'],
    ["items and odd names", [[c("items[1].unit-price", "<=", "5")]], "items[1].`unit-price` <= 5"],
    ["a keyword", [[c("for", "=", "null")]], "`for` = null"],
    ["a comma in quotes", [[c("x", "in", '"a, b", c')]], 'x in ["a, b", "c"]'],
  ])("%s: written, and read as what says the same", (_, groups, text) => {
    expect(write(groups)).toBe(text);
    expect(write(read(text)!)).toBe(text);
  });
  it("leave out rows that aren't whole", () => {
    expect(write([[empty(), c("a", "=", "1")], [empty()], [c("b", "=", "")]])).toBe("a = 1");
    expect(write([[empty()]])).toBe("");
  });
  it.each(["", "a", "a = ", "(a = 1 or b = 2) and c = 3", "a between 1 and 2", "a in [1..2]", "my name = 1", "a = b", "not(a = 1)", "a = 1 and", "a = 1 or or b = 2", "a # b"])("stay a text where rows can't say it: %s", (text) => {
    expect(read(text)).toBeUndefined();
  });
});

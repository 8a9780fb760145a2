// @vitest-environment jsdom
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { changes, entries, fields, read, type Value, write } from "~/designer/together/flat";

const CASES = JSON.parse(readFileSync("../tests/designer/together.json", "utf8")) as {
  documents: { what: string; xml: string; table: Record<string, Value> }[];
  tables: { what: string; table: Record<string, Value>; xml: string }[];
  changes: { what: string; old: Record<string, Value>; new: Record<string, Value>; now: Record<string, Value>; changes: Record<string, Value | null> }[];
};

test.each(CASES.documents)("the table of a document: $what", ({ xml, table }) => {
  expect(Object.fromEntries(entries(read(xml)))).toEqual(table);
});
test.each(CASES.tables)("the document of a table: $what", ({ table, xml }) => {
  expect(write(fields(Object.entries(table)))).toBe(xml);
});
test.each(CASES.changes)("what changed: $what", (c) => {
  const of = (t: Record<string, Value>) => fields(Object.entries(t));
  expect(Object.fromEntries(changes(of(c.old), of(c.new), of(c.now)))).toEqual(c.changes);
});

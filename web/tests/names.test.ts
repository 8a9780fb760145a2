import { expect, test } from "vitest";
import { elementNames } from "~/pages/designer/names";

test("elements are called by their names, in one line that is not too long", () => {
  const xml = `<d xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"><process id="p" name="P"><task id="a" name="Check&#10;it"/><task id="b" name=" "/><task id="c"/><task id="l" name="${"x".repeat(81)}"/></process></d>`;
  expect([...elementNames(xml)]).toEqual([["p", "P"], ["a", "Check it"], ["l", `${"x".repeat(80)}…`]]);
});

test("steps, and a text that is being typed, name none", () => {
  expect(elementNames("steps: []").size).toBe(0);
  expect(elementNames("<d><a id=").size).toBe(0);
});

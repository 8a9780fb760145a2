import { expect, test } from "vitest";
import { inputsOf } from "~/pages/decisions/inputs";
import { placesOf } from "~/pages/operations/Partitions";
import { startForm } from "~/pages/processes/StartDialog";
import { urgency } from "~/pages/tasks/due";

const bpmn = (start: string) => `<d xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:z="http://camunda.org/schema/zeebe/1.0"><process id="p">${start}<subProcess id="s"><startEvent id="i"><extensionElements><z:formDefinition formId="inner"/></extensionElements></startEvent></subProcess></process></d>`;
const said = '<extensionElements><z:formDefinition formId="ask" bindingType="deployment"/></extensionElements>';

test("the plain start event's form, no other's", () => {
  expect(startForm(bpmn(`<startEvent id="a">${said}</startEvent>`), "p")).toEqual({ formId: "ask", bindingType: "deployment" });
  expect(startForm(bpmn(`<startEvent id="a">${said}<messageEventDefinition/></startEvent>`), "p")).toBeUndefined();
  expect(startForm(bpmn('<startEvent id="a"/>'), "p")).toBeUndefined();
  expect(startForm(bpmn(`<startEvent id="a">${said}</startEvent>`), "other")).toBeUndefined();
  expect(startForm("steps: []", "p")).toBeUndefined();
});

test("a decision's inputs are its input data, else what its columns ask for", () => {
  expect(inputsOf('<d><inputData name="amount"/><inputData name="risk"/><inputData name="amount"/></d>')).toEqual(["amount", "risk"]);
  expect(inputsOf("<d><inputExpression><text>amount</text></inputExpression><inputExpression><text>a + b</text></inputExpression></d>")).toEqual(["amount"]);
});

test("places of the log by partition", () => {
  expect(placesOf("0-41,12-7")).toEqual({ 0: 41, 12: 7 });
  expect(placesOf(null)).toEqual({});
});

test.each([
  [null, "none"],
  ["2026-01-01T00:00:00Z", "late"],
  ["2026-01-02T11:59:59Z", "soon"],
  ["2026-01-03T00:00:00Z", "later"],
])("due at %s is %s", (due, word) => expect(urgency(due, Date.parse("2026-01-01T12:00:00Z"))).toBe(word));

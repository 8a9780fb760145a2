import { expect, test } from "vitest";
import { said } from "~/i18n/findings";
import { findings } from "~/i18n/findings/de";

const found = { code: "FLOW_TWICE", message: "two flows join 'a' and 'b'", hint: "remove one of the two" };

test("a finding is said in the reader's language, with the server's sentence for its names", () => {
  expect(said(findings, found)).toEqual({
    what: "Zwei Flüsse ohne Bedingung verbinden dieselben zwei Knoten: es gehen zwei Token",
    detail: "two flows join 'a' and 'b'",
    hint: "einen der beiden entfernen",
  });
});

test("what no file has is said in the server's words, once", () => {
  expect(said(undefined, found)).toEqual({ what: found.message, hint: found.hint });
  expect(said(findings, { code: "OF_A_LATER_SERVER", message: "m", hint: null })).toEqual({ what: "m", hint: undefined });
});

test("a hint of markup stays", () => {
  expect(said(findings, { code: "LINK_NAME_MISSING", message: "m", hint: '<linkEventDefinition name="...">' }).hint).toBe('<linkEventDefinition name="...">');
});

import { expect, test } from "vitest";
import { translated } from "~/i18n/sentences";
import { findings } from "~/i18n/findings/de";
import { said } from "~/i18n/findings";
import { refusals } from "~/i18n/refusals/de";
import { german } from "~/i18n/german";

const word = (kind: string, value: string) => german[`${kind}.${value}`] ?? value;

test("a refusal is said with what the server put in, a status in words", () => {
  expect(translated(refusals, "can't cancel instance 17: it is completed", word)).toBe("Das geht mit Instanz 17 nicht: Status fertig");
  expect(translated(refusals, "task 4 is held by 'anna'", word)).toBe("„anna“ hat die Aufgabe 4");
});

test("the pattern that says most is taken: a general one fits too", () => {
  expect(translated(refusals, "where: expected at most 10 characters, found 12", word)).toBe("where: erwartet wurden höchstens 10 Zeichen, gefunden 12");
  expect(translated(refusals, "size: expected a number, found a text", word)).toBe("size: erwartet wurde a number, gefunden a text");
});

test("what no pattern fits stays as it is", () => {
  expect(translated(refusals, "a sentence of a later server", word)).toBeUndefined();
  expect(translated({ "a.b …": "x {1}" }, "aXb c", word)).toBeUndefined();
});

test("what is put in may hold signs of patterns and several lines", () => {
  expect(translated({ "expected '…', found …": "{2} statt {1}" }, "expected 'a.*$1', found (b)\nc", word)).toBe("(b)\nc statt a.*$1");
});

test("each sentence is found by its own pattern", () => {
  for (const [pattern, text] of Object.entries(refusals)) {
    const parts = pattern.split("…").length - 1;
    for (const [, n] of text.matchAll(/\{(\d+)/g)) expect(Number(n), pattern).toBeLessThanOrEqual(parts);
    const values = Array.from({ length: parts }, (_, n) => `#${n}`);
    const sentence = pattern.split("…").reduce((all, s, n) => all + s + (values[n] ?? ""), "");
    expect(translated(refusals, sentence, word), pattern).toBeDefined();
  }
});

test("of a code with several hints each is said by its own words", () => {
  const found = { code: "TYPE_CONFLICT", message: "x is not a number, which y is", hint: "the output is null" };
  expect(said(findings, found)).toEqual({ what: "Zwei Typen passen nicht zusammen", detail: found.message, hint: "die Ausgabe ist null" });
});

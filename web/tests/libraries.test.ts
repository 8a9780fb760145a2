import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FORM, PATTERNS } from "~/designer/german/form";
import { saidIn, spoken } from "~/designer/spoken";
import { translation, wordsOf } from "~/designer/translation";
import { GERMAN } from "~/dmn/german";
import { speaking } from "~/dmn/words";

const modules = join(__dirname, "..", "node_modules");
/** Words that are the same in both languages, or aren't shown (names of attributes, samples of JSON). */
const SAME = new Set(["name", "Name", "Text", "\"value\"", "\"value\", \"value\", ...", "Version", "Code", "DMN"]);

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? sources(path) : path.endsWith(".js") ? [readFileSync(path, "utf8")] : [];
  });
}

test("each text of the decision library has German words", () => {
  const said = new Set<string>();
  for (const part of readdirSync(modules).filter((name) => name.startsWith("dmn-js-")))
    for (const text of sources(join(modules, part, "lib"))) {
      for (const m of text.matchAll(/translate\((?:"([^"]+)"|'([^']+)')/g)) said.add((m[1] ?? m[2])!);
      for (const m of text.matchAll(/^\s+explanation: '([^']+)'/gm)) said.add(m[1]!);
    }
  expect(said.size).toBeGreaterThan(100); // the sources were found
  expect([...said].filter((text) => !(text in GERMAN) && !SAME.has(text))).toEqual([]);
});

test("the decision library is given them, with what stands in them", () => {
  const say = (language: string) => (speaking(language) as Record<string, { additionalModules: { translate: [string, (text: string, values?: Record<string, string>) => string] }[] }>).decisionTable!.additionalModules[0]!.translate[1];
  expect(say("de")("Hit policy:")).toBe("Trefferregel:");
  expect(say("de")("Function kind: {kind}", { kind: "FEEL" })).toBe("Art der Funktion: FEEL");
  expect(say("en")("Hit policy:")).toBe("Hit policy:");
});

test("each part that the form editor offers, and the groups of its properties, have German words", () => {
  const editor = readFileSync(join(modules, "@bpmn-io/form-js-editor/dist/index.es.js"), "utf8");
  const viewer = readFileSync(join(modules, "@bpmn-io/form-js-viewer/dist/index.es.js"), "utf8");
  const groups = editor.slice(editor.indexOf("const PALETTE_GROUPS"), editor.indexOf("const PALETTE_GROUPS") + 600);
  const said = new Set([
    ...[...groups.matchAll(/label: '([^']+)'/g)].map((m) => m[1]!),
    ...[...viewer.matchAll(/^ {2}(?:label|name): '([^']+)',\n(?: {2}\w+: [^\n]+\n)?(?: {2}group: )/gm)].map((m) => m[1]!),
    ...[...editor.matchAll(/id: '\w+',\n\s+label: '([^']+)',\n\s+(?:component|entries)/g)].map((m) => m[1]!),
  ]);
  expect(said.size).toBeGreaterThan(25);
  expect([...said].filter((text) => !(text in FORM) && !SAME.has(text))).toEqual([]);
});

test("the panel of a process speaks German", () => {
  for (const text of ["Process", "Select an element to edit its properties.", "Variable assignment value", "<none>", "Create new ...", "Job type"]) expect(translation("de")(text)).not.toBe(text);
});

test("what a library draws in English is said in German, and what an author wrote is left", async () => {
  const words = { texts: FORM, patterns: PATTERNS };
  expect(saidIn(words, "Create a Number element")).toBe("Zahl anlegen");
  expect(saidIn(words, "List contains 4 items")).toBe("Einträge: 4");
  expect(saidIn(wordsOf("de")!, "Toggle section")).toBe("Abschnitt öffnen oder schließen");
  expect(wordsOf("en")).toBeUndefined();
  const root = document.createElement("div");
  root.innerHTML = `<div class="fjs-palette"><span title="Create a Select element">Select</span></div><div class="fjs-form-container"><div><label>Number</label></div><div class="fjs-empty-editor"><h2>Build your form</h2></div></div>`;
  const end = spoken(root, words);
  expect(root.querySelector("span")!.outerHTML).toBe('<span title="Auswahl anlegen">Auswahl</span>');
  expect(root.querySelector("label")!.textContent).toBe("Number");
  expect(root.querySelector("h2")!.textContent).toBe("Ihr Formular");
  const later = document.createElement("p");
  later.textContent = "Required";
  root.append(later);
  await Promise.resolve();
  expect(later.textContent).toBe("Pflicht");
  end();
  later.textContent = "Key";
  await Promise.resolve();
  expect(later.textContent).toBe("Key");
});

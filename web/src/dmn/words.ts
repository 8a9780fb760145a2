import { GERMAN } from "./german";

const TEXTS: Record<string, Record<string, string>> = { de: GERMAN };

const said =
  (language: string) =>
  (template: string, values: Record<string, string> = {}) =>
    (TEXTS[language]?.[template] ?? template).replace(/{\s*([^}\s]+)\s*}/g, (whole, key: string) => values[key] ?? whole);

/** What makes dmn-js speak a language: options for its viewers and its modeler; one set for each of the views they are made of. */
export const speaking = (language: string) => ({ common: { additionalModules: [] }, ...Object.fromEntries(["drd", "decisionTable", "literalExpression", "boxedExpression"].map((view) => [view, { additionalModules: [{ translate: ["value", said(language)] }] }])) });

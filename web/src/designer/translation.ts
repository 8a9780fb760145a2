import de from "bpmn-js-i18n/translations/de.js";

/** Texts of the drawing library by language; English is what it speaks by itself. */
const TEXTS: Record<string, Record<string, string>> = { de: de as Record<string, string> };

export const translation =
  (language: string) =>
  (template: string, values: Record<string, string> = {}) =>
    (TEXTS[language]?.[template] ?? template).replace(/{([^}]+)}/g, (_, key: string) => values[key] ?? `{${key}}`);

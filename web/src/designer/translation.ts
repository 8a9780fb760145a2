import de from "bpmn-js-i18n/translations/de.js";
import { PATTERNS } from "./german/form";
import { PANEL } from "./german/panel";
import type { Words } from "./spoken";

/** Texts of the drawing library by language; English is what it speaks by itself. */
const TEXTS: Record<string, Record<string, string>> = { de: { ...PANEL, ...(de as Record<string, string>) } };

export const translation =
  (language: string) =>
  (template: string, values: Record<string, string> = {}) =>
    (TEXTS[language]?.[template] ?? template).replace(/{([^}]+)}/g, (_, key: string) => values[key] ?? `{${key}}`);

/** The same for what the panel says past its own translation: hints at its sections, lists and fields. */
export const wordsOf = (language: string): Words | undefined => TEXTS[language] && { texts: TEXTS[language], patterns: PATTERNS };

import { useCallback } from "react";
import type { Template } from "~/designer/templates";
import { useLoaded } from "./loaded";

type Texts = Record<string, string>;

/** The server has connectors and their element templates in English; in other languages a file has them by their words. */
const FILES: Record<string, () => Promise<Texts>> = { de: async () => (await import("./connectors/de")).connectors };

/** Says what a connector says of itself in the reader's language; until its file is there, and if it can't be had, in the server's words. */
export function useConnectorText(): (text: string) => string {
  const texts = useLoaded(FILES);
  return useCallback((text) => texts?.[text] ?? text, [texts]);
}

type Said = { label?: string; description?: string; name?: string };
const SAID = ["name", "label", "description"] as const;

/** A template in the words of a file: what is shown of it, nothing that it does. What a file doesn't have stays as it is. */
export function inWords(texts: Texts, template: Template): Template {
  const words = <T extends Said>(of: T): T => ({ ...of, ...Object.fromEntries(SAID.flatMap((k) => (typeof of[k] === "string" && of[k] in texts ? [[k, texts[of[k]]]] : []))) });
  const field = (of: unknown) => {
    const found = words(of as Said & { choices?: Said[] });
    return found.choices ? { ...found, choices: found.choices.map(words) } : found;
  };
  return { ...words(template), properties: template.properties.map(field), ...(Array.isArray(template.groups) ? { groups: (template.groups as Said[]).map(words) } : {}) };
}

/** The same for where no part of a page is drawn. */
export async function wordsOfConnectors(language: string): Promise<(template: Template) => Template> {
  const texts = await FILES[language]?.().catch(() => undefined);
  return (template) => (texts ? inWords(texts, template) : template);
}

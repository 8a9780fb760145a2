/** Element templates: those of the server's connectors, and files that this browser was given (Camunda's JSON format). */
import { get } from "~/api/client";
import { wordsOfConnectors } from "~/i18n/connectors";
import { storage } from "~/shared/storage";

export interface Template {
  id: string;
  name: string;
  description?: string;
  version?: number;
  appliesTo: string[];
  properties: unknown[];
  [key: string]: unknown;
}

const KEY = "flowledger.templates";
const MOST = 200;
let fromServer: Promise<Template[]> | undefined;

async function ofConnectors(): Promise<Template[]> {
  const { items } = await get("/connectors", { templates: true });
  return items.map((c) => c.template as unknown as Template);
}

export function own(): Template[] {
  try {
    return JSON.parse(storage.getItem(KEY) ?? "[]") as Template[];
  } catch {
    return [];
  }
}

/** One or a list of them. Throws with what was expected. */
export function read(text: string): Template[] {
  const found: unknown = JSON.parse(text);
  const all = (Array.isArray(found) ? found : [found]) as Template[];
  for (const one of all)
    if (!one || typeof one !== "object" || typeof one.id !== "string" || typeof one.name !== "string" || !Array.isArray(one.appliesTo) || !Array.isArray(one.properties))
      throw new Error("id, name, appliesTo, properties");
  return all;
}

export function add(more: Template[]) {
  const kept = own().filter((o) => !more.some((n) => n.id === o.id && n.version === o.version));
  storage.setItem(KEY, JSON.stringify([...kept, ...more].slice(-MOST)));
}

/** Those of connectors in the reader's language. A server that does not answer leaves those of this browser. */
export async function templates(language: string): Promise<Template[]> {
  fromServer ??= ofConnectors().catch(() => {
    fromServer = undefined;
    return [];
  });
  const [ofServer, words] = await Promise.all([fromServer, wordsOfConnectors(language)]);
  return [...ofServer.map(words), ...own()];
}

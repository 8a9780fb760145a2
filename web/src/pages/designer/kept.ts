import { keys, storage } from "~/shared/storage";

/** What was drawn and not saved yet, kept in this browser: nothing is lost with the tab, the connection or the session. */
const PREFIX = "flowledger.design.";
/** drawings kept at most; the oldest go first */
const MOST = 20;

export interface Kept {
  at: number;
  /** the version that it was drawn on */
  base: number;
  text: string;
}

export function read(id: string): Kept | undefined {
  try {
    const found = JSON.parse(storage.getItem(PREFIX + id) ?? "null") as Kept | null;
    return found && typeof found.text === "string" && typeof found.base === "number" ? found : undefined;
  } catch {
    return undefined;
  }
}

/** False: the browser's store is full, or there is none. */
export function keep(id: string, base: number, text: string): boolean {
  try {
    const others = keys().filter((k) => k.startsWith(PREFIX) && k !== PREFIX + id);
    const age = (key: string) => read(key.slice(PREFIX.length))?.at ?? 0;
    if (others.length >= MOST) for (const old of others.sort((a, b) => age(a) - age(b)).slice(0, others.length - MOST + 1)) storage.removeItem(old);
    storage.setItem(PREFIX + id, JSON.stringify({ at: Date.now(), base, text } satisfies Kept));
    return true;
  } catch {
    return false;
  }
}

export const forget = (id: string) => storage.removeItem(PREFIX + id);

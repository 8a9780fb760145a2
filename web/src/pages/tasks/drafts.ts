import { keys, storage } from "~/shared/storage";

/** What one typed and did not send, kept in this browser until it is sent or thrown away: nothing is lost with the tab or the connection. */
const PREFIX = "flowledger.draft.";
/** drafts kept at most; the oldest go first */
const MOST = 50;
const DELAY_MS = 400;

interface Kept {
  at: number;
  values: Record<string, unknown>;
}

const waiting = new Map<string, { timer: ReturnType<typeof setTimeout>; values: Record<string, unknown> }>();

export function read(place: string): Record<string, unknown> | undefined {
  try {
    return (JSON.parse(storage.getItem(PREFIX + place) ?? "null") as Kept | null)?.values;
  } catch {
    return undefined;
  }
}

export function keep(place: string, values: Record<string, unknown>) {
  clearTimeout(waiting.get(place)?.timer);
  waiting.set(place, { values, timer: setTimeout(() => flush(place), DELAY_MS) });
}

export function flush(place: string) {
  const entry = waiting.get(place);
  if (!entry) return;
  clearTimeout(entry.timer);
  waiting.delete(place);
  const names = keys().filter((k) => k.startsWith(PREFIX));
  const age = (k: string) => {
    try {
      return (JSON.parse(storage.getItem(k) ?? "{}") as Partial<Kept>).at ?? 0;
    } catch {
      return 0;
    }
  };
  if (names.length >= MOST) for (const k of names.sort((a, b) => age(a) - age(b)).slice(0, names.length - MOST + 1)) storage.removeItem(k);
  try {
    storage.setItem(PREFIX + place, JSON.stringify({ at: Date.now(), values: entry.values } satisfies Kept));
  } catch {
    return; // the browser's store is full: the draft on the server is the other way
  }
}

export function forget(place: string) {
  clearTimeout(waiting.get(place)?.timer);
  waiting.delete(place);
  storage.removeItem(PREFIX + place);
}

// the page is left before the time is up: what was typed last is kept as well
if (typeof window !== "undefined") window.addEventListener("pagehide", () => [...waiting.keys()].forEach(flush));

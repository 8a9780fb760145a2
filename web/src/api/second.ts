/**
 * What waits for a second person, as it was asked: the server keeps its digest alone, so who asked keeps the words, in this browser, until it was done or is over.
 * The same request once more, from wherever it is sent, is then the one that was approved (`X-Approval`).
 */
import { storage } from "~/shared/storage";
import { actor } from "./who";

export interface Asked {
  method: string;
  /** with its query; what was approved is this very text */
  url: string;
  body?: string;
  /** of the request, beside those that say who asks */
  more?: Record<string, string>;
}

export interface Kept extends Asked {
  approval: string;
  by: string;
  /** the page on which it was asked for, and when (ms) */
  at: string;
  since: number;
  /** id of the request that carries it out: a repeat after a lost answer does nothing twice */
  key: string;
}

const KEY = "flowledger.second";
/** kept at most, the oldest go first; characters of a reason that goes as a header */
export const KEPT_MAX = 50;
const REASON_MAX = 400;

/** Where the browser keeps nothing more, this page does. */
let here: Kept[] | undefined;

function all(): Kept[] {
  if (here) return here;
  try {
    const found: unknown = JSON.parse(storage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? (found as Kept[]) : [];
  } catch {
    return [];
  }
}

function store(rows: Kept[]) {
  const last = rows.slice(-KEPT_MAX);
  try {
    storage.setItem(KEY, JSON.stringify(last));
    here = undefined;
  } catch {
    here = last;
  }
}

/** Those of who acts. */
export const kept = (): Kept[] => all().filter((k) => k.by === actor());

export const keptOf = (asked: Asked): Kept | undefined => kept().findLast((k) => k.method === asked.method && k.url === asked.url && k.body === asked.body);

export function keep(asked: Asked, approval: string) {
  if (/^\/v1\/(session|me)\b/.test(asked.url)) return; // a password is kept nowhere
  const row: Kept = { ...asked, approval, by: actor(), at: location.pathname + location.search, since: Date.now(), key: crypto.randomUUID() };
  store([...all().filter((k) => k.approval !== approval), row]);
}

export function forget(approval: string) {
  const rows = all();
  if (rows.some((k) => k.approval === approval)) store(rows.filter((k) => k.approval !== approval));
}

/** Why it is asked for, to be read by who decides: the reason that goes with it anyway. */
export function reasonOf(body: string | undefined): Record<string, string> {
  try {
    const { reason } = JSON.parse(body ?? "{}") as { reason?: unknown };
    return typeof reason === "string" && reason ? { "X-Reason": encodeURIComponent([...reason].slice(0, REASON_MAX).join("")) } : {};
  } catch {
    return {}; // no object, or half a character: then without
  }
}

/** What the digest of an approval is of (`api/approvals.py`), as SHA-256. */
export async function digestOf(asked: Asked): Promise<string> {
  const [path = "", query = ""] = asked.url.split(/\?(.*)/s);
  const text = `${asked.method}\n${decodeURIComponent(path)}\n${query}\n${asked.body ?? ""}`;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(hash)].map((b) => b.toString(16).padStart(2, "0")).join("");
}

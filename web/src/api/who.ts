import { storage } from "~/shared/storage";

/**
 * Who acts. Without sign-in it is a name that the person gives; with it, what the server says (`GET /v1/me`). One place to ask.
 * `undefined`: not asked yet; `null`: nobody has signed in, and the server wants that.
 */
export interface Me {
  auth: string;
  kind: string;
  name: string;
  roles: string[];
  rights: string[];
  csrf: string | null;
  /** operations that wait until somebody else has approved them */
  second_person: string[];
}
const KEY = "flowledger.actor";
const watchers = new Set<() => void>();
let me: Me | null | undefined;
/** In a frame of another page: what stands for the person, instead of a cookie. */
let token = "";

/** A right by its name. Without sign-in everybody has it; who isn't known yet has none. */
export const has = (right: string) => me !== undefined && me !== null && (me.auth === "none" || me.rights.includes(right));

export const signedIn = () => (me && me.auth !== "none" ? me : undefined);
export const actor = () => signedIn()?.name ?? storage.getItem(KEY) ?? "";

/** What each request says of who acts: without sign-in the name, with it the token that only pages of the server know. */
export function proof(): Record<string, string> {
  if (token) return { Authorization: `Bearer ${token}` };
  const person = signedIn();
  if (person) return person.csrf ? { "X-CSRF-Token": person.csrf } : {};
  const who = actor();
  return who ? { "X-Actor": encodeURIComponent(who) === who ? who : who.normalize("NFKD").replace(/[^\x21-\x7e]/g, "") } : {};
}

export function told(found: Me | null) {
  me = found;
  watchers.forEach((f) => f());
}

export function bearer(given: string) {
  token = given;
}
/** Browsers give no header to an `EventSource`, and none to a WebSocket. */
export const byToken = () => token !== "";

/** The session ended by itself, with pages open: they wait for whose they are. */
let ended = false;
export const endedAmid = () => ended;

/** The server doesn't know us (any more). */
export function unknown() {
  token = "";
  if (!signedIn()) return;
  ended = true;
  told(null);
}

/** Somebody has gone, and leaves nothing on the screen. */
export function gone() {
  ended = false;
  told(null);
}

export function setActor(name: string) {
  storage.setItem(KEY, name);
  watchers.forEach((f) => f());
}

export const subscribe = (f: () => void) => {
  watchers.add(f);
  return () => watchers.delete(f);
};
export const known = () => me;

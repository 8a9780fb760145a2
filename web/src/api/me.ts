import { useSyncExternalStore } from "react";
import { storage } from "~/shared/storage";

/**
 * Who acts. Without sign-in it is a name that the person gives; with it, what the server says (`GET /v1/me`). One place to ask.
 * `undefined`: not asked yet; `null`: nobody has signed in, and the server wants that.
 */
export interface Me {
  auth: string;
  name: string;
  roles: string[];
  rights: string[];
  csrf: string | null;
}
const KEY = "flowledger.actor";
const watchers = new Set<() => void>();
let me: Me | null | undefined;
/** In a frame of another page: what stands for the person, instead of a cookie. */
let token = "";

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

/** The server doesn't know us (any more). */
export function unknown() {
  token = "";
  if (signedIn()) told(null);
}

export function setActor(name: string) {
  storage.setItem(KEY, name);
  watchers.forEach((f) => f());
}

const subscribe = (f: () => void) => {
  watchers.add(f);
  return () => watchers.delete(f);
};

export const useSignIn = () => useSyncExternalStore(subscribe, () => me);

export function useMe() {
  const name = useSyncExternalStore(subscribe, actor);
  return { actor: name, setActor };
}

const NEEDS = {
  repair: "incidents:resolve",
  task: "tasks:work",
  manage: "tasks:manage",
  start: "instances:start",
  author: "definitions:write",
  control: "instances:control",
  letters: "letters:control",
  batches: "batches:write",
  hold: "holds:control",
  triggers: "triggers:read",
  trigger: "triggers:control",
  rollout: "definitions:rollout",
  watch: "watchdog:read",
  mend: "watchdog:repair",
  log: "operations:read",
  users: "users:read",
  accounts: "users:write",
  keys: "keys:own",
  limits: "limits:write",
  incidents: "incidents:read",
  decisions: "decisions:read",
  workers: "workers:read",
  remove: "instances:delete",
  remark: "instances:comment",
  views: "views:own",
  hooks: "webhooks:read",
  hook: "webhooks:control",
  hookWrite: "webhooks:write",
  insight: "insight:read",
  alerts: "alerts:read",
  alertWrite: "alerts:write",
  tenants: "tenants:read",
  tenantsWrite: "tenants:write",
  directory: "directory:write",
  settings: "settings:read",
  models: "definitions:read",
  people: "directory:read",
} as const;

/** May this person do that? Without sign-in everybody may. Every page asks here and nowhere else; the server has the last word. */
export function useMay(operation: keyof typeof NEEDS, _subject?: unknown): boolean {
  const person = useSignIn();
  return !person || person.auth === "none" || person.rights.includes(NEEDS[operation]);
}

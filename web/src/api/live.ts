import { useQueryClient, type QueryClient, type QueryKey } from "@tanstack/react-query";
import { useEffect, useRef, useSyncExternalStore } from "react";
import { expect, query } from "./client";
import { byToken } from "./me";

export interface LiveEvent {
  id: string;
  type: string;
  time: string;
  instance?: string;
  actor?: string;
  cursor?: string;
  [field: string]: unknown;
}

/** Loaded when a token stands for the person (a frame of another page). */
let Tokened: (new (url: string) => EventSource) | undefined;

export type Connection = "connecting" | "live" | "lost";
let connection: Connection = "connecting";
const watchers = new Set<() => void>();
function told(c: Connection) {
  if (connection === c) return;
  connection = c;
  watchers.forEach((f) => f());
}

/** How many on this page listen; when the last has gone, and no other has come in its place, nothing is told as it happens any more. */
let listening = 0;
const STILL_MS = 1_000;

export const useConnection = () =>
  useSyncExternalStore(
    (f) => {
      watchers.add(f);
      return () => watchers.delete(f);
    },
    () => connection,
  );

export interface Filter {
  instance?: string;
  definition?: string;
  task?: string;
  type?: string;
}

/**
 * Events as they happen. The browser comes back with the last id by itself (`Last-Event-ID`); a tab that is hidden hangs up,
 * and is told once when it is seen again (`unseen`: it stays). Events come in batches, one per animation frame. An empty batch says that they come from here
 * on: at the first opening `begins` is the place of the log up to which none were told, for `askAgain`; after a break it is empty.
 */
export function useEvents(filter: Filter, take: (events: LiveEvent[], begins: string) => void, enabled = true, unseen = false) {
  const latest = useRef(take);
  latest.current = take;
  const key = query({ ...filter });
  useEffect(() => {
    if (!enabled) return;
    let source: EventSource | undefined;
    let waiting: LiveEvent[] = [];
    let frame = 0;
    let cursor = "";
    let begins = "";
    let again: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const flush = () => {
      frame = 0;
      const batch = waiting;
      waiting = [];
      for (const event of batch) expect(event.id);
      latest.current(batch, batch.length === 0 ? begins : "");
      begins = "";
    };
    const open = () => {
      if (over || source || (document.hidden && !unseen)) return;
      const params = query({ ...filter, position: cursor || undefined });
      if (byToken() && !Tokened) {
        void import("./tokened").then((m) => ((Tokened = m.Tokened), open()));
        return;
      }
      source = byToken() && Tokened ? new Tokened(`/v1/events${params}`) : new EventSource(`/v1/events${params}`);
      source.onopen = () => told("live");
      source.onerror = () => {
        told("lost");
        source?.close();
        source = undefined;
        again = setTimeout(open, 1500);
      };
      const on = (message: MessageEvent<string>) => {
        told("live");
        if (message.type === "subscribed") {
          begins = cursor ? "" : message.lastEventId;
          expect(message.lastEventId); // what came after the page's first look and before here is told to nobody
        }
        if (message.lastEventId) cursor = message.lastEventId;
        try {
          const event = JSON.parse(message.data) as LiveEvent;
          if (event.cursor) cursor = event.cursor;
          if (event.type && event.type !== "subscribed") waiting.push(event);
        } catch {
          return; // a comment or a sign of life
        }
        if (!document.hidden) frame ||= requestAnimationFrame(flush);
        else if (unseen) flush(); // nothing is drawn: no frame comes
      };
      source.onmessage = on;
      for (const type of EVENT_TYPES) source.addEventListener(type, on as EventListener);
    };
    const seen = () => {
      if (document.hidden && unseen) return;
      if (document.hidden) {
        source?.close();
        source = undefined;
      } else open();
    };
    listening += 1;
    open();
    document.addEventListener("visibilitychange", seen);
    return () => {
      over = true;
      listening -= 1;
      setTimeout(() => listening === 0 && told("connecting"), STILL_MS);
      document.removeEventListener("visibilitychange", seen);
      clearTimeout(again);
      cancelAnimationFrame(frame);
      source?.close();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key, enabled]);
}

/** Whether an answer (of a list: each of its pages) is true up to a place of the log; one that doesn't say isn't. */
export function covers(answer: unknown, place: string): boolean {
  if (!answer || typeof answer !== "object") return false;
  if ("pages" in answer && Array.isArray(answer.pages)) return answer.pages.length > 0 && answer.pages.every((page) => covers(page, place));
  const told = ["read_to", "position"].map((name) => (answer as Record<string, unknown>)[name]).find((text) => typeof text === "string");
  if (told === undefined) return false;
  const offsets = (text: string) => new Map(text.split(",").filter(Boolean).map((part) => part.split("-") as [string, string]));
  const known = offsets(told as string);
  return [...offsets(place)].every(([partition, offset]) => Number(known.get(partition) ?? -1) >= Number(offset));
}

/**
 * Ask these again. What is asked for the first time just now is waited for, and then asked again: its answer may be of before the news, and an invalidation
 * alone leaves a first question as it is. `begins`: there are no news, they are told from this place on; what was answered later than that stays.
 */
export async function askAgain(client: QueryClient, queryKey: QueryKey, exact = false, begins = "") {
  if (begins) {
    const asked = client.getQueryCache().findAll({ queryKey, exact, fetchStatus: "fetching" });
    await Promise.allSettled(asked.map((q) => q.fetch())); // the answer that is on its way
    return client.invalidateQueries({ queryKey, exact, predicate: (q) => !covers(q.state.data, begins) });
  }
  const first = client.getQueryCache().findAll({ queryKey, exact, fetchStatus: "fetching" }).some((q) => q.state.data === undefined);
  await client.invalidateQueries({ queryKey, exact });
  if (first) await client.invalidateQueries({ queryKey, exact });
}

/** Ask these queries again when events of the filter come, at most once in `every_ms`. */
export function useRefreshOn(filter: Filter, keys: QueryKey[], every_ms = 1000, enabled = true, unseen = false) {
  const client = useQueryClient();
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(due.current), []);
  useEvents(
    filter,
    (_, begins) => {
      if (begins) {
        for (const key of keys) void askAgain(client, key, false, begins);
        return;
      }
      due.current ??= setTimeout(() => {
        due.current = undefined;
        for (const key of keys) void askAgain(client, key);
      }, every_ms);
    },
    enabled,
    unseen,
  );
}

/** What shows one thing follows it so often and no more: whoever watches much that happens needs an answer before the next question. */
const FOLLOW_MS = 500;

/** Ask these queries (and those below, unless `exact`) again as events of the filter come: at once, and then at most once in half a second. */
export function useFollowing(filter: Filter, keys: { key: QueryKey; exact?: boolean }[]) {
  const client = useQueryClient();
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const last = useRef(-FOLLOW_MS);
  useEffect(() => () => clearTimeout(due.current), []);
  useEvents(filter, (_, begins) => {
    const ask = () => {
      due.current = undefined;
      if (!begins) last.current = performance.now();
      for (const { key, exact } of keys) void askAgain(client, key, exact, begins);
    };
    const rest = last.current + FOLLOW_MS - performance.now();
    if (begins || rest <= 0) ask();
    else due.current ??= setTimeout(ask, rest);
  });
}

/** Names of all events (made from the catalogue by tools/schemas.py; tests/console/test_console_catalogue.py holds it current): SSE needs a listener for each. */
import EVENT_TYPES from "./event-types.json";

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
 * and is told once when it is seen again (`unseen`: it stays). Events come in batches, one per animation frame; an empty batch says that they come from here on.
 */
export function useEvents(filter: Filter, take: (events: LiveEvent[]) => void, enabled = true, unseen = false) {
  const latest = useRef(take);
  latest.current = take;
  const key = query({ ...filter });
  useEffect(() => {
    if (!enabled) return;
    let source: EventSource | undefined;
    let waiting: LiveEvent[] = [];
    let frame = 0;
    let cursor = "";
    let again: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const flush = () => {
      frame = 0;
      const batch = waiting;
      waiting = [];
      for (const event of batch) expect(event.id);
      latest.current(batch);
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
        if (message.lastEventId) cursor = message.lastEventId;
        if (message.type === "subscribed") expect(cursor); // what came after the page's first look and before here is told to nobody: look again
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

/**
 * Ask these again. What is asked for the first time just now is waited for, and then asked again: its answer may be of before the news, and an invalidation
 * alone leaves a first question as it is.
 */
export async function askAgain(client: QueryClient, queryKey: QueryKey, exact = false) {
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
    () => {
      due.current ??= setTimeout(() => {
        due.current = undefined;
        for (const key of keys) void askAgain(client, key);
      }, every_ms);
    },
    enabled,
    unseen,
  );
}

/** Names of all events (made from the catalogue by tools/schemas.py; tests/console/test_console_catalogue.py holds it current): SSE needs a listener for each. */
import EVENT_TYPES from "./event-types.json";

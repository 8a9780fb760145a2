import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { query } from "./client";
import { actor, byToken } from "./me";

/** Somebody else at the same draft: the mouse in the drawing's coordinates (null: elsewhere), and what is selected. */
export interface Person {
  id: number;
  name: string;
  colour: number;
  x: number | null;
  y: number | null;
  selected: string[];
}
export interface Where {
  x: number | null;
  y: number | null;
  selected: string[];
}
type Message = { type: "others"; others: Person[] } | ({ type: "here" } & Person) | { type: "gone"; id: number } | { type: "saved"; version: number } | { type: "problem" };

const EVERY_MS = 60;
const AGAIN_MS = 3_000;


/** What is known of the others after a message. */
export function after(others: Person[], m: Message): Person[] {
  if (m.type === "others") return m.others;
  if (m.type === "gone") return others.filter((p) => p.id !== m.id);
  if (m.type !== "here") return others;
  const { type: _, ...person } = m;
  return [...others.filter((p) => p.id !== m.id), person].sort((a, b) => a.id - b.id);
}

/** Who else looks at a draft. What one does oneself is told at most every 60 ms; nothing of it is kept, here or there. */
export function usePresence(draft: string, enabled: boolean) {
  const client = useQueryClient();
  const [others, setOthers] = useState<Person[]>([]);
  const socket = useRef<WebSocket>(undefined);
  const where = useRef<Where>({ x: null, y: null, selected: [] });
  const due = useRef<ReturnType<typeof setTimeout>>(undefined);
  const send = useCallback((more?: { saved: number }) => {
    if (socket.current?.readyState === WebSocket.OPEN) socket.current.send(JSON.stringify({ ...where.current, ...more }));
  }, []);
  useEffect(() => {
    if (!enabled) return;
    let over = false;
    let again: ReturnType<typeof setTimeout> | undefined;
    const open = () => {
      if (over || document.hidden || socket.current || byToken()) return;
      const ws = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/presence${query({ draft, name: actor() })}`);
      socket.current = ws;
      ws.onopen = () => send();
      ws.onmessage = (e: MessageEvent<string>) => {
        const m = JSON.parse(e.data) as Message;
        if (m.type === "saved") void client.invalidateQueries({ queryKey: ["draft versions", draft] });
        else setOthers((now) => after(now, m));
      };
      ws.onclose = () => {
        if (socket.current === ws) socket.current = undefined;
        setOthers([]);
        if (!over) again = setTimeout(open, AGAIN_MS);
      };
    };
    // a tab that nobody sees isn't there
    const seen = () => (document.hidden ? socket.current?.close() : open());
    open();
    document.addEventListener("visibilitychange", seen);
    return () => {
      over = true;
      clearTimeout(again);
      clearTimeout(due.current);
      document.removeEventListener("visibilitychange", seen);
      socket.current?.close();
      socket.current = undefined;
    };
  }, [draft, enabled, client, send]);
  const here = useCallback(
    (now: Partial<Where>) => {
      where.current = { ...where.current, ...now };
      due.current ??= setTimeout(() => {
        due.current = undefined;
        send();
      }, EVERY_MS);
    },
    [send],
  );
  const saved = useCallback((version: number) => send({ saved: version }), [send]);
  return { others, here, saved };
}

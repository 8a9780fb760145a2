import { useSyncExternalStore } from "react";
import { storage } from "~/shared/storage";

/** Whether this browser tells of new tasks. Off until somebody asks for it by a click: only then the browser asks for its leave. */
const KEY = "flowledger.notices";
const watchers = new Set<() => void>();
const tell = () => watchers.forEach((f) => f());

export const supported = () => typeof window !== "undefined" && "Notification" in window;
const on = () => supported() && storage.getItem(KEY) === "on" && Notification.permission === "granted";

export const useNotices = () =>
  useSyncExternalStore(
    (f) => {
      watchers.add(f);
      return () => watchers.delete(f);
    },
    on,
  );

/** True: it is on. False: the browser, or the person, doesn't want it. */
export async function turnOn(): Promise<boolean> {
  if ((await Notification.requestPermission()) === "granted") storage.setItem(KEY, "on");
  tell();
  return on();
}

export function turnOff() {
  storage.removeItem(KEY);
  tell();
}

/** Those that weren't there before; nothing when nobody has looked before: what one has already is no news. */
export const fresh = <T extends { id: string }>(known: ReadonlySet<string> | undefined, rows: T[]): T[] => (known ? rows.filter((r) => !known.has(r.id)) : []);

import { useSyncExternalStore } from "react";

/** Who acts. Without sign-in it is a name that the person gives; with it, what the server says (one place to ask). */
const KEY = "flowledger.actor";
const watchers = new Set<() => void>();

export const actor = () => localStorage.getItem(KEY) ?? "";

export function setActor(name: string) {
  localStorage.setItem(KEY, name);
  watchers.forEach((f) => f());
}

export function useMe() {
  const name = useSyncExternalStore(
    (f) => {
      watchers.add(f);
      return () => watchers.delete(f);
    },
    actor,
  );
  return { actor: name, setActor };
}

/** May this person do that? Rights come with sign-in; until then everybody may. Every page asks here and nowhere else. */
export function useMay(_operation: string, _subject?: unknown): boolean {
  return true;
}

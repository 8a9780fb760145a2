import { useRef } from "react";
import { gather } from "./client";
import { SEVERAL } from "./several";
import { useHasRight } from "./me";

/** Ask for all that the page's parts are going to ask for, in one request, before they do; once for each `key`. Fewer than two are no several. */
export function useGathered(key: string, reads: () => string[]) {
  const done = useRef<string>(undefined);
  if (done.current === key) return;
  done.current = key;
  const all = reads();
  if (all.length > 1) void gather(all).catch(() => undefined); // each part asks by itself, and says what is wrong
}

/** The same of a page that shows one thing. */
export function useSeveral(word: keyof typeof SEVERAL, id: string, search: Record<string, string | undefined>) {
  const has = useHasRight();
  useGathered(id, () => SEVERAL[word]!(id, search, has));
}

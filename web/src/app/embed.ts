import { useEffect, useSyncExternalStore } from "react";
import { bearer, useSignIn } from "~/api/me";
import { whoAmI } from "~/api/session";

/**
 * The console in a frame of another page (setting `embed_origins`; docs/console.md). The page around gives the token of who looks, by
 * `postMessage({ type: "flowledger:token", token }, origin)`, whenever it is asked for one by `flowledger:token-wanted`: at the start, and when
 * the one before is over. The token stays in this frame's memory, and no cookie is used.
 */
export const WANTED_MS = 2_000;

/** Origins that may hold us, by the page's own policy. */
export function origins(): string[] {
  return (document.querySelector<HTMLMetaElement>('meta[name="embed-origins"]')?.content ?? "").split(" ").filter((o) => /^https?:/.test(o));
}

export const embedded = () => window.parent !== window && origins().length > 0;

/** The token of a message; empty: it is none of the page around, or says something else. */
export function tokenOf(event: Pick<MessageEvent, "source" | "origin" | "data">, parent: unknown, allowed: string[]): string {
  const data = event.data as { type?: unknown; token?: unknown } | null;
  if (event.source !== parent || !allowed.includes(event.origin) || data?.type !== "flowledger:token") return "";
  return typeof data.token === "string" && /^[\x21-\x7e]{1,8192}$/.test(data.token) ? data.token : "";
}

/** Only the page around, and only where it may be one, is told. */
function tell(message: Record<string, unknown>) {
  for (const origin of origins()) window.parent.postMessage(message, origin);
}

/** While nobody is known, the page around is asked for a token. */
export function useToken() {
  const wanted = useSignIn() === null;
  useEffect(() => {
    if (!embedded()) return;
    const take = (event: MessageEvent) => {
      const token = tokenOf(event, window.parent, origins());
      if (!token) return;
      bearer(token);
      void whoAmI().catch(() => undefined); // a server that is away is asked again by the door
    };
    window.addEventListener("message", take);
    return () => window.removeEventListener("message", take);
  }, []);
  useEffect(() => {
    if (!wanted || !embedded()) return;
    const ask = () => tell({ type: "flowledger:token-wanted" });
    ask();
    const again = setInterval(ask, WANTED_MS);
    return () => clearInterval(again);
  }, [wanted]);
}

/** The page around hears where we are, so that its own address can say so. */
export function usePlace(path: string) {
  useEffect(() => {
    if (embedded()) tell({ type: "flowledger:at", path });
  }, [path]);
}

const never = () => () => undefined;
export const useEmbedded = () => useSyncExternalStore(never, embedded);

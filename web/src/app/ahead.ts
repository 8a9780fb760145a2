import type { QueryClient } from "@tanstack/react-query";
import "~/api/first";
import { diagram, versions } from "~/api/source";
import { router } from "./router";

/**
 * What the page of this address will need, asked for at once: its script while it is found out who looks, its data while its script comes. One after the other
 * each of them waits for the one before. Within a page of somebody else nothing is asked before it has said who looks.
 */
export function ahead(queries: QueryClient) {
  void router.preloadRoute({ to: location.pathname } as never).catch(() => undefined);
  const process = /^\/processes\/([^/]+)\/?$/.exec(location.pathname)?.[1];
  if (!process || window.parent !== window || new URLSearchParams(location.search).has("version")) return;
  void queries
    .fetchQuery({ ...versions(decodeURIComponent(process)), retry: false })
    .then((found) => found.items[0] && queries.prefetchQuery({ ...diagram(found.items[0].key), retry: false }))
    .catch(() => undefined); // the page asks again, and says what is wrong
}

/**
 * What the page of this address asks first, asked before the console's scripts are there: the browser takes longer to read them than the server to answer.
 * A script of its own, which runs while the others come (`api/console.py` names it in the page's head; `vite.config.ts` keeps it apart), so it imports little.
 * Within a page of somebody else nothing is asked before it has said who looks.
 */
import { early, query } from "./client";
import { whoAmIAtStart } from "./session";

async function drawing(definition: unknown) {
  if (typeof definition === "string") await early(`/definitions/${definition}/diagram`, "*/*");
}

const rowOf = async (path: string) => (await (await early(path)).json()) as Record<string, unknown>;

/** By the first word of an address that names one thing; none: the page itself. */
const PAGES: Record<string, (id: string) => Promise<unknown>> = {
  processes: async (id) => {
    const found = await rowOf(`/definitions${query({ definition_id: id, kind: "process", limit: 100 })}`);
    return drawing((found.items as { key?: unknown }[] | undefined)?.[0]?.key);
  },
  instances: async (id) => {
    void early(`/instances/${id}/state`).catch(() => undefined);
    return drawing((await rowOf(`/instances/${id}`)).definition);
  },
  tasks: (id) => early(`/tasks/${id}`),
  "": () => early("/overview"),
};

export function first(path: string, search: string) {
  void whoAmIAtStart().catch(() => undefined); // the door asks again
  const [, word, id] = path === "/" ? ["", "", ""] : (/^\/([a-z]+)\/([^/]+)\/?$/.exec(path) ?? []);
  const asked = new URLSearchParams(search);
  if (word === undefined || id === undefined || asked.has("version") || asked.has("at")) return;
  void Promise.resolve()
    .then(() => PAGES[word]?.(decodeURIComponent(id)))
    .catch(() => undefined); // the page asks again, and says what is wrong
}

if (window.parent === window) first(location.pathname, location.search);

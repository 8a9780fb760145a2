/**
 * What the page of this address asks first, asked before the console's scripts are there: the browser takes longer to read them than the server to answer.
 * A script of its own, which runs while the others come (`api/console.py` names it in the page's head; `vite.config.ts` keeps it apart), so it imports little.
 * Within a page of somebody else nothing is asked before it has said who looks.
 */
import { early, gather } from "./client";
import { whoAmIAtStart } from "./session";
import { drawnOf, SEVERAL } from "./several";
import { has } from "./who";

async function asks(path: string, search: string): Promise<void> {
  const me = whoAmIAtStart();
  me.catch(() => undefined); // the door asks again
  if (path === "/") return void (await early("/overview"));
  const [, word = "", id = ""] = /^\/([a-z]+)\/([^/]+)\/?$/.exec(path) ?? [];
  const several = SEVERAL[word];
  if (!several) return;
  if (word === "instances") await me; // a part of it is not for everybody
  const asked = Object.fromEntries(new URLSearchParams(search));
  const definition = drawnOf(word, asked, await gather(several(decodeURIComponent(id), asked, has)));
  if (typeof definition === "string") await early(`/definitions/${definition}/diagram`, "*/*");
}

export function first(path: string, search: string) {
  void asks(path, search).catch(() => undefined); // the page asks again, and says what is wrong
}

if (window.parent === window) first(location.pathname, location.search);

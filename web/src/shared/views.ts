import type { RowOf } from "~/api/types";

export type SavedView = RowOf<"/saved-views">;
export type Filters = Record<string, string>;

/** What of an address is a view of its list: filters, view and order; not where one is on the page. */
const PLACE = new Set(["tab", "cursor", "limit"]);
export const filtersOf = (search: Filters): Filters => Object.fromEntries(Object.entries(search).filter(([k, v]) => !PLACE.has(k) && v !== undefined && v !== ""));

/** A view's filters as an address has them: several values of one are given as the list's page writes them, with commas. */
export const addressOf = (view: Pick<SavedView, "query">): Filters => Object.fromEntries(Object.entries(view.query ?? {}).map(([k, v]) => [k, Array.isArray(v) ? v.join(",") : String(v)]));

/** Whether the address shows this view, whatever the order of its parts. */
export function shows(search: Filters, view: Pick<SavedView, "query">): boolean {
  const [here, there] = [filtersOf(search), addressOf(view)];
  const keys = Object.keys(here);
  return keys.length === Object.keys(there).length && keys.every((k) => here[k] === there[k]);
}

/** Names of groups out of a text, each once. */
export const groupsOf = (text: string): string[] => [...new Set(text.split(",").map((g) => g.trim()).filter(Boolean))];

import type { Approval } from "~/api/types";

export type Tab = "decide" | "mine" | "all";

/** The newest first; those that are over stand in `all`, and one's own with who asked. */
export function rowsOf(rows: Approval[], tab: Tab, me: string): Approval[] {
  const sorted = [...rows].sort((a, b) => b.asked_at.localeCompare(a.asked_at));
  if (tab === "decide") return sorted.filter((a) => a.status === "waiting" && a.by !== me);
  return tab === "mine" ? sorted.filter((a) => a.by === me) : sorted;
}

const PAGES: Record<string, string> = { instances: "/instances/", tasks: "/tasks/", definitions: "/processes/", drafts: "/designer/" };

/** The page of what it is about, where there is one that a path leads to: keys of definitions are no ids of processes. */
export function pageOf(path: string): string | undefined {
  const [, kind, id] = /^\/v1\/([a-z]+)\/([^/]+)/.exec(path) ?? [];
  if (!kind || !id || !(kind in PAGES)) return undefined;
  if (kind === "definitions" && /^\d+$/.test(id)) return undefined;
  if (kind !== "definitions" && !/^[\w-]+$/.test(id)) return undefined;
  return PAGES[kind] + id;
}

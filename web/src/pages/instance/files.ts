import type { HistoryEvent } from "~/api/types";

/** Names of what was attached to the instance after the event `at`: each change tells all of them. */
export function attachedAt(events: HistoryEvent[], at: string): string[] {
  let names: string[] = [];
  for (const e of events) {
    if (e.type === "workflow.files_changed") names = ((e.data.files ?? []) as { name: string }[]).map((f) => f.name);
    if (e.id === at) break;
  }
  return names;
}

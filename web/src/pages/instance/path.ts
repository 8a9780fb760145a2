import type { HistoryEvent } from "~/api/types";

/** Flows taken and elements left up to (and with) the event `at`; all of them without it. */
export function pathOf(events: HistoryEvent[], at?: string): { flows: string[]; done: string[] } {
  const flows = new Set<string>();
  const done = new Set<string>();
  for (const e of events) {
    if (e.type === "flow.taken") {
      flows.add(String(e.data.flow));
      done.add(String(e.data.source));
    } else if (e.type === "element.completed" || e.type === "workflow.completed") {
      if (e.data.element) done.add(String(e.data.element));
    }
    if (e.id === at) break;
  }
  return { flows: [...flows], done: [...done] };
}

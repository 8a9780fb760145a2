import type { HistoryEvent, Incident, InstanceState, TaskRow } from "~/api/types";

/** Rows are of now; what they were at a moment of the past is what events up to it and the state of that moment say. */
export interface Moment {
  events: HistoryEvent[];
  at: string;
  state: InstanceState;
}

interface StateTask {
  task: string;
  status: string;
  retries?: number;
  assignee?: string | null;
  worker?: string | null;
}

const until = ({ events, at }: Moment) => events.slice(0, events.findIndex((e) => e.id === at) + 1);
const openThen = (moment: Moment) => new Set((moment.state.incidents as { incident?: string }[]).map((i) => String(i.incident)));

/** Jobs and tasks that there were, as they stood; one that had ended by then stands as it ended. */
export function workAt(rows: TaskRow[], moment: Moment): TaskRow[] {
  const before = until(moment);
  const made = new Set(before.filter((e) => e.type === "task.created").map((e) => String(e.data.task)));
  const stood = new Map((moment.state.tasks as unknown as StateTask[]).map((x) => [x.task, x]));
  const open = openThen(moment);
  const taken = new Map<string, number>();
  for (const e of before) if (e.type === "task.leased") for (const id of (e.data.tasks ?? []) as string[]) taken.set(id, (taken.get(id) ?? 0) + 1);
  const raised = new Map(before.filter((e) => e.type === "incident.raised").map((e) => [String(e.data.task), String(e.data.incident)]));
  return rows
    .filter((row) => made.has(row.id))
    .map((row) => {
      const then = stood.get(row.id);
      if (!then) return row;
      const incident = raised.get(row.id);
      return { ...row, status: then.status, retries: then.retries ?? row.retries, attempts: taken.get(row.id) ?? 0, assignee: then.assignee ?? null, worker: then.worker ?? null, incident: incident && open.has(incident) ? incident : null, completed_at: null, cancelled_at: null };
    });
}

/** What had come in its way by then; what was solved later was open. */
export function incidentsAt(rows: Incident[], moment: Moment): Incident[] {
  const raised = new Set(until(moment).filter((e) => e.type === "incident.raised").map((e) => String(e.data.incident)));
  const open = openThen(moment);
  return rows.filter((row) => raised.has(row.id)).map((row) => (open.has(row.id) ? { ...row, status: "open", resolved_at: null, resolved_by: "" } : row));
}

/** Shapes of answers, as the API gives them. */
export interface Instance {
  id: string;
  definition: string;
  process: string;
  version: number;
  name: string;
  business_key: string;
  status: string;
  paused: boolean;
  incidents: number;
  priority: string;
  initiator: string;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  cancelled_at: string | null;
  parent: string | null;
  root: string;
  has_incident: boolean;
}

export interface Definition {
  id: string;
  key: string;
  kind: string;
  name: string;
  version: number;
  version_tag: string;
  resource: string;
  format: string;
  status: string;
  created_at: string;
  created_by: string;
}

export interface Task {
  id: string;
  instance: string | null;
  definition: string | null;
  process: string;
  element: string;
  name: string;
  type: string;
  job_type: string;
  status: string;
  priority: string;
  created_at: string;
  due_at: string | null;
  assignee: string | null;
  worker: string | null;
  attempts: number;
  retries: number;
  incident: string | null;
  row_version: number;
}

export interface Incident {
  key: string;
  id?: string;
  instance: string;
  process?: string;
  definition?: string;
  element: string;
  code: string;
  message: string;
  status: string;
  created_at: string;
  task?: string | null;
}

export interface HistoryEvent {
  id: string;
  type: string;
  time: string;
  instance: string | null;
  actor: string;
  cause: string;
  correlation: string;
  data: Record<string, unknown>;
}

export interface StateToken {
  token: string;
  element: string;
  scope: string;
  phase: string;
  since?: string;
  incident?: string;
  variables?: Record<string, unknown>;
}

/** The folded state of an instance at a moment. */
export interface InstanceState {
  instance: string;
  position: string;
  time: string;
  events: number;
  status: string;
  process: string;
  definition: string;
  version: number;
  business_key: string;
  paused: boolean;
  variables: Record<string, unknown>;
  tokens: StateToken[];
  tasks: Record<string, unknown>[];
  timers: Record<string, unknown>[];
  subscriptions: Record<string, unknown>[];
  incidents: Record<string, unknown>[];
}

export interface Health {
  status: string;
  execution?: boolean;
  queries?: boolean;
  reasons: string[];
  warnings?: string[];
  partitions: Record<string, { epoch: number; position: number }>;
}

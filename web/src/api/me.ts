import { useSyncExternalStore } from "react";
import { actor, known, setActor, subscribe } from "./who";

export { actor, bearer, byToken, proof, signedIn } from "./who";

export const useSignIn = () => useSyncExternalStore(subscribe, known);

export function useMe() {
  const name = useSyncExternalStore(subscribe, actor);
  return { actor: name, setActor };
}

const NEEDS = {
  repair: "incidents:resolve",
  task: "tasks:work",
  manage: "tasks:manage",
  start: "instances:start",
  author: "definitions:write",
  control: "instances:control",
  letters: "letters:control",
  batches: "batches:write",
  hold: "holds:control",
  triggers: "triggers:read",
  trigger: "triggers:control",
  rollout: "definitions:rollout",
  watch: "watchdog:read",
  mend: "watchdog:repair",
  log: "operations:read",
  users: "users:read",
  accounts: "users:write",
  keys: "keys:own",
  limits: "limits:write",
  incidents: "incidents:read",
  decisions: "decisions:read",
  workers: "workers:read",
  remove: "instances:delete",
  remark: "instances:comment",
  views: "views:own",
  hooks: "webhooks:read",
  hook: "webhooks:control",
  hookWrite: "webhooks:write",
  insight: "insight:read",
  learn: "insight:write",
  alerts: "alerts:read",
  alertWrite: "alerts:write",
  tenants: "tenants:read",
  tenantsWrite: "tenants:write",
  directory: "directory:write",
  settings: "settings:read",
  models: "definitions:read",
  people: "directory:read",
  subjects: "subjects:read",
  subjectExport: "subjects:export",
  subjectErase: "subjects:erase",
  evidence: "evidence:read",
  retention: "retention:read",
  retentionWrite: "retention:write",
  approvals: "approvals:read",
  decide: "approvals:decide",
} as const;

/** May this person do that? Without sign-in everybody may. Every page asks here and nowhere else; the server has the last word. */
export function useMay(operation: keyof typeof NEEDS, _subject?: unknown): boolean {
  const person = useSignIn();
  return !person || person.auth === "none" || person.rights.includes(NEEDS[operation]);
}

/** Has this person a right by its name, as the server told it of a row? */
export function useHasRight(): (right: string) => boolean {
  const person = useSignIn();
  return (right) => !right || !person || person.auth === "none" || person.rights.includes(right);
}

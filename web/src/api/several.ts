/**
 * What pages of one thing show at first, each as reads of the API that come in one request (`GET /v1/gathered`); the drawing, which never changes and which the
 * browser keeps, is a request of its own. What is asked is what the page's parts ask, word by word: each takes its own answer (`client.ts`).
 */
import { query } from "./client";

type Search = Record<string, string | undefined>;
/** Whether who looks has a right; what they may not see isn't asked for. */
type Has = (right: string) => boolean;

export const SEVERAL: Record<string, (id: string, search: Search, has: Has) => string[]> = {
  tasks: (id) => [
    `/tasks/${id}`,
    `/tasks/${id}/events?limit=1000`,
    `/tasks/${id}/files`,
    "/instances/{0.instance}/variables",
    "/definitions?definition_id={0.form.formId}&kind=form&limit=100",
    "/definitions/{4.items.0.key}/source",
  ],
  instances: (id, { at, tab }, has) => [
    `/instances/${id}`,
    `/instances/${id}/state${query({ at })}`,
    `/instances/${id}/events?limit=1000`,
    ...(has("insight:read") && !at ? ["/predictions?process={0.process}", `/instances/{0.id}/prediction`] : []),
    ...(tab === "incidents" && !at ? [`/incidents?instance=${id}&limit=500`] : []),
    ...(tab === "audit" && has("operations:read") ? [`/operations?limit=100&instance=${id}`] : []),
  ],
  processes: (id, { version }) => {
    const all = `/definitions${query({ definition_id: id, kind: "process", limit: 100 })}`;
    const shown = version ? [all, `/definitions${query({ definition_id: id, kind: "process", version, limit: 1 })}`] : [all];
    const key = `{${shown.length - 1}.items.0.key}`;
    return [...shown, `/tasks?definition=${key}&open=true&limit=500`, `/incidents?definition=${key}&status=open&limit=500`, `/definitions/${key}/versions`];
  },
  designer: (id) => [`/drafts/${id}`, `/drafts/${id}/versions`, "/connectors?templates=true"],
};

/** The definition whose drawing such a page shows, out of what it was answered. */
export function drawnOf(word: string, search: Search, answers: { status: number; body: unknown }[]): unknown {
  const of = (n: number) => (answers[n]?.status === 200 ? (answers[n].body as Record<string, unknown>) : {});
  if (word === "processes") return (of(search.version ? 1 : 0).items as { key?: unknown }[] | undefined)?.[0]?.key;
  return word === "designer" ? undefined : of(word === "instances" && search.at ? 1 : 0).definition;
}

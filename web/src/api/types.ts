/**
 * Shapes of the API, made from its document (schemas/openapi.json): a change there that breaks a page breaks the build.
 * The document calls a field optional when it may be null; the server always sends it, so here it is there.
 */
import type { components, paths } from "#api";

type Schemas = components["schemas"];
type Given<T> = T extends object ? { [K in keyof T]-?: T[K] } : T;

export type Gathered = Given<Schemas["Gathered"]>;
export type Instance = Given<Schemas["Instance"]>;
export type InstanceRow = Given<Schemas["InstanceRow"]>;
export type Definition = Given<Schemas["DefinitionDetail"]>;
export type Plan = Given<Schemas["Plan"]>;
/** In a list, so what may be null is optional. */
export type VersionInService = Schemas["InService"];
export type Diff = Given<Schemas["Diff"]>;
export type TaskRow = Given<Schemas["TaskRow"]>;
export type Task = Given<Schemas["Task"]>;
export type Incident = Given<Schemas["Incident"]>;
export type IncidentGroup = Given<Schemas["IncidentGroup"]>;
export type WatchFinding = Omit<Given<Schemas["WatchFinding"]>, "repairs"> & { repairs: { repair: string; does: string }[] };
export type BatchItem = Given<Schemas["BatchItem"]>;
export type TriggerRun = Given<Schemas["TriggerRun"]>;
export type TriggerLetter = Given<Schemas["Parked"]>;
export type WebhookDelivery = Given<Schemas["WebhookDelivery"]>;
export type WebhookLetter = Given<Schemas["WebhookLetter"]>;
export type TriggerTried = Given<Schemas["triggers_Tried"]>;
export type HistoryEvent = Given<Schemas["Event"]>;
/** Rows inside a state, which the document leaves open. */
export interface StateToken {
  token: string;
  element: string;
  scope: string;
  phase: string;
  incident?: string;
  variables?: Record<string, unknown>;
}
export type InstanceState = Omit<Given<Schemas["State"]>, "tokens" | "variables" | "incidents"> & {
  tokens: StateToken[];
  variables: Record<string, unknown>;
  incidents: { element: string; code: string; message: string }[];
};
export type Tree = Given<Schemas["Tree"]>;
export type Overview = Given<Schemas["Overview"]>;
export type Health = Given<Schemas["Health"]>;
export type Decision = Given<Schemas["Decision"]>;
export type RuleCoverage = Schemas["RuleCoverage"];
export type WorkerRow = Given<Schemas["WorkerRow"]>;
export type Finding = Given<Schemas["Finding"]>;
export type DraftRow = Given<Schemas["DraftRow"]>;
/** Of a replay: the fields of an example that say nothing are left out. */
export type HistoryRun = Given<Schemas["ReplayOutcomes"]>;
export type HistoryExample = Schemas["ReplayExample"];
export type Draft = Given<Schemas["Draft"]>;
/** Rows inside of a trial, which the document leaves open. */
export interface TrialWait {
  kind: "task" | "job" | "message" | "signal" | "timer" | "incident";
  instance: string;
  element: string;
  name: string;
  /** what the element is called */
  title: string;
  key?: string;
  due?: string;
  who?: string;
  message?: string;
  variables?: Record<string, unknown>;
}
export interface TrialInstance {
  name: string;
  process: string;
  status: string;
  parent: string | null;
  variables: Record<string, unknown>;
  active: string[];
  path: string;
  incidents: { code: string; element: string; message: string }[];
}
export interface TrialCoverage {
  process: string;
  percent: number;
  covered: number;
  total: number;
  entered: Record<string, number>;
  taken: Record<string, number>;
  missing: string[];
}
export interface Trial {
  now: string;
  done: number;
  failed: { step: number; what: string; code: string; message: string } | null;
  instances: TrialInstance[];
  waiting: TrialWait[];
  coverage: TrialCoverage[];
  test: Record<string, unknown>;
}
/** A row of a difference. */
export interface Change {
  change: "added" | "removed" | "moved" | "changed";
  id: string;
  type: string;
  name: string;
  line: number;
  fields?: { field: string; from: unknown; to: unknown }[];
}
/** `approval`: what is asked for waits as that one. */
export type Problem = Partial<Schemas["Problem"]> & { status: number; code: string; approval?: string };
export type Approval = Given<Schemas["Approval"]>;
export type TaskMove = paths["/v1/tasks/{id}/{move}"] extends { post: { parameters: { path: { move: infer M } } } } ? M : never;

// --- the addresses ------------------------------------------------------------------------------------------------------

/** `/v1/tasks/{id}` as a template: `/tasks/${string}` */
type Template<P extends string> = P extends `${infer A}{${string}}${infer B}` ? `${A}${string}${Template<B>}` : P;
type Method = "get" | "post" | "put" | "patch" | "delete";
type Address<M extends Method> = { [P in keyof paths]: P extends `/v1${infer Rest}` ? (paths[P] extends Record<M, { responses: unknown }> ? Template<Rest> : never) : never }[keyof paths];
type Operation<M extends Method, A extends string> = {
  [P in keyof paths]: P extends `/v1${infer Rest}` ? (Template<Rest> extends A ? (A extends Template<Rest> ? (paths[P] extends Record<M, infer O> ? O : never) : never) : never) : never;
}[keyof paths];
type Json<T> = T extends { content: { "application/json": infer B } } ? B : never;

export type GetPath = Address<"get">;
export type PathOf<M extends string> = Address<Lowercase<M> & Method>;
/** Where 201 says what was made, 200 is only the plan of a dry run. */
export type AnswerOf<M extends string, A extends string> = Operation<Lowercase<M> & Method, A> extends { responses: infer R } ? Given<Json<R extends { 201: infer S } ? S : R extends { 200: infer S } ? S : never>> : never;
export type BodyOf<M extends string, A extends string> = Operation<Lowercase<M> & Method, A> extends { requestBody?: infer B } ? Open<Json<NonNullable<B>>> : never;
export type ParamsOf<A extends string> = Operation<"get", A> extends { parameters: { query?: infer Q } } ? Partial<Record<keyof NonNullable<Q> | `var.${string}`, string | string[] | number | boolean | null | undefined>> : Record<string, never>;

/** Objects of any content are `Record<string, never>` in what the generator makes. */
type Open<T> = { [K in keyof T]?: Extract<T[K], Record<string, never>> extends never ? T[K] : Exclude<T[K], Record<string, never>> | Record<string, unknown> };

/** A page of a list whose rows are whole. */
export interface Page<T> {
  items: T[];
  cursor: string | null;
  position: string | null;
}
export type RowOf<A extends string> = AnswerOf<"get", A> extends { items: (infer T)[]; cursor: unknown } ? Given<T> : never;

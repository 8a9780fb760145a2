/** The only way to the server: JSON over our public API, errors as problem details (RFC 9457). */
import * as second from "./second";
import { byToken, proof, unknown } from "./who";
import type { AnswerOf, BodyOf, Gathered, GetPath, Page, ParamsOf, PathOf, Problem, RowOf } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title ?? problem.code);
  }
}

type Param = string | number | boolean | undefined | null;
export type Params = Record<string, Param | string[]>;

export function query(params: Params = {}): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params))
    if (Array.isArray(v)) for (const one of v) q.append(k, one);
    else if (v !== undefined && v !== null && v !== "") q.set(k, String(v));
  const text = q.toString();
  return text ? `?${text}` : "";
}

/** Places of the log that this tab knows of, by its own commands and by the news: later questions wait for them, so that one reads one's own write. */
const known = new Map<string, number>();

/** `p-offset`, or several with commas. */
export function expect(positions: string) {
  for (const place of positions.split(",")) {
    const [partition, offset] = place.split("-");
    if (partition && offset && Number(offset) > (known.get(partition) ?? -1)) known.set(partition, Number(offset));
  }
}

/** Addresses that can wait for a place of the log (`wait_for`); tests/console/test_console_catalogue.py holds it to the API's document. */
const rows = /^\/(overview|gathered|instances|tasks(?!\/[^/]+\/recommendations$)|incidents|dead-letters|batches|holds|operations|triggers|webhooks|alerts|rules|measures|variants|reports|exports|definitions(?!\/[^/]+\/(diff|source|diagram)$)|kpis\/[^/]+\/(figures|promised)|saved-reports\/[^/]+\/(run|export|schedule)|decisions\/[^/]+\/(evaluations|coverage))(\/|$)/;
/** What the newest answer of the server was true up to. */
let seen: string | undefined;
/** When the server answered last. */
let at: number | undefined;
const watchers = new Set<() => void>();

export const freshness = {
  subscribe(f: () => void) {
    watchers.add(f);
    return () => watchers.delete(f);
  },
  position: () => seen,
  at: () => at,
};

async function answer(response: Response): Promise<unknown> {
  const text = await response.text();
  let body: unknown;
  try {
    body = text ? JSON.parse(text) : undefined;
  } catch {
    body = { code: "NOT_JSON", detail: text.slice(0, 300) };
  }
  if (!response.ok) {
    const problem = (body ?? {}) as Partial<Problem>;
    if (response.status === 401) unknown();
    throw new ApiError(response.status, { ...problem, status: response.status, code: problem.code ?? String(response.status) });
  }
  if (body && typeof body === "object" && "position" in body && typeof body.position === "string") seen = body.position;
  at = Date.now();
  watchers.forEach((f) => f());
  return body;
}

/** Where a token stands for the person, no cookie of the browser does. */
const ask = (url: string, init: RequestInit) => fetch(url, byToken() ? { ...init, credentials: "omit" } : init);

/** A change. What takes a fresh proof by a passkey has it shown, and is asked once more. */
async function shown(url: string, init: RequestInit & { headers: Record<string, string> }): Promise<Response> {
  const response = await ask(url, init);
  if (response.status !== 403 || "X-Step-Up" in init.headers) return response;
  const problem = (await response.clone().json().catch(() => ({}))) as Problem;
  if (problem.code !== "STEP_UP_NEEDED") return response;
  const id = await (await import("./passkeys")).stepUp(problem);
  if (!id) return response;
  init.headers["X-Step-Up"] = id;
  return ask(url, init);
}

/** Answers that were asked for before the page asks, by their address: each is taken once, and not when it has become old. `true up to`: which place of the log. */
interface Kept {
  until: number;
  answer: Promise<Response>;
  place?: () => string | null | undefined;
}
const ahead = new Map<string, Kept>();
const AHEAD_MS = 5_000;
/** For what several scripts of a page ask, the last of which may be large. */
const GATHERED_MS = 15_000;
/** Counts whom it was asked for: what is still on its way for somebody before is not kept. */
let reader = 0;
/** Somebody else looks from now on: what was asked for ahead was for the eyes of another. */
export function forget() {
  ahead.clear();
  reader++;
}
/** What pages have asked for themselves meanwhile. */
const gone = new Set<string>();

/** The same address however its parameters stand. */
function one(url: string): string {
  const [path, search] = url.split("?");
  const params = new URLSearchParams(search);
  params.sort();
  return `${path}?${params}`;
}

/** Ask for what a page is going to ask for; what comes is kept for it. */
export function early(path: string, accept?: string): Promise<Response> {
  const url = `/v1${path}`;
  if (gone.has(one(url))) return Promise.reject(new Error("the page has asked already"));
  const answer = ask(url, { headers: headers(accept ? { Accept: accept } : undefined) });
  ahead.set(one(url), { until: Date.now() + AHEAD_MS, answer });
  return answer.then((response) => response.clone());
}

const fresh = (kept: Kept | undefined) => kept !== undefined && Date.now() < kept.until;

/**
 * Ask in one request for several things that a page is going to ask for, one by one, as its parts come: each takes its own, and asks for it by itself from then
 * on. `{0.instance}` in one is what the answer to the first has there. Says what they were answered, by address; empty: they are on their way already.
 */
export async function gather(reads: string[]): Promise<Gathered["reads"]> {
  const first = reads[0];
  if (first === undefined || fresh(ahead.get(one(`/v1${first}`)))) return [];
  const places = [...known];
  const wait_for = places.map(([p, o]) => `${p}-${o}`).join(",");
  let place: string | null | undefined;
  const whose = reader;
  const came = ask(`/v1/gathered${query({ get: reads, wait_for })}`, { headers: headers() }).then(async (response) => {
    if (!response.ok) throw new Error(`${response.status}`);
    const found = (await response.json()) as Gathered;
    place = found.position;
    for (const read of found.reads) if (!read.get.includes("{")) keep(read.get, Promise.resolve(responseOf(read)));
    return found.reads;
  });
  const keep = (path: string, answer: Promise<Response>) => {
    const key = one(`/v1${path}`);
    if (whose === reader && !gone.has(key) && !fresh(ahead.get(key))) ahead.set(key, { until: Date.now() + GATHERED_MS, answer, place: () => place });
  };
  reads.forEach((path, n) => {
    if (path.includes("{")) return;
    const answer = came.then((all) => responseOf(all[n]!));
    answer.catch(() => undefined); // who takes it asks again
    keep(path, answer);
  });
  return came;
}

const responseOf = ({ status, body }: Gathered["reads"][number]) => new Response(typeof body === "string" ? body : JSON.stringify(body), { status });

/** Whether what was gathered is true up to these places. */
function reaches(told: string | null | undefined, places: [string, number][]): boolean {
  const at = new Map((told ?? "").split(",").map((part) => part.split("-") as [string, string]));
  return places.every(([partition, offset]) => Number(at.get(partition) ?? -1) >= offset);
}

/** What was asked for ahead and is as new as it must be; undefined: ask. Who has signed in meanwhile would be sent away again by the answer from before. */
async function taken(url: string, places: [string, number][], signal?: AbortSignal | null): Promise<Response | undefined> {
  const key = one(url);
  const kept = ahead.get(key);
  ahead.delete(key);
  if (performance.now() < AHEAD_MS) gone.add(key);
  if (!kept || !fresh(kept) || signal?.aborted || (places.length > 0 && !kept.place)) return undefined;
  const response = await kept.answer.catch(() => undefined);
  return response && response.status !== 401 && reaches(kept.place?.(), places) ? response : undefined;
}

function headers(more?: Record<string, string>): Record<string, string> {
  return { Accept: "application/json", ...proof(), ...more };
}

/** What a list gives: its rows, whole. */
type Answer<A extends string> = [RowOf<A>] extends [never] ? AnswerOf<"get", A> : Page<RowOf<A>>;

export async function get<A extends GetPath>(path: A, params?: ParamsOf<A>, signal?: AbortSignal): Promise<Answer<A>> {
  return (await read(path, params, signal)) as Answer<A>;
}

async function read(path: string, params?: Params, signal?: AbortSignal): Promise<unknown> {
  const asked = rows.test(path) ? [...known] : [];
  const wait_for = asked.map(([p, o]) => `${p}-${o}`).join(",");
  const kept = await taken(`/v1${path}${query(params)}`, asked, signal);
  const found = await answer(kept ?? (await ask(`/v1${path}${query({ ...params, wait_for })}`, { headers: headers(), signal })));
  for (const [p, o] of asked) if (known.get(p) === o) known.delete(p); // it has been read
  return found;
}

export async function getText(path: string, signal?: AbortSignal): Promise<string> {
  const response = (await taken(`/v1${path}`, [], signal)) ?? (await ask(`/v1${path}`, { headers: headers({ Accept: "*/*" }), signal }));
  if (!response.ok) await answer(response);
  at = Date.now();
  watchers.forEach((f) => f());
  return response.text();
}

/** A file of the server as a download, where a plain link would come without the token. */
export async function getFile(path: string): Promise<Blob> {
  const response = await ask(`/v1${path}`, { headers: headers({ Accept: "*/*" }) });
  if (!response.ok) await answer(response);
  return response.blob();
}

/** What a request answers, as a file. */
export async function sendForFile<A extends PathOf<"POST">>(path: A, body: BodyOf<"POST", A>): Promise<Blob> {
  const response = await sent({ method: "POST", url: `/v1${path}`, body: JSON.stringify(body), more: { Accept: "*/*" } });
  if (!response.ok) await answer(response);
  return response.blob();
}

/** A file as it is. What is kept by its hash may be sent again as often as one likes. */
export async function sendFile(path: string, file: File): Promise<void> {
  const found = (await answer(await ask(`/v1${path}`, { method: "PUT", headers: headers({ "Content-Type": file.type || "application/octet-stream" }), body: file }))) as { position?: string };
  if (typeof found.position === "string") expect(found.position);
}

/** A change. It carries an id of its own, so that a repeat after a broken connection does nothing twice. */
export async function send<M extends "POST" | "PUT" | "PATCH" | "DELETE", A extends PathOf<M>>(method: M, path: A, body?: BodyOf<M, A>, params?: Params, more?: Record<string, string>, signal?: AbortSignal): Promise<AnswerOf<M, A>> {
  const response = await sent({ method, url: `/v1${path}${query(params)}`, body: body === undefined ? undefined : JSON.stringify(body), more }, signal);
  return (await changed(response)) as AnswerOf<M, A>;
}

async function changed(response: Response): Promise<unknown> {
  const found = (await answer(response)) as { position?: string } | undefined;
  if (typeof found?.position === "string") expect(found.position);
  return found;
}

/** Where the server wants a second person, what is asked is kept until somebody has approved it; asked again it is what was approved. */
async function sent(asked: second.Asked, signal?: AbortSignal): Promise<Response> {
  const before = second.keptOf(asked);
  if (before) {
    const status = await statusOf(before.approval, signal);
    if (status === "waiting") throw new ApiError(403, { status: 403, code: "APPROVAL_NEEDED", approval: before.approval });
    if (status === "approved" || status === "used") return carriedOut({ ...before, more: asked.more }, signal); // by what one has seen now; used: its answer was lost
    second.forget(before.approval); // refused, over, or gone: it is asked for anew
  }
  const response = await tried(asked, crypto.randomUUID(), second.reasonOf(asked.body), signal);
  if (response.status === 403) {
    const problem = (await response.clone().json().catch(() => ({}))) as Partial<Problem>;
    if (problem.approval) second.keep(asked, problem.approval);
  }
  return response;
}

/** Who may not look is taken at their word: the server knows. */
async function statusOf(approval: string, signal?: AbortSignal): Promise<string> {
  try {
    return ((await read(`/approvals/${approval}`, {}, signal)) as { status: string }).status;
  } catch (e) {
    if (e instanceof ApiError && e.status === 404) return "gone";
    if (e instanceof ApiError && e.status === 403) return "approved";
    throw e;
  }
}

async function carriedOut(kept: second.Kept, signal?: AbortSignal): Promise<Response> {
  const response = await tried(kept, kept.key, { "X-Approval": kept.approval }, signal);
  if (response.status < 500 && response.status !== 401 && response.status !== 429) second.forget(kept.approval); // done, or refused for good
  return response;
}

/** What somebody else has approved, done: what the server answers, or a file. */
export async function carryOut(kept: second.Kept): Promise<unknown> {
  const response = await carriedOut(kept);
  const json = /json/.test(response.headers.get("Content-Type") ?? "application/json") && kept.more?.Accept !== "*/*";
  return response.ok && !json ? response.blob() : changed(response);
}

async function tried({ method, url, body, more }: second.Asked, id: string, also: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit & { headers: Record<string, string> } = { method, headers: headers({ "Idempotency-Key": id, ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...more, ...also }), body, signal };
  for (let attempt = 0; ; attempt++) {
    try {
      const response = await shown(url, init);
      if ((response.status === 503 || response.status === 429) && attempt < 4) {
        await pause(Number(response.headers.get("Retry-After") ?? 0) * 1000 || 200 * 2 ** attempt);
        continue;
      }
      return response;
    } catch (e) {
      if (attempt >= 4 || e instanceof ApiError || signal?.aborted) throw e; // what was said no to, by the server or with the passkey, is not asked again by itself
      await pause(200 * 2 ** attempt); // the connection broke: the same id again
    }
  }
}

const pause = (ms: number) => new Promise((r) => setTimeout(r, Math.min(ms, 5000)));

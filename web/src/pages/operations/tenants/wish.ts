import type { RowOf } from "~/api/types";

/** The list has no ids: a tenant is known by its name. */
export type Tenant = RowOf<"/tenants"> & { id: string };
/** The tenant without name: the operator's own. */
export const DEFAULT = "default";
export const pathOf = (name: string) => `/tenants/${encodeURIComponent(name)}` as const;

interface Rate {
  max: number;
  per_ms: number;
}
/** What a person writes: numbers as texts, empty for none. */
export interface Wish {
  name: string;
  title: string;
  instances: string;
  starts: string;
  waiting: string;
  share: string;
  storage: string;
  concurrency: string;
  rate: string;
}
export const NUMBERS = ["instances", "starts", "waiting", "share", "storage", "concurrency", "rate"] as const;

type Quotas = { instances?: number; starts?: Rate; waiting?: number; share?: number; storage?: number };
type Jobs = { concurrency?: number; rate?: Rate; ageing_ms?: number };

export function quotasOf(of: { quotas?: unknown; jobs?: unknown }): Record<string, number> {
  const q = (of.quotas ?? {}) as Quotas;
  const j = (of.jobs ?? {}) as Jobs;
  const found: Record<string, number | undefined> = { instances: q.instances, starts: q.starts?.max, starts_ms: q.starts && (q.starts.per_ms ?? 1000), waiting: q.waiting, share: q.share, storage: q.storage, concurrency: j.concurrency, rate: j.rate?.max, rate_ms: j.rate && (j.rate.per_ms ?? 1000) };
  return Object.fromEntries(Object.entries(found).filter(([, v]) => v != null)) as Record<string, number>;
}

export function wishOf(of?: { name: string; title: string; quotas?: unknown; jobs?: unknown }): Wish {
  const q = of ? quotasOf(of) : {};
  const text = (k: string) => (q[k] === undefined ? "" : String(q[k]));
  return { name: of?.name ?? "", title: of?.title ?? "", instances: text("instances"), starts: text("starts"), waiting: text("waiting"), share: text("share"), storage: text("storage"), concurrency: text("concurrency"), rate: text("rate") };
}

export const isNumber = (text: string) => text === "" || (/^[1-9]\d{0,9}$/.test(text) && Number(text) <= 1_000_000_000);

/** What is sent: quotas and jobs as a whole, since what isn't said of them is none. What is not asked here (another time than a second, ageing) stays. */
export function asked(wish: Wish, before?: { quotas?: unknown; jobs?: unknown }) {
  const q = (before?.quotas ?? {}) as Quotas;
  const j = (before?.jobs ?? {}) as Jobs;
  const rate = (text: string, was?: Rate): Rate => ({ max: Number(text), per_ms: was?.per_ms ?? 1000 });
  const quotas: Quotas = { ...(wish.instances && { instances: Number(wish.instances) }), ...(wish.starts && { starts: rate(wish.starts, q.starts) }), ...(wish.waiting && { waiting: Number(wish.waiting) }), ...(wish.share && { share: Number(wish.share) }), ...(wish.storage && { storage: Number(wish.storage) }) };
  const jobs: Jobs = { ...(wish.concurrency && { concurrency: Number(wish.concurrency) }), ...(wish.rate && { rate: rate(wish.rate, j.rate) }) };
  if (j.ageing_ms && Object.keys(jobs).length) jobs.ageing_ms = j.ageing_ms;
  return { title: wish.title, quotas, jobs };
}

import types from "~/api/event-types.json";
import type { RowOf } from "~/api/types";

export type Webhook = RowOf<"/webhooks">;

export interface Wish {
  name: string;
  url: string;
  secrets: string[];
  types: string[];
  definitions: string[];
  filter: string;
  ordered: boolean;
  /** of a new one: all that has happened, not only what comes */
  past: boolean;
}

const SECRET = /^\{\{secrets\.([^{}\s]+)\}\}$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
/** What a webhook signs with at most, one taking the other's place. */
export const SECRETS_MAX = 5;

/** The name in a reference. */
export const secretName = (reference: string) => SECRET.exec(reference)?.[1] ?? reference;
export const reference = (name: string) => (SECRET.test(name.trim()) ? name.trim() : `{{secrets.${name.trim()}}}`);

/** Families of events, then each type. */
export const offered = [...new Set(types.map((type) => `${type.split(".")[0]}.*`)), ...types];

export const wishOf = (row?: Webhook): Wish => ({
  name: row?.name ?? "",
  url: row?.url ?? "",
  secrets: (row?.secrets ?? []).map(secretName),
  types: row?.types ?? [],
  definitions: row?.definitions ?? [],
  filter: row?.filter ?? "",
  ordered: row?.order === "instance",
  past: false,
});

/** What is wrong with a wish, by field: keys of texts. The server has the last word. */
export function wrongs(w: Wish): Partial<Record<keyof Wish, string>> {
  const found: Partial<Record<keyof Wish, string>> = {};
  if (!NAME.test(w.name)) found.name = "hooks.wrong.name";
  let url: URL | undefined;
  try {
    url = new URL(w.url);
  } catch {
    /* said below */
  }
  if (!url || !["http:", "https:"].includes(url.protocol)) found.url = "hooks.wrong.url";
  else if (url.username || url.password) found.url = "hooks.wrong.user";
  if (w.secrets.length < 1 || w.secrets.length > SECRETS_MAX) found.secrets = "hooks.wrong.secrets";
  else if (w.secrets.some((s) => /^whsec_/.test(s) || /\s/.test(s))) found.secrets = "hooks.wrong.value";
  return found;
}

export const bodyOf = (w: Wish, made: boolean) => ({
  url: w.url.trim(),
  secrets: w.secrets.map(reference),
  types: w.types,
  definitions: w.definitions,
  filter: w.filter.trim(),
  order: w.ordered ? ("instance" as const) : ("" as const),
  ...(made && w.past ? { position: "start" } : {}),
});

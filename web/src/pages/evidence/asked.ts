export const TABS = ["report", "duties", "rules", "access"] as const;
export type Tab = (typeof TABS)[number];

export const pathOf = (tab: Tab) => `/evidence/${tab}` as const;

/** The beginning of a day of the reader's; none: it is no day. */
function dayOf(text: string | undefined, later = 0): string | undefined {
  const [, y, m, d] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text ?? "") ?? [];
  const date = y ? new Date(Number(y), Number(m) - 1, Number(d) + later) : undefined;
  return date && !Number.isNaN(date.getTime()) && date.getFullYear() >= 1970 ? date.toISOString() : undefined;
}

/** What the address asks of the server: days are the reader's, the last one is in it. */
export function askedOf(tab: Tab, search: Record<string, string>): Record<string, string> {
  if (tab === "access") return {};
  const pair = search.pair?.split(",").map((p) => p.trim()).filter(Boolean);
  const found = {
    since: dayOf(search.since),
    until: dayOf(search.until, 1),
    definition: search.definition,
    ...(tab === "duties" ? { pair: search.definition && pair?.length ? pair.join(",") : undefined } : { actor: search.actor }),
  };
  return Object.fromEntries(Object.entries(found).filter(([, v]) => v)) as Record<string, string>;
}

const HOUR = 3_600_000;
/** How far back one looks, in ms; 0: from the beginning. */
export const SPANS: Record<string, number> = { day: 24 * HOUR, week: 7 * 24 * HOUR, month: 30 * 24 * HOUR, all: 0 };

/** The beginning of a span that ends now, as the API takes it; undefined: from the beginning. */
export function since(span: string | undefined, now: number): string | undefined {
  const back = SPANS[span ?? "all"];
  return back ? new Date(now - back).toISOString() : undefined;
}

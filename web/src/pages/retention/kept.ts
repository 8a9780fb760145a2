import type { TextOf } from "~/i18n";

const SPAN = /^P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/;
const UNITS = ["years", "months", "weeks", "days", "hours", "minutes", "seconds"] as const;

/** `P1Y6M` as `1 year, 6 months`; what is no duration stays as it is. */
export function keptFor(after: string, t: TextOf): string {
  const found = SPAN.exec(after);
  const parts = found ? UNITS.flatMap((unit, n) => (found[n + 1] ? [t(`span.${unit}${found[n + 1] === "1" ? ".one" : ""}`, { n: found[n + 1]! })] : [])) : [];
  return parts.length ? parts.join(", ") : after;
}

export const isSpan = (text: string) => SPAN.test(text);

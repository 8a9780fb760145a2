import { Tooltip } from "@mantine/core";
import { useEffect, useState } from "react";
import { useLanguage } from "~/i18n";

/** `3.4`, in the language of the page. */
export const inWords = (n: number, digits = 0) => n.toLocaleString(document.documentElement.lang || "en", { minimumFractionDigits: digits, maximumFractionDigits: 1 });

/** `2 min`, `3.4 s`, `5 d 2 h`: the two largest units that matter. `ms` may be negative. */
export function duration(ms: number): string {
  const sign = ms < 0 ? "−" : "";
  let rest = Math.abs(ms);
  if (rest < 1000) return `${sign}${Math.round(rest)} ms`;
  if (rest < 60_000) return `${sign}${inWords(Math.floor(rest / 100) / 10)} s`;
  const parts: string[] = [];
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
  ] as const) {
    const n = Math.floor(rest / size);
    if (n || parts.length) {
      if (n) parts.push(`${n} ${unit}`);
      rest -= n * size;
      if (parts.length === 2) break;
    }
  }
  return sign + parts.slice(0, 2).join(" ");
}

const ticks = new Set<() => void>();
setInterval(() => ticks.forEach((f) => f()), 5000);

function useNow(): number {
  const [, set] = useState(0);
  useEffect(() => {
    const f = () => set((n) => n + 1);
    ticks.add(f);
    return () => {
      ticks.delete(f);
    };
  }, []);
  return Date.now();
}

/** Made once for a language: making one takes longer than writing a hundred times with it, and a list of rows has many, anew every five seconds. */
const made = new Map<string, Intl.DateTimeFormat>();
function exactly(language: string, dateStyle: "medium" | "short", timeStyle: "long" | "medium" | "short"): Intl.DateTimeFormat {
  const key = `${language} ${dateStyle} ${timeStyle}`;
  let found = made.get(key);
  if (!found) made.set(key, (found = new Intl.DateTimeFormat(language, { dateStyle, timeStyle })));
  return found;
}
const relatives = new Map<string, Intl.RelativeTimeFormat>();
function relatively(language: string): Intl.RelativeTimeFormat {
  let found = relatives.get(language);
  if (!found) relatives.set(language, (found = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" })));
  return found;
}

/** All of a moment, for who asks. */
function Full({ at }: { at: string }) {
  const { language } = useLanguage();
  return <>{`${exactly(language, "medium", "long").format(new Date(at))} · ${at}`}</>;
}

/** A moment in the reader's zone: relative when near, the exact time on hover. */
export function When({ at, exact = false }: { at: string | null | undefined; exact?: boolean }) {
  const { language } = useLanguage();
  const current = useNow();
  if (!at) return <span>–</span>;
  const date = new Date(at);
  const far = Math.abs(current - date.getTime());
  const relative = relatively(language);
  const signed = date.getTime() - current;
  const text =
    exact || far > 86_400_000
      ? exactly(language, "short", exact ? "medium" : "short").format(date)
      : far < 60_000
        ? relative.format(Math.round(signed / 1000), "second")
        : far < 3_600_000
          ? relative.format(Math.round(signed / 60_000), "minute")
          : relative.format(Math.round(signed / 3_600_000), "hour");
  return (
    <Tooltip label={<Full at={at} />}>
      <time dateTime={at}>{text}</time>
    </Tooltip>
  );
}

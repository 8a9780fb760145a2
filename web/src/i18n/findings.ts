import { useMemo } from "react";
import { useLoaded } from "./loaded";
import { translated } from "./sentences";

type Texts = Record<string, string>;

/** The server says what it finds in English; in other languages a file has it by its code. */
const FILES = { de: async () => (await import("./findings/de")).findings };

export interface Said {
  /** what is wrong, in the reader's language where a file has it */
  what: string;
  /** the server's own sentence with its names and values, where `what` is another */
  detail?: string;
  hint?: string;
}

export function said(texts: Texts | undefined, finding: { code: string; message: string; hint?: string | null }): Said {
  const what = texts?.[finding.code];
  if (texts === undefined || what === undefined) return { what: finding.message, hint: finding.hint ?? undefined };
  const hint = finding.hint ? (texts[`${finding.code}.hint`] ?? translated(texts, finding.hint, (_, value) => value) ?? finding.hint) : texts[`${finding.code}.hint`];
  return { what, detail: finding.message, hint };
}

/** Says findings in the reader's language; until its file is there, and if it can't be had, in the server's words. */
export function useFindingText(): (finding: Parameters<typeof said>[1]) => Said {
  const texts = useLoaded(FILES);
  return useMemo(() => (finding) => said(texts, finding), [texts]);
}

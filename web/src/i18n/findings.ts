import { useEffect, useMemo, useState } from "react";
import { useLanguage } from ".";

type Texts = Record<string, string>;

/** The server says what it finds in English; in other languages a file has it by its code. */
const FILES: Record<string, () => Promise<Texts>> = { de: async () => (await import("./findings/de")).findings };
const loaded: Record<string, Texts> = {};

export interface Said {
  /** what is wrong, in the reader's language where a file has it */
  what: string;
  /** the server's own sentence with its names and values, where `what` is another */
  detail?: string;
  hint?: string;
}

export function said(texts: Texts | undefined, finding: { code: string; message: string; hint?: string | null }): Said {
  const what = texts?.[finding.code];
  if (what === undefined) return { what: finding.message, hint: finding.hint ?? undefined };
  return { what, detail: finding.message, hint: texts?.[`${finding.code}.hint`] ?? finding.hint ?? undefined };
}

/** Says findings in the reader's language; until its file is there, and if it can't be had, in the server's words. */
export function useFindingText(): (finding: Parameters<typeof said>[1]) => Said {
  const { language } = useLanguage();
  const [texts, setTexts] = useState(loaded[language]);
  useEffect(() => {
    let current = true;
    const file = FILES[language];
    setTexts(loaded[language]);
    if (file && !loaded[language])
      file().then(
        (found) => {
          loaded[language] = found;
          if (current) setTexts(found);
        },
        () => undefined,
      );
    return () => {
      current = false;
    };
  }, [language]);
  return useMemo(() => (finding) => said(texts, finding), [texts]);
}

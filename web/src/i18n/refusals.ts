import { useMemo } from "react";
import { useText } from ".";
import { useLoaded } from "./loaded";
import { translated } from "./sentences";

/** The server says what it refuses in English; in other languages a file has its sentences. */
const FILES = { de: async () => (await import("./refusals/de")).refusals };

/** Says a sentence of the server in the reader's language; where no file has it, in the server's words. */
export function useServerText(): (sentence: string) => string {
  const t = useText();
  const texts = useLoaded(FILES);
  return useMemo(() => {
    const word = (kind: string, value: string) =>
      value.replace(/[a-z_]+/g, (one) => {
        const found = one === "or" ? t("where.or") : t(`${kind}.${one}`);
        return found === `${kind}.${one}` ? one : found;
      });
    return (sentence) => (texts && translated(texts, sentence, word)) ?? sentence;
  }, [t, texts]);
}

/** What went wrong, of whatever came. */
export const sentenceOf = (e: unknown): string => (e instanceof Error ? e.message : String(e));

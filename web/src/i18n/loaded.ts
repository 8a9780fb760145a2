import { useEffect, useState } from "react";
import { useLanguage } from ".";

type Texts = Record<string, string>;
type Files = Record<string, () => Promise<Texts>>;

const loaded = new Map<Files, Record<string, Texts>>();

/** Texts that only some readers need, in the reader's language: loaded when they are asked for. Until then, and if they can't be had, undefined. */
export function useLoaded(files: Files): Texts | undefined {
  const { language } = useLanguage();
  const have = loaded.get(files) ?? {};
  loaded.set(files, have);
  const [texts, setTexts] = useState(have[language]);
  useEffect(() => {
    let current = true;
    const file = files[language];
    setTexts(have[language]);
    if (file && !have[language])
      file().then(
        (found) => {
          have[language] = found;
          if (current) setTexts(found);
        },
        () => undefined,
      );
    return () => {
      current = false;
    };
  }, [files, have, language]);
  return texts;
}

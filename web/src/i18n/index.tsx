import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { en as english } from "./en";
import { control as enControl } from "./en-control";
import { doors as enDoors } from "./en-doors";
import { events as enEvents } from "./en-events";
import { insight as enInsight } from "./en-insight";
import { privacy as enPrivacy } from "./en-privacy";
import { second as enSecond } from "./en-second";
import { storage } from "~/shared/storage";

const en: Texts = { ...english, ...enControl, ...enDoors, ...enEvents, ...enInsight, ...enPrivacy, ...enSecond };

type Texts = Record<string, string>;

/** Pages that few open bring their own English, in place before they are drawn, so that the first page is light. */
export const brings = (...texts: Texts[]): Texts => Object.assign(en, ...texts);
interface Language {
  name: string;
  /** undefined until they are loaded */
  texts?: Texts;
  load: () => Promise<Texts>;
}

/** English is there at once, and the measure of what must be there (tests/shared.test.ts); others are loaded by who reads them. */
export const languages: Record<string, Language> = {
  en: { name: "English", texts: en, load: async () => (await import("./english")).english },
  de: { name: "Deutsch", load: async () => (await import("./german")).german },
};

export type Values = Record<string, string | number>;
export type TextOf = (key: string, values?: Values) => string;

const Chosen = createContext({ language: "en", setLanguage: (_: string) => {} });

const KEY = "flowledger.language";

function first(): string {
  const kept = storage.getItem(KEY);
  if (kept && kept in languages) return kept;
  return navigator.languages.map((l) => l.slice(0, 2)).find((l) => l in languages) ?? "en";
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, set] = useState(first);
  const [ready, setReady] = useState("en");
  useEffect(() => {
    document.documentElement.lang = language;
    const of = languages[language];
    if (!of || of.texts) return;
    let current = true;
    of.load().then(
      (texts) => {
        of.texts = texts;
        if (current) setReady(language);
      },
      () => current && set("en"), // the server is away: better in English than not at all
    );
    return () => {
      current = false;
    };
  }, [language]);
  const value = useMemo(
    () => ({
      language,
      setLanguage: (l: string) => {
        storage.setItem(KEY, l);
        set(l);
      },
    }),
    [language],
  );
  return <Chosen value={value}>{ready === language || languages[language]?.texts ? children : null}</Chosen>;
}

export const useLanguage = () => useContext(Chosen);

/** `{name}` is filled from `values`; `key.one` is taken when `values.count` is 1. */
export function textOf(language: string, key: string, values?: Values): string {
  const texts = languages[language]?.texts ?? en;
  const one = values?.count === 1 ? `${key}.one` : key;
  const text = texts[one] ?? texts[key] ?? en[one] ?? en[key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole)) : text;
}

export function useText(): TextOf {
  const { language } = useLanguage();
  return useMemo(() => (key, values) => textOf(language, key, values), [language]);
}

import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { de } from "./de";
import { control as deControl } from "./de-control";
import { designer as deDesigner } from "./de-designer";
import { doors as deDoors } from "./de-doors";
import { events as deEvents } from "./de-events";
import { en as english } from "./en";
import { control as enControl } from "./en-control";
import { designer as enDesigner } from "./en-designer";
import { doors as enDoors } from "./en-doors";
import { events as enEvents } from "./en-events";

const en = { ...english, ...enControl, ...enDesigner, ...enDoors, ...enEvents };

/** One file per language; English is the measure of what must be there (tests/i18n.test.ts). */
export const languages: Record<string, { name: string; texts: Record<string, string> }> = {
  en: { name: "English", texts: en },
  de: { name: "Deutsch", texts: { ...de, ...deControl, ...deDesigner, ...deDoors, ...deEvents } },
};

export type Values = Record<string, string | number>;
export type TextOf = (key: string, values?: Values) => string;

const Language = createContext({ language: "en", setLanguage: (_: string) => {} });

const KEY = "flowledger.language";

function first(): string {
  const kept = localStorage.getItem(KEY);
  if (kept && kept in languages) return kept;
  return navigator.languages.map((l) => l.slice(0, 2)).find((l) => l in languages) ?? "en";
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, set] = useState(first);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const value = useMemo(
    () => ({
      language,
      setLanguage: (l: string) => {
        localStorage.setItem(KEY, l);
        set(l);
      },
    }),
    [language],
  );
  return <Language value={value}>{children}</Language>;
}

export const useLanguage = () => useContext(Language);

/** `{name}` is filled from `values`; `key.one` is taken when `values.count` is 1. */
export function textOf(language: string, key: string, values?: Values): string {
  const texts = languages[language]?.texts ?? en;
  const one = values?.count === 1 ? `${key}.one` : key;
  const text = texts[one] ?? texts[key] ?? (en as Record<string, string>)[one] ?? (en as Record<string, string>)[key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole)) : text;
}

export function useText(): TextOf {
  const { language } = useLanguage();
  return useMemo(() => (key, values) => textOf(language, key, values), [language]);
}

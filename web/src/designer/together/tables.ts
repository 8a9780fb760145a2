/** What decisions (DMN) have beside what `flat.ts` knows; the same in Python is `api/together/tables.py`, which says why. */
import type { Fields, Value } from "./flat";

const VERSIONS = ["20191111", "20180521", "20211108", "20230324", "20240513"];
export const MODEL = [...VERSIONS.map((v) => `https://www.omg.org/spec/DMN/${v}/MODEL/`), "http://www.omg.org/spec/DMN/20180521/MODEL/"];
export const DI = [...VERSIONS.map((v) => `https://www.omg.org/spec/DMN/${v}/DMNDI/`), "http://www.omg.org/spec/DMN/20180521/DMNDI/"];
const CELLS: [string, string][] = [
  ["dmn:inputEntry", "dmn:input"],
  ["dmn:outputEntry", "dmn:output"],
  ["dmn:annotationEntry", "dmn:annotation"],
];
const IS_CELL = new Set(CELLS.map(([cell]) => cell));
const GETS_ID = new Set(["dmn:rule", "dmn:input", "dmn:output", "dmn:inputEntry", "dmn:outputEntry"]);
const ONE_OF: Record<string, string[]> = {
  "dmn:informationRequirement": ["dmn:requiredDecision", "dmn:requiredInput"],
  "dmn:knowledgeRequirement": ["dmn:requiredKnowledge"],
  "dmn:authorityRequirement": ["dmn:requiredAuthority", "dmn:requiredDecision", "dmn:requiredInput"],
};
const ALL_OF: Record<string, string[]> = { "dmn:association": ["dmn:sourceRef", "dmn:targetRef"] };
const asId = (text: string) => text.replace(/[^A-Za-z0-9_.-]/gu, "_");
type Of = Map<string, Value>;

export function idFor(tag: string, parent: Of, place: number, taken: Set<string>): string | undefined {
  if (!GETS_ID.has(tag)) return undefined;
  const base = `${asId(String(parent.get("@id") ?? "table"))}_${tag.slice(4)}_${place}`;
  let id = base;
  for (let n = 2; taken.has(id); n++) id = `${base}_${n}`;
  taken.add(id);
  return id;
}

const tagOf = (all: Fields, key: string) => String(all.get(key)?.get("<"));

export function columns(all: Fields, table: string, listed: Map<string, string[]>) {
  const below = listed.get(table) ?? [];
  for (const rule of below.filter((k) => tagOf(all, k) === "dmn:rule"))
    for (const [cell, column] of CELLS) {
      const of = below.filter((k) => tagOf(all, k) === column);
      (listed.get(rule) ?? []).filter((k) => tagOf(all, k) === cell).forEach((key, i) => of[i] !== undefined && all.get(key)!.set("&", of[i]));
    }
}

export function aligned(all: Fields, children: Map<string, string[]>, alive: Set<string>): Fields {
  const made: Fields = new Map(all);
  for (const table of [...alive].filter((k) => tagOf(all, k) === "dmn:decisionTable")) {
    const below = (children.get(table) ?? []).filter((k) => alive.has(k));
    for (const rule of below.filter((k) => tagOf(all, k) === "dmn:rule")) {
      const cells: string[] = [];
      const inside = (children.get(rule) ?? []).filter((k) => alive.has(k));
      for (const [cell, column] of CELLS) {
        const by = new Map<Value | undefined, string>();
        for (const k of inside) if (tagOf(all, k) === cell && !by.has(all.get(k)!.get("&"))) by.set(all.get(k)!.get("&"), k);
        for (const at of below.filter((k) => tagOf(all, k) === column)) {
          let key = by.get(at);
          if (key === undefined) {
            let id = `${asId(rule)}_${asId(at)}`;
            key = cell === "dmn:annotationEntry" ? `${rule}/${cell}~${id}` : id;
            if (all.has(key)) key = id = `${key}_cell`;
            const of: Of = new Map<string, Value>([["<", cell], ["^", rule], ["#", 0], ["&", at], ["$", ""]]);
            if (cell !== "dmn:annotationEntry") of.set("@id", id);
            made.set(key, of);
            alive.add(key);
          }
          cells.push(key);
        }
      }
      children.set(rule, [...inside.filter((k) => !IS_CELL.has(tagOf(all, k))), ...cells]);
    }
  }
  return made;
}

export function lost(all: Fields, key: string, ids: Map<string, string>, children: Map<string, string[]>, alive: Set<string>): boolean {
  const of = all.get(key)!;
  const tag = tagOf(all, key);
  const href = String(of.get("@href") ?? "");
  if (href.startsWith("#") && !ids.has(href.slice(1))) return true;
  const [one, every] = [ONE_OF[tag], ALL_OF[tag]];
  if (!one && !every) return false;
  const below = new Set((children.get(key) ?? []).filter((k) => alive.has(k)).map((k) => tagOf(all, k)));
  return one ? !one.some((t) => below.has(t)) : !every!.every((t) => below.has(t));
}

/** A form (JSON) as a flat table of values, and back; the same in Python is `api/together/forms.py`, which says what the entries are. */
import type { Fields, Value } from "./flat";

export const ROOT = "form";
const ITEM = "item";
const NAMING = ["key", "value", "name"];
const FIRST = ["type", "id", "key", "label", "text"];
const DEPTH_MAX = 100;

export class NoForm extends Error {}

type Tree = Record<string, unknown>;
const isTree = (v: unknown): v is Tree => typeof v === "object" && v !== null && !Array.isArray(v);
const plain = (): Tree => Object.create(null) as Tree;

export const isForm = (text: string) => /^[\ufeff \t\r\n]*\{/.test(text);

export function read(text: string): Fields {
  let tree: unknown;
  try {
    tree = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (e) {
    throw new NoForm(`a form as JSON was expected: ${(e as Error).message}`);
  }
  if (!isTree(tree) || !Array.isArray(tree.components)) throw new NoForm("a form with a list of `components` was expected");
  const found: Fields = new Map();
  const properties = (from: Tree, above: string, of: Map<string, Value>, lists: [string, Tree[]][], depth: number) => {
    if (depth + above.split("/").length - 1 > DEPTH_MAX) throw new NoForm(`at most ${DEPTH_MAX} objects within each other were expected`);
    for (const [name, value] of Object.entries(from)) {
      const path = above + name.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll("|", "~2");
      if (isTree(value) && Object.keys(value).length) properties(value, `${path}/`, of, lists, depth);
      else if (Array.isArray(value) && value.length && value.every(isTree)) lists.push([path, value]);
      else of.set(`%${path}`, JSON.stringify(value ?? null));
    }
  };
  const element = (from: Tree, of: Map<string, Value>, base: string, depth: number) => {
    let key = base;
    for (let n = 2; found.has(key); n++) key = `${base}~${n}`;
    found.set(key, of);
    const lists: [string, Tree[]][] = [];
    properties(from, "", of, lists, depth);
    for (const [path, items] of lists)
      items.forEach((item, i) => {
        const told = NAMING.map((n) => item[n]).find((v): v is string => typeof v === "string" && v !== "") ?? "";
        const below = typeof item.id === "string" && item.id ? item.id : `${key}/${path}${told ? `=${[...told].slice(0, 100).join("")}` : ""}`;
        element(item, new Map<string, Value>([["<", ITEM], ["^", key], ["#", i], ["[", path]]), below, depth + 1);
      });
  };
  element(tree, new Map<string, Value>([["<", ROOT], ["^", ""], ["#", 0]]), ROOT, 0);
  return found;
}

export function write(all: Fields, root: string, children: Map<string, string[]>): string {
  const tree = (key: string, depth: number): Tree => {
    const made = plain();
    const of = all.get(key)!;
    for (const name of [...of.keys()].filter((n) => n[0] === "%").sort()) {
      let value: unknown;
      try {
        value = JSON.parse(String(of.get(name)));
      } catch {
        continue; // anybody may have written into the table
      }
      put(made, name.slice(1), value);
    }
    const lists = new Map<string, unknown[]>();
    for (const below of depth < DEPTH_MAX ? (children.get(key) ?? []) : []) {
      const path = String(all.get(below)!.get("[") ?? "components");
      lists.set(path, [...(lists.get(path) ?? []), tree(below, depth + 1)]);
    }
    for (const path of [...lists.keys()].sort()) put(made, path, lists.get(path));
    if (key === root) made.components ??= [];
    return ordered(made);
  };
  return `${JSON.stringify(tree(root, 0), null, 2)}\n`;
}

function put(into: Tree, path: string, value: unknown) {
  const parts = path.split("/").map((p) => p.replaceAll("~2", "|").replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = parts.pop()!;
  let made = into;
  for (const name of parts) {
    let below = made[name];
    if (!isTree(below)) made[name] = below = plain();
    made = below as Tree;
  }
  if (isTree(made[last]) && isTree(value) && !Object.keys(value).length) return;
  made[last] = value;
}

function ordered(made: Tree): Tree {
  const rank = (n: string) => (FIRST.includes(n) ? FIRST.indexOf(n) : n === "components" ? FIRST.length + 1 : FIRST.length);
  const found = plain();
  for (const name of Object.keys(made).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))) found[name] = isTree(made[name]) ? ordered(made[name]) : made[name];
  return found;
}

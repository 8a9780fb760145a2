import * as forms from "./forms";
import * as tables from "./tables";

/**
 * A model (BPMN, DMN, a form) as a flat table of values, and back: what several people can change at once without knowing of each other. The server has the same in
 * Python (`api/together/flat.py`, which says what the fields are); one table of cases holds for both (`tests/designer/together.json`).
 */
export type Value = string | number;
export type Fields = Map<string, Map<string, Value>>;
export type Changes = Map<string, Value | null>;

const KNOWN: Record<string, string> = {
  bpmn: "http://www.omg.org/spec/BPMN/20100524/MODEL",
  bpmndi: "http://www.omg.org/spec/BPMN/20100524/DI",
  dc: "http://www.omg.org/spec/DD/20100524/DC",
  di: "http://www.omg.org/spec/DD/20100524/DI",
  xsi: "http://www.w3.org/2001/XMLSchema-instance",
  zeebe: "http://camunda.org/schema/zeebe/1.0",
  flowledger: "urn:flowledger:bpmn:1",
  xml: "http://www.w3.org/XML/1998/namespace",
  dmn: tables.MODEL[0]!,
  dmndi: tables.DI[0]!,
  dmndc: "http://www.omg.org/spec/DMN/20180521/DC/",
  dmndd: "http://www.omg.org/spec/DMN/20180521/DI/",
};
const VERSIONED: Record<string, string[]> = { dmn: tables.MODEL, dmndi: tables.DI };
const PREFIX = new Map([...Object.entries(KNOWN), ...Object.entries(VERSIONED).flatMap(([prefix, all]) => all.map((uri) => [prefix, uri] as [string, string]))].map(([prefix, uri]) => [uri, prefix]));
const DRAWN: Record<string, [string, string]> = { bpmndi: ["dc", "di"], dmndi: ["dmndc", "dmndd"] };
const ROOTS = ["bpmn:definitions", "dmn:definitions", forms.ROOT];
const XMLNS = "http://www.w3.org/2000/xmlns/";
const NAMING = ["bpmnElement", "dmnElementRef", "target", "key", "name", "eventType"];
const NEEDS: Record<string, string[]> = {
  "bpmn:sequenceFlow": ["sourceRef", "targetRef"],
  "bpmn:messageFlow": ["sourceRef", "targetRef"],
  "bpmn:association": ["sourceRef", "targetRef"],
  "bpmn:boundaryEvent": ["attachedToRef"],
  "bpmndi:BPMNShape": ["bpmnElement"],
  "bpmndi:BPMNEdge": ["bpmnElement"],
  "bpmndi:BPMNPlane": ["bpmnElement"],
  "dmndi:DMNShape": ["dmnElementRef"],
  "dmndi:DMNEdge": ["dmnElementRef"],
};
const BOUNDS = ["x", "y", "width", "height"];
// eslint-disable-next-line no-control-regex
const XML_BAD = /[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]/u;
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_.-]*)?$/;
const DEPTH_MAX = 100;

export class NotDrawn extends Error {}

const str = (v: Value | undefined) => (v === undefined ? "" : String(v));
/** in the order of code points, as Python has it */
const less = (a: string, b: string) => {
  if (a === b) return 0;
  const [x, y] = [[...a], [...b]];
  for (let i = 0; i < x.length && i < y.length; i++) if (x[i] !== y[i]) return x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!;
  return x.length - y.length;
};

export function read(text: string): Fields {
  if (forms.isForm(text))
    try {
      return forms.read(text);
    } catch (e) {
      throw e instanceof forms.NoForm ? new NotDrawn(e.message) : e;
    }
  const doc = new DOMParser().parseFromString(text, "text/xml");
  const root = doc.documentElement;
  const decisions = root?.localName === "definitions" && tables.MODEL.includes(root.namespaceURI ?? "");
  const drawn = root?.localName === "definitions" && root.namespaceURI === KNOWN.bpmn && doc.getElementsByTagNameNS(KNOWN.bpmndi!, "BPMNPlane").length > 0;
  if (!root || doc.getElementsByTagName("parsererror").length || (!decisions && !drawn)) throw new NotDrawn("a BPMN document with a drawing, decisions (DMN 1.2 to 1.6) or a form was expected");
  const every = decisions ? [...doc.getElementsByTagName("*")] : [];
  const taken = new Set(every.map((e) => e.getAttribute("id")).filter((id): id is string => Boolean(id)));
  const nth = new Map<string, number>();
  const found: Fields = new Map();
  const own = new Map<string, string>();
  const name = (local: string, uri: string | null, prefix: string | null) => {
    if (!uri) return local;
    let known = PREFIX.get(uri) ?? own.get(uri);
    if (known === undefined) {
      known = prefix && !(prefix in KNOWN) && ![...own.values()].includes(prefix) ? prefix : `ns${own.size}`;
      own.set(uri, known);
    }
    return `${known}:${local}`;
  };
  const keyOf = (tag: string, of: Map<string, Value>, parent: string, children: boolean) => {
    let base = str(of.get("@id"));
    if (!base) {
      const naming = NAMING.find((n) => of.has(`@${n}`));
      let told = naming ? str(of.get(`@${naming}`)) : "";
      if (!told && !children && of.has(".") && (tag === "bpmn:incoming" || tag === "bpmn:outgoing" || tag.endsWith("Ref"))) told = str(of.get(".")).trim();
      base = `${parent}/${tag}${told ? `=${[...told].slice(0, 100).join("")}` : ""}`;
    }
    let key = base;
    for (let n = 2; found.has(key); n++) key = `${base}~${n}`;
    return key;
  };
  const element = (e: Element, parent: string, place: number, depth: number) => {
    if (depth > DEPTH_MAX) throw new NotDrawn(`at most ${DEPTH_MAX} elements within each other were expected`);
    const tag = name(e.localName, e.namespaceURI, e.prefix);
    const of = new Map<string, Value>([
      ["<", tag],
      ["^", parent],
      ["#", place],
    ]);
    for (const a of e.attributes) {
      if (a.namespaceURI === XMLNS) continue;
      const known = name(a.localName, a.namespaceURI, a.prefix);
      let value = a.value;
      if (known === "xsi:type") {
        const [prefix, local] = value.includes(":") ? [value.slice(0, value.indexOf(":")), value.slice(value.indexOf(":") + 1)] : ["", value];
        const uri = e.lookupNamespaceURI(prefix || null);
        if (prefix) value = `${PREFIX.get(uri ?? "") ?? prefix}:${local}`;
        else if (uri) value = `${PREFIX.get(uri) ?? "bpmn"}:${local}`;
      }
      of.set(`@${known}`, value);
    }
    let children = [...e.children];
    const above = found.get(parent);
    if (decisions && !of.has("@id") && above) {
      const n = (nth.get(`${parent} ${tag}`) ?? 0) + 1;
      nth.set(`${parent} ${tag}`, n);
      const id = tables.idFor(tag, above, n, taken);
      if (id) of.set("@id", id);
    }
    if (tag.startsWith("dmn:")) {
      const told = children.find((c) => name(c.localName, c.namespaceURI, c.prefix) === "dmn:text" && !c.children.length && !c.attributes.length);
      if (told) {
        of.set("$", told.textContent ?? "");
        children = children.filter((c) => c !== told);
      }
    }
    let text = "";
    for (const n of e.childNodes) {
      if (n.nodeType === 1) break;
      if (n.nodeType === 3 || n.nodeType === 4) text += n.nodeValue;
    }
    if (text.trim()) of.set(".", text);
    const key = keyOf(tag, of, parent, children.length > 0);
    found.set(key, of);
    const left: Element[] = [];
    const drawn: string[] = [];
    const [bounds, points] = DRAWN[tag.slice(0, Math.max(tag.indexOf(":"), 0))] ?? ["", "di"];
    const at = (c: Element, n: string) => c.getAttribute(n) ?? "0";
    for (const child of children) {
      if (child.localName === "Bounds" && bounds && child.namespaceURI === KNOWN[bounds] && !of.has("=")) of.set("=", BOUNDS.map((n) => at(child, n)).join(" "));
      else if (child.localName === "waypoint" && child.namespaceURI === KNOWN[points]) drawn.push(`${at(child, "x")},${at(child, "y")}`);
      else left.push(child);
    }
    if (drawn.length) of.set("=", drawn.join(" "));
    left.forEach((child, i) => element(child, key, i, depth + 1));
  };
  element(root, "", 0, 0);
  const top = found.values().next().value!;
  for (const a of root.attributes) if (a.namespaceURI === XMLNS && a.prefix && !PREFIX.has(a.value) && !(a.localName in KNOWN) && !own.has(a.value)) own.set(a.value, a.localName);
  for (const [uri, prefix] of own) top.set(`!${prefix}`, uri);
  if (decisions) {
    const listed = listOf(found);
    for (const [key, of] of found) if (of.get("<") === "dmn:decisionTable") tables.columns(found, key, listed);
    for (const e of every) {
      const prefix = PREFIX.get(e.namespaceURI ?? "");
      if (prefix && prefix in VERSIONED && e.namespaceURI !== KNOWN[prefix]) top.set(`!${prefix}`, e.namespaceURI!);
    }
  }
  return found;
}

export function entries(all: Fields): Map<string, Value> {
  const found = new Map<string, Value>();
  for (const [key, of] of all) for (const [name, value] of of) found.set(`${key}|${name}`, value);
  return found;
}

export function fields(table: Iterable<[string, unknown]>): Fields {
  const found: Fields = new Map();
  for (const [entry, value] of table) {
    const cut = entry.lastIndexOf("|");
    const [key, name] = [entry.slice(0, Math.max(cut, 0)), entry.slice(cut + 1)];
    if (!key || !name) continue;
    if (name === "#" ? typeof value !== "number" || !(Math.abs(value) < 1e15) : typeof value !== "string" || (name[0] !== "%" && XML_BAD.test(value)) || ("@!".includes(name[0]!) && !NAME.test(name.slice(1)))) continue;
    let of = found.get(key);
    if (!of) found.set(key, (of = new Map()));
    of.set(name, value as Value);
  }
  for (const [key, of] of found) if (!NAME.test(str(of.get("<"))) || !of.has("^")) found.delete(key);
  return found;
}

const placeOf = (all: Fields, key: string) => (all.get(key)?.get("#") as number | undefined) ?? 0;
const sorted = (all: Fields, keys: string[]) => keys.sort((a, b) => placeOf(all, a) - placeOf(all, b) || less(a, b));

function listing(parents: Iterable<[string, string]>, all: Fields): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [key, above] of parents) {
    const listed = found.get(above);
    if (listed) listed.push(key);
    else found.set(above, [key]);
  }
  for (const listed of found.values()) sorted(all, listed);
  return found;
}

function standing(all: Fields): [string, Map<string, string[]>] {
  const root = [...all].filter(([, of]) => of.get("^") === "" && ROOTS.includes(str(of.get("<")))).map(([key]) => key).sort(less)[0];
  if (root === undefined) throw new NotDrawn("there is no document");
  const parent = new Map([...all].filter(([key]) => key !== root).map(([key, of]) => [key, str(of.get("^"))]));
  const cycle = (from: string) => {
    const path: string[] = [];
    const seen = new Set<string>();
    let key = from;
    while (parent.has(key) && !seen.has(key)) {
      path.push(key);
      seen.add(key);
      key = parent.get(key)!;
    }
    return seen.has(key) ? path.slice(path.indexOf(key)) : undefined;
  };
  const home = [...all].filter(([, of]) => of.get("<") === "bpmn:process" && of.get("^") === root).map(([key]) => key).sort(less)[0] ?? root;
  for (const key of [...parent.keys()].sort(less)) {
    const found = cycle(key);
    if (found) parent.set([...found].sort(less)[0]!, home);
  }
  return [root, listing(parent, all)];
}

function reached(root: string, children: Map<string, string[]>): Set<string> {
  const found = new Set([root]);
  for (const key of found) for (const below of children.get(key) ?? []) found.add(below); // a set goes on with what is added
  return found;
}

/** The root, the children of each, and the keys that make sense: a flow whose end somebody has deleted goes with it, and so on. */
export function whole(all: Fields): { root: string; children: Map<string, string[]>; alive: Set<string>; ids: Map<string, string> } {
  const [root, children] = standing(all);
  const alive = reached(root, children);
  for (;;) {
    const ids = new Map<string, string>();
    for (const key of alive) if (all.get(key)!.has("@id")) ids.set(str(all.get(key)!.get("@id")), key);
    const lost: string[] = [];
    for (const key of alive) {
      const of = all.get(key)!;
      const tag = str(of.get("<"));
      const text = str(of.get(".")).trim();
      if ((NEEDS[tag] ?? []).some((name) => !ids.has(str(of.get(`@${name}`)))) && !str(of.get("@dmnElementRef")).includes(":")) lost.push(key);
      else if (tag.startsWith("dmn:")) {
        if (tables.lost(all, key, ids, children, alive)) lost.push(key);
      } else if (tag === "bpmn:incoming" || tag === "bpmn:outgoing") {
        const flow = all.get(ids.get(text) ?? "");
        if (flow?.get(tag === "bpmn:incoming" ? "@targetRef" : "@sourceRef") !== all.get(str(of.get("^")))?.get("@id")) lost.push(key);
      } else if (tag === "bpmn:flowNodeRef" && !ids.has(text)) lost.push(key);
    }
    if (!lost.length) return { root, children, alive, ids };
    for (const key of lost) for (const one of reached(key, children)) alive.delete(one);
  }
}

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\r", "&#13;");
const quoted = (text: string) => escaped(text).replaceAll('"', "&quot;").replaceAll("\t", "&#9;").replaceAll("\n", "&#10;");

export function write(table: Fields): string {
  const { root, children, alive, ids } = whole(table);
  const named = str(table.get(root)!.get("<"));
  if (named === forms.ROOT) return forms.write(table, root, children);
  const all = tables.aligned(table, children, alive);
  const used = new Set([named.slice(0, named.indexOf(":"))]);
  const lines: string[] = [];
  const uses = (text: string) => text.includes(":") && used.add(text.slice(0, text.indexOf(":")));
  const rank = (n: string) => (n === "id" ? 0 : n === "name" ? 1 : 2);
  const drawing = (tag: string, value: string) => {
    if (!value) return [];
    const [bounds, waypoint] = DRAWN[tag.slice(0, Math.max(tag.indexOf(":"), 0))] ?? ["dc", "di"];
    if (value.includes(",")) {
      used.add(waypoint);
      return value.split(" ").map((point) => {
        const cut = point.indexOf(",");
        const [x, y] = cut < 0 ? [point, ""] : [point.slice(0, cut), point.slice(cut + 1)];
        return `<${waypoint}:waypoint x="${quoted(x)}" y="${quoted(y)}" />`;
      });
    }
    used.add(bounds);
    const parts = [...value.split(" "), "0", "0", "0", "0"];
    return [`<${bounds}:Bounds${BOUNDS.map((n, i) => ` ${n}="${quoted(parts[i]!)}"`).join("")} />`];
  };
  const element = (key: string, depth: number) => {
    const of = all.get(key)!;
    const tag = str(of.get("<"));
    let attributes = "";
    for (const name of [...of.keys()].filter((n) => n[0] === "@").map((n) => n.slice(1)).sort((a, b) => rank(a) - rank(b) || less(a, b))) {
      const value = str(of.get(`@${name}`));
      if (name === "default" && tag.startsWith("bpmn:") && !ids.has(value)) continue;
      attributes += ` ${name}="${quoted(value)}"`;
      uses(name);
      if (name === "xsi:type") uses(value);
    }
    uses(tag);
    const pad = "  ".repeat(depth);
    const inside = drawing(tag, str(of.get("="))).map((line) => `${pad}  ${line}`);
    const below = depth < DEPTH_MAX ? (children.get(key) ?? []).filter((k) => alive.has(k)) : [];
    const text = escaped(str(of.get(".")));
    const cell = of.has("$") ? [`${pad}  <dmn:text>${escaped(str(of.get("$")))}</dmn:text>`] : [];
    const head = `${pad}<${tag}${depth ? "" : "\0"}${attributes}`;
    if (!inside.length && !below.length && !cell.length) {
      lines.push(text ? `${head}>${text}</${tag}>` : `${head} />`);
      return;
    }
    lines.push(`${head}>${text}`, ...inside);
    for (const k of below) element(k, depth + 1);
    lines.push(...cell);
    lines.push(`${pad}</${tag}>`);
  };
  element(root, 0);
  const spaces = new Map<string, string>();
  const version = (prefix: string) => VERSIONED[prefix]?.find((uri) => uri === all.get(root)!.get(`!${prefix}`));
  for (const prefix of used) if (prefix !== "xml") spaces.set(prefix, version(prefix) ?? KNOWN[prefix] ?? `urn:unknown:${prefix}`);
  for (const [name, uri] of all.get(root)!) if (name[0] === "!" && !(name.slice(1) in KNOWN)) spaces.set(name.slice(1), str(uri));
  lines[0] = lines[0]!.replace("\0", () => [...spaces.keys()].sort(less).map((prefix) => ` xmlns:${prefix}="${quoted(spaces.get(prefix)!)}"`).join(""));
  return `<?xml version="1.0" encoding="UTF-8"?>\n${lines.join("\n")}\n`;
}

/** Cells that a document is written with, and the table doesn't have: who writes into one makes it. */
function filled(all: Fields): Set<string> {
  if (![...all.values()].some((of) => of.get("<") === "dmn:decisionTable")) return new Set();
  try {
    const { children, alive } = whole(all);
    return new Set([...tables.aligned(all, children, alive).keys()].filter((key) => !all.has(key)));
  } catch (e) {
    if (e instanceof NotDrawn) return new Set();
    throw e;
  }
}

/**
 * What leads from `old` to `new`, as entries to set (null: to delete) on the table that is `now`. Where somebody has deleted an element meanwhile, that stays;
 * `had`: the elements that the table had when `old` was taken from it (an element of `old` that it never had is made).
 */
export function changes(old: Fields, next: Fields, now: Fields, had?: Set<string>): Changes {
  const found: Changes = new Map();
  const unmade = filled(now);
  for (const key of old.keys()) if (!next.has(key)) for (const name of now.get(key)?.keys() ?? []) found.set(`${key}|${name}`, null);
  for (const [key, of] of next) {
    const there = now.get(key);
    const before = old.get(key);
    if (before && there) {
      for (const name of new Set([...of.keys(), ...before.keys()])) {
        const value = of.get(name);
        if (name !== "#" && value !== before.get(name) && value !== there.get(name)) found.set(`${key}|${name}`, value ?? null);
      }
    } else if (!before || (((had && !had.has(key)) || unmade.has(key)) && differs(before, of))) {
      for (const [name, value] of of) if (name !== "#" && there?.get(name) !== value) found.set(`${key}|${name}`, value);
    }
  }
  places(old, next, now, found);
  return found;
}

const differs = (a: Map<string, Value>, b: Map<string, Value>) => a.size !== b.size || [...a].some(([name, value]) => name !== "#" && b.get(name) !== value);
const listOf = (all: Fields) => listing([...all].map(([key, of]) => [key, str(of.get("^"))]), all);

function places(old: Fields, next: Fields, now: Fields, found: Changes) {
  const earlier = listOf(old);
  for (const [parent, listed] of listOf(next)) {
    const before = earlier.get(parent) ?? [];
    if (before.length === listed.length && before.every((k, i) => k === listed[i])) continue;
    const had = new Set(before);
    const still = new Set(listed.filter((k) => had.has(k)));
    const moved = before.filter((k) => still.has(k)).join("\n") !== [...still].join("\n");
    let last: number | undefined;
    let pushed = false;
    listed.forEach((key, i) => {
      let place = now.get(key)?.get("#") as number | undefined;
      const stays = had.has(key) && place !== undefined && (last === undefined || place > last || !(moved || pushed));
      if (!stays) {
        if (had.has(key) && !now.has(key)) return;
        const later = listed
          .slice(i + 1)
          .filter((k) => had.has(k) && now.get(k)?.get("#") !== undefined)
          .map((k) => now.get(k)!.get("#") as number);
        const after = later.find((p) => last === undefined || p > last);
        pushed ||= later.length > 0 && after !== later[0];
        if (after !== undefined) place = last === undefined ? after - 1 : (last + after) / 2;
        else place = last === undefined ? 0 : last + 1;
        if (now.get(key)?.get("#") !== place) found.set(`${key}|#`, place);
      }
      if (place !== undefined) last = last === undefined ? place : Math.max(last, place);
    });
  }
}

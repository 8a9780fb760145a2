/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

const own = (o: Any, name: string) => Object.prototype.hasOwnProperty.call(o, name);
const list = (v: Any): Any[] => (Array.isArray(v) ? v : v === undefined || v === null ? [] : [v]);
const isModdle = (v: Any) => v && typeof v === "object" && v.$descriptor;
const contained = (o: Any): Any[] => o.$descriptor.properties.filter((p: Any) => !p.isReference && own(o, p.name)).flatMap((p: Any) => list(o[p.name]).filter(isModdle));
const naming = (o: Any) => o.bpmnElement?.id ?? o.target ?? o.key ?? o.name ?? o.eventType ?? "";

/** Makes a tree of BPMN objects what `fresh` is. Objects that are in both stay the same objects: who holds one goes on with it. */
export function merge(definitions: Any, fresh: Any) {
  settle(fresh, pairs(definitions, fresh));
}

export function walk(o: Any, visit: (o: Any) => void) {
  visit(o);
  for (const c of contained(o)) walk(c, visit);
}

/** new object -> the one that stands for it already */
function pairs(old: Any, fresh: Any): Map<Any, Any> {
  const found = new Map<Any, Any>();
  const byId = new Map<string, Any>();
  walk(old, (o) => o.id && byId.set(o.id, o));
  const pair = (o: Any, n: Any) => {
    found.set(n, o);
    for (const p of n.$descriptor.properties) {
      if (p.isReference || !own(n, p.name)) continue;
      const left = list(own(o, p.name) ? o[p.name] : undefined).filter((c) => isModdle(c) && !c.id);
      for (const c of list(n[p.name])) {
        if (!isModdle(c) || c.$descriptor.isGeneric) continue;
        if (c.id) {
          const known = byId.get(c.id);
          if (known?.$type === c.$type) pair(known, c);
          else walkNew(c);
          continue;
        }
        let i = left.findIndex((x) => x.$type === c.$type && naming(x) === naming(c));
        if (i < 0) i = left.findIndex((x) => x.$type === c.$type && !naming(x));
        if (i >= 0) pair(left.splice(i, 1)[0], c);
        else walkNew(c);
      }
    }
  };
  // inside of what is new may stand what was elsewhere
  const walkNew = (n: Any) => {
    for (const c of contained(n)) {
      const known = c.id && byId.get(c.id);
      if (known?.$type === c.$type) pair(known, c);
      else walkNew(c);
    }
  };
  pair(old, fresh);
  return found;
}

/** Each object that stays gets the values of the new one, and all speak of those that stay. */
function settle(fresh: Any, same: Map<Any, Any>) {
  const of = (v: Any) => same.get(v) ?? v;
  const all: Any[] = [];
  walk(fresh, (n) => all.push(n));
  const work = all.map((n) => ({ n, t: of(n), values: n.$descriptor.properties.filter((p: Any) => own(n, p.name)).map((p: Any) => [p, n[p.name]]) as [Any, Any][] }));
  for (const { n, t, values } of work) {
    const has = new Set(values.map(([p]) => p.name));
    if (t !== n) for (const p of t.$descriptor.properties) if (own(t, p.name) && !has.has(p.name)) delete t[p.name];
    for (const [p, v] of values) {
      const value = Array.isArray(v) ? v.map(of) : of(v);
      if (own(t, p.name)) t[p.name] = value;
      else Object.defineProperty(t, p.name, { value, enumerable: !p.isReference, writable: true, configurable: true });
    }
    if (t !== n && n.$attrs) {
      for (const name of Object.keys(t.$attrs)) if (!own(n.$attrs, name)) delete t.$attrs[name];
      Object.assign(t.$attrs, n.$attrs);
    }
    for (const c of contained(t)) c.$parent = t;
  }
}

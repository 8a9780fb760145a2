import type { Drawing } from "./bind";
import type { Fields } from "./flat";
import { follow } from "./follow";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

/** A modeler, to be bound to a shared document. */
export const modelerOf = (m: Any): Drawing => ({
  text: async () => (await m.get("moddle").toXML(m.getDefinitions())).xml,
  follow: (text, old, now, begin) => follow(m, text, touched(old, now), begin),
  busy: () => Boolean(m.get("dragging").context()) || m.get("directEditing").isActive(),
  onDrawn: (heard) => m.on("commandStack.changed", heard),
});

/** Ids of elements that differ, for what has no shape those that it is in. */
export function touched(old: Fields, now: Fields): Set<string> {
  const found = new Set<string>();
  const add = (all: Fields, from: string) => {
    const seen = new Set<string>();
    for (let key = from; key && !seen.has(key); key = String(all.get(key)?.get("^") ?? "")) {
      seen.add(key);
      const of = all.get(key);
      const id = of?.get("@bpmnElement") ?? of?.get("@id");
      if (id === undefined) continue;
      found.add(String(id));
      // what it is made of (a timer, a loop) shows on the element that has it
      if (!/(Definition|Characteristics)$/.test(String(of?.get("<")))) return;
    }
  };
  for (const [key, of] of now) {
    const before = old.get(key);
    if (!before || before.size !== of.size || [...of].some(([name, value]) => name !== "#" && before.get(name) !== value)) add(now, key);
  }
  for (const key of old.keys()) if (!now.has(key)) add(old, key);
  return found;
}

import type { Drawing } from "./bind";
import { type Fields, read } from "./flat";
import { placeIn, type Typing } from "./typing";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

const standsAs = (of: Map<string, unknown>) => ["^", "#", "[", "%id", "%type", "%layout/row"].map((n) => String(of.get(n))).join("|");
const ownOf = (path: string) => path.split("/")[0]!.replaceAll("~2", "|").replaceAll("~1", "/").replaceAll("~0", "~");

/** Fields of the form and which of their properties differ; undefined: fields came, went or were moved. */
export function properties(old: Fields, now: Fields): Map<string, Set<string>> | undefined {
  const found = new Map<string, Set<string>>();
  const add = (all: Fields, key: string, name: string) => {
    let [at, of, path] = [key, all.get(key), name];
    // an option has no id: it is a property of the field that has it
    while (of && !of.has("%id") && of.get("^") !== "") {
      path = String(of.get("["));
      at = String(of.get("^"));
      of = all.get(at);
    }
    if (path === "components") return false;
    found.set(at, (found.get(at) ?? new Set()).add(ownOf(path)));
    return true;
  };
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    const [before, after] = [old.get(key), now.get(key)];
    if (!before || !after) {
      if ((before ?? after)!.has("%id") || !add(before ? old : now, key, "")) return undefined;
      continue;
    }
    const moved = standsAs(before) !== standsAs(after);
    if (moved && (after.has("%id") || !add(now, key, ""))) return undefined;
    for (const name of new Set([...before.keys(), ...after.keys()])) if (name[0] === "%" && before.get(name) !== after.get(name) && !add(now, key, name.slice(1))) return undefined;
  }
  return found;
}

const all = (schema: Any): Any[] => [schema, ...(schema.components ?? []).flatMap(all)];

/** An editor of a form, to be bound to a shared document. */
export function formOf(form: Any, box: HTMLElement, panel: HTMLElement, typing: Typing): Drawing {
  const text = () => JSON.stringify(form.saveSchema());
  /** Field by field where only properties differ: what is selected stays the same object. */
  const inPlace = (schema: Any): boolean => {
    const differ = properties(read(text()), read(JSON.stringify(schema)));
    if (!differ) return false;
    const [fresh, mine] = [new Map(all(schema).map((f) => [f.id, f])), new Map<string, Any>(all(form._getState().schema).map((f) => [f.id, f]))];
    for (const [key, names] of differ) {
      const id = key === "form" ? schema.id : key;
      const [to, from] = [fresh.get(id), mine.get(id)];
      if (!to || !from || names.has("id") || names.has("type")) return false;
      form.get("modeling").editFormField(from, Object.fromEntries([...names].map((name) => [name, to[name]])));
    }
    return true;
  };
  return {
    text: async () => text(),
    busy: () => typing.on() || Boolean(document.querySelector(".gu-mirror")),
    onDrawn: (heard) => form.on("commandStack.changed", heard),
    follow: async (now, _old, _all, begin) => {
      if (!begin()) return false;
      const schema = JSON.parse(now);
      // what the editor writes by itself is not what others have changed
      const { exporter, schemaVersion } = form.saveSchema();
      const told = { ...schema, ...(exporter ? { exporter } : {}), schemaVersion };
      const selected = form.get("selection").get()?.id as string | undefined;
      if (inPlace(told)) return true;
      const [there, beside] = [placeIn(box, "data-id"), placeIn(panel, "data-entry-id")];
      await form.importSchema(schema);
      const field = selected && form.get("formFieldRegistry").getAll().find((f: Any) => f.id === selected);
      if (field) form.get("selection").set(field);
      await new Promise((done) => setTimeout(done)); // drawn
      there();
      beside();
      return true;
    },
  };
}

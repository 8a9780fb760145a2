import { readable } from "~/dmn/readable";
import type { View } from "~/dmn/Views";
import type { Drawing } from "./bind";
import type { Fields } from "./flat";
import { merge, walk } from "./merge";
import { placeIn, type Typing } from "./typing";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

/** What a table shows beside the texts in it: only when that changes it has to be made anew. */
function shapeOf(decision: Any): string {
  const table = decision?.decisionLogic;
  if (table?.$type !== "dmn:DecisionTable") return "";
  const ids = (all: Any[] | undefined) => (all ?? []).map((one) => one.id).join(",");
  return [table.hitPolicy, table.aggregation, ids(table.input), ids(table.output), (table.annotation ?? []).length, ...(table.rule ?? []).map((r: Any) => `${r.id}:${ids(r.inputEntry)};${ids(r.outputEntry)}`)].join("|");
}

/** Keys that differ, as the ids that the shown elements have. */
function differing(old: Fields, now: Fields): Set<string> {
  const found = new Set<string>();
  for (const [key, of] of now) {
    const before = old.get(key);
    if (before && before.size === of.size && [...of].every(([name, value]) => before.get(name) === value)) continue;
    for (let at: string | undefined = key; at; at = now.get(at)?.get("^") as string | undefined) {
      found.add(at);
      if (now.get(at)?.get("<") === "dmn:rule") break;
    }
  }
  return found;
}

/** An editor of decisions, to be bound to a shared document. */
export function decisionsOf(m: Any, box: HTMLElement, typing: Typing, onDrawn: (heard: () => void) => void): Drawing {
  const viewer = () => m.getActiveViewer();
  return {
    text: async () => (await m.saveXML()).xml,
    busy: () => typing.on() || Boolean(viewer()?.get("dragging", false)?.context?.()) || Boolean(viewer()?.get("directEditing", false)?.isActive()),
    onDrawn,
    follow: async (text, old, now, begin) => {
      const view = m.getActiveView() as View | undefined;
      const before = shapeOf(view?.element);
      const { rootElement: fresh } = await m._moddle.fromXML(readable(text), "dmn:Definitions");
      if (!begin()) return false;
      const definitions = m.getDefinitions();
      merge(definitions, fresh);
      const byId: Record<string, Any> = {};
      walk(definitions, (o) => o.id && (byId[o.id] = o));
      m._collectIds(definitions, byId);
      m._updateViews();
      const views = m.getViews() as View[];
      const same = view && views.find((v) => v.id === view.id && v.type === view.type && v.element === view.element);
      if (same && before && before === shapeOf(same.element)) {
        const registry = viewer().get("elementRegistry");
        const root = viewer().get("sheet").getRoot();
        const changed = [...differing(old, now)].map((id) => registry.get(id)).filter(Boolean);
        viewer()
          .get("eventBus")
          .fire("elements.changed", { elements: [root, ...changed.filter((e) => e !== root)] });
        return true;
      }
      const next = same ?? views.find((v) => v.id === view?.id) ?? views.find((v) => v.type !== "drd") ?? views[0];
      if (!next) return true;
      const back = placeIn(box, "data-element-id");
      const canvas = same?.type === "drd" ? viewer().get("canvas") : undefined;
      const seen = canvas?.viewbox();
      const selected: string[] = viewer()?.get("selection", false)?.get?.()?.map?.((e: Any) => e.id) ?? [];
      await m.open(next);
      if (canvas) {
        canvas.viewbox({ x: seen.x, y: seen.y, width: seen.width, height: seen.height });
        const registry = viewer().get("elementRegistry");
        viewer().get("selection").select(selected.map((id) => registry.get(id)).filter(Boolean));
      } else back();
      return true;
    },
  };
}

import type { Person } from "~/api/presence";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Service = any;

/** Told apart on light and on dark ground, white can be read on each. */
export const COLOURS = ["#0b7285", "#c2255c", "#5f3dc4", "#2b8a3e", "#d9480f", "#1864ab", "#862e9c", "#5c4a00"];
export const colourOf = (p: { colour: number }) => COLOURS[p.colour % COLOURS.length]!;

/** Others' cursors over the canvas, and frames around what they have selected; moved as the picture is moved and zoomed. */
export function peopleOn(m: Service, box: HTMLElement, nobody: string) {
  const layer = document.createElement("div");
  layer.className = "fl-people";
  layer.setAttribute("aria-hidden", "true"); // the same stands above as a list
  box.append(layer);
  const cursors = new Map<number, HTMLElement>();
  let shown: Person[] = [];
  let over = false;
  const place = () => {
    const { x, y, scale } = m.get("canvas").viewbox();
    for (const p of shown) {
      const cursor = cursors.get(p.id);
      if (cursor && p.x !== null && p.y !== null) cursor.style.transform = `translate(${(p.x - x) * scale}px, ${(p.y - y) * scale}px)`;
    }
  };
  const frames = () => {
    const overlays = m.get("overlays");
    const registry = m.get("elementRegistry");
    overlays.remove({ type: "fl-person" });
    for (const p of shown)
      for (const id of p.selected) {
        const element = registry.get(id);
        if (!element || element.waypoints || element.parent == null) continue;
        const html = document.createElement("div");
        html.className = "fl-person-frame";
        html.dataset.person = p.name || nobody;
        html.style.cssText = `width:${element.width + 10}px;height:${element.height + 10}px;border-color:${colourOf(p)}`;
        overlays.add(id, "fl-person", { position: { top: -5, left: -5 }, html });
      }
  };
  m.on("canvas.viewbox.changed", place);
  m.on("commandStack.changed", frames);
  return {
    frames: () => !over && frames(),
    show(people: Person[]) {
      if (over) return; // a page that has not heard yet of the modeler that comes after this one
      const selections = (of: Person[]) => of.map((p) => `${p.id} ${p.colour} ${p.selected.join()}`).join(";");
      const before = selections(shown);
      shown = people;
      for (const [id, cursor] of cursors)
        if (!people.some((p) => p.id === id && p.x !== null)) {
          cursor.remove();
          cursors.delete(id);
        }
      for (const p of people) {
        if (p.x === null || cursors.has(p.id)) continue;
        const cursor = document.createElement("div");
        cursor.className = "fl-person";
        cursor.dataset.person = p.name || nobody;
        cursor.style.setProperty("--fl-person", colourOf(p));
        cursor.innerHTML = '<svg width="16" height="18" viewBox="0 0 16 18"><path d="M1 1l13 8-6 1.5L4.5 17z" fill="var(--fl-person)" stroke="#fff"/></svg>';
        const name = document.createElement("span");
        name.textContent = p.name || nobody;
        cursor.append(name);
        layer.append(cursor);
        cursors.set(p.id, cursor);
      }
      place();
      if (before !== selections(people)) frames();
    },
    away: () => {
      over = true;
      layer.remove();
    },
    /** where the mouse is, in the drawing's coordinates */
    at(e: MouseEvent): { x: number; y: number } {
      const r = box.getBoundingClientRect();
      const v = m.get("canvas").viewbox();
      return { x: Math.round(v.x + (e.clientX - r.left) / v.scale), y: Math.round(v.y + (e.clientY - r.top) / v.scale) };
    },
  };
}

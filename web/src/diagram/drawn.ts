/** A drawing as a file of its own: what the page says of its elements by styles and by what it lays over them stands in the file. No React, no viewer: a text in, a text out. */

export interface Element {
  id: string;
  name: string;
  /** classes as on the page: `fl-done`, `fl-incident` … */
  marks: string[];
  /** what stands at its lower left corner */
  badges: { text: string; colour: string }[];
  /** of a connection there is none */
  box?: { x: number; y: number; width: number; height: number };
}

export interface Colours {
  ground: string;
  ok: string;
  bad: string;
  wait: string;
}

export const BADGE = { active: "#1864ab", bad: "#b42318", done: "#2b6a4d", other: "#495057" };
const SVG = "http://www.w3.org/2000/svg";

/** The rules of diagram.css that say a state, without the page around them. */
const styles = (c: Colours) => `
.fl-done:not(.djs-connection) > .djs-visual > :first-child, .fl-added > .djs-visual > :first-child { stroke: ${c.ok} !important }
.fl-done.djs-connection > .djs-visual > path, .fl-taken.djs-connection > .djs-visual > path { stroke: ${c.ok} !important; stroke-width: 2.5px !important }
.fl-active:not(.djs-connection) > .djs-visual > :first-child { stroke: #1c7ed6 !important; stroke-width: 3px !important }
.fl-incident:not(.djs-connection) > .djs-visual > :first-child { stroke: ${c.bad} !important; stroke-width: 3px !important }
.fl-gone > .djs-visual > :first-child { stroke: ${c.bad} !important; stroke-dasharray: 4 }
.fl-changed > .djs-visual > :first-child { stroke: ${c.wait} !important }
.djs-outline, .djs-hit { display: none }
.fl-badge { font: 600 11px system-ui, sans-serif; text-anchor: middle; fill: #fff }`;

/** `data-state`: its marks without their prefix, for whoever reads the file by a program; its title says the same to people. */
export function drawn(svg: string, elements: Element[], colours: Colours): string {
  const file = new DOMParser().parseFromString(svg, "image/svg+xml");
  const root = file.documentElement;
  const make = (name: string, attributes: Record<string, string | number> = {}, text?: string) => {
    const made = file.createElementNS(SVG, name);
    for (const [k, v] of Object.entries(attributes)) made.setAttribute(k, String(v));
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const [x = 0, y = 0, width = 0, height = 0] = (root.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number);
  const edge = 12; // badges stand out of their elements
  root.setAttribute("viewBox", `${x - edge} ${y - edge} ${width + 2 * edge} ${height + 2 * edge}`);
  root.setAttribute("width", String(width + 2 * edge));
  root.setAttribute("height", String(height + 2 * edge));
  const ground = make("rect", { x: x - edge, y: y - edge, width: width + 2 * edge, height: height + 2 * edge, fill: colours.ground });
  root.prepend(ground);
  const shown = new Map([...root.querySelectorAll("[data-element-id]")].map((g) => [g.getAttribute("data-element-id"), g]));
  for (const e of elements) {
    const at = shown.get(e.id);
    if (!at) continue;
    const states = e.marks.filter((mark) => mark.startsWith("fl-")).map((mark) => mark.slice(3));
    if (states.length) at.setAttribute("data-state", states.join(" "));
    at.prepend(make("title", {}, [e.name, ...states, ...e.badges.map((b) => b.text)].join(" · ")));
    let left = (e.box?.x ?? 0) - 8;
    for (const b of e.box ? e.badges : []) {
      const wide = Math.max(16, 10 + 6.6 * b.text.length);
      const top = e.box!.y + e.box!.height - 10;
      const badge = make("g", { "data-badge-of": e.id });
      badge.append(make("rect", { x: left, y: top, width: wide, height: 16, rx: 8, fill: b.colour }), make("text", { x: left + wide / 2, y: top + 12, class: "fl-badge" }, b.text));
      root.append(badge);
      left += wide + 3;
    }
  }
  // the page's policy lets nobody make a style element without its nonce: it is written into the text
  return new XMLSerializer().serializeToString(file).replace(/<svg\b[^>]*>/, (open) => `${open}<style>${styles(colours)}</style>`);
}

import type { Person } from "~/api/presence";
import { colourOf } from "./people";

const quoted = (text: string) => `"${text.replace(/["\\\n\r\f<]/g, (c) => `\\${c.charCodeAt(0).toString(16)} `)}"`;

/**
 * Frames with a name around the cells of a table, or the fields of a form, that others are in. They are rules, not elements: an editor that draws a cell anew
 * keeps them.
 */
export function framesIn(within: string, at: (id: string) => string, nobody: string) {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return {
    show(people: Person[]) {
      const rules = people.flatMap((p) =>
        p.selected.slice(0, 1).map((id) => {
          const place = `${within} ${at(CSS.escape(id))}`;
          const colour = colourOf(p);
          return (
            `${place}{outline:2px solid ${colour};outline-offset:-2px;--fl-person:${colour}}` +
            `${place}:not(:has([contenteditable=true]:focus))::after{content:${quoted(p.name || nobody)};position:absolute;right:0;top:0;z-index:3;max-width:9rem;overflow:hidden;padding:0 4px;font:600 10px/14px system-ui,sans-serif;color:#fff;background:${colour};pointer-events:none;white-space:nowrap}`
          );
        }),
      );
      sheet.replaceSync(rules.join("\n"));
    },
    away: () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((s) => s !== sheet);
    },
  };
}

/** An element as the viewer has it, as far as going through the drawing by keys needs it. */
export interface Drawn {
  id: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** In the order in which one reads it: from left to right, and within a column from top to bottom. */
export const inOrder = (all: Drawn[]): string[] => [...all].sort((a, b) => a.x + a.width / 2 - (b.x + b.width / 2) || a.y - b.y || a.id.localeCompare(b.id)).map((e) => e.id);

const STEPS: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** Where a key leads from `at`; undefined: it is no such key. At the ends it stays. */
export function led(key: string, order: string[], at: string | undefined): string | undefined {
  if (order.length === 0) return undefined;
  if (key === "Home") return order[0];
  if (key === "End") return order.at(-1);
  const step = STEPS[key];
  if (!step) return undefined;
  const now = at ? order.indexOf(at) : -1;
  if (now < 0) return step > 0 ? order[0] : order.at(-1);
  return order[Math.min(order.length - 1, Math.max(0, now + step))];
}

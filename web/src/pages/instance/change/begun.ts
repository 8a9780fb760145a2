import type { IconName } from "~/shared/icons";
import type { Node, Step } from "./steps";

/** What changes what runs; each has a panel or a dialog of its own, with a look at what it would do. */
export const CHANGES = { modify: "designer", rerun: "redo", rollback: "undo", migrate: "forward" } as const satisfies Record<string, IconName>;
export type Change = keyof typeof CHANGES;

/** With what the panel begins that moves tokens: a new object each time somebody asks. */
export interface Begun {
  kind: Step["kind"];
  element: string;
}

export interface Beginning {
  key: "activate" | "move" | "cancel" | "rerun" | "rollback";
  icon: IconName;
  change: Change;
  begun?: Begun;
}

/** What can be begun at an element: by tokens that stand there, by whether it was done already; of the past one can only go back to it. */
export function beganWith(node: Node, at: { here: boolean; past: boolean; done: boolean }): Beginning[] {
  const tokens = (key: Step["kind"], icon: IconName): Beginning => ({ key, icon, change: "modify", begun: { kind: key, element: node.id } });
  const back: Beginning[] = at.done ? [{ key: "rollback", icon: "undo", change: "rollback" }] : [];
  if (at.past) return back;
  return [
    ...(node.attached ? [] : [tokens("activate", "plus")]),
    ...(at.here ? [tokens("move", "forward"), tokens("cancel", "close")] : []),
    ...(at.done && !node.attached ? [{ key: "rerun", icon: "redo", change: "rerun" } as const] : []),
    ...back,
  ];
}

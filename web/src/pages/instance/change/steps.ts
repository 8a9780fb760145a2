import type { Plan, StateToken } from "~/api/types";

/** One thing that is done by hand to tokens of an instance, as a person says it. */
export interface Step {
  kind: "activate" | "cancel" | "move";
  element: string;
  to?: string;
  /** token of the scope to activate in; none: the server finds it */
  scope?: string;
  variables?: Record<string, unknown>;
}

/** An element at which a token can stand. */
export interface Node {
  id: string;
  name: string;
  /** ids of the sub-processes around it, the innermost first */
  around: string[];
  /** it runs several times: tokens of its body are scopes for further runs */
  many: boolean;
  /** a boundary event: no token can be put there */
  attached: boolean;
}

const STANDS = /^(.*task|.*event|.*gateway|subProcess|transaction|adHocSubProcess|callActivity)$/i;
const AROUND = new Set(["subProcess", "transaction", "adHocSubProcess"]);

/** Out of a model's XML, in its order. Boundary events are reached by their hosts. */
export function nodesOf(xml: string): Node[] {
  const doc = new DOMParser().parseFromString(xml, "text/xml");
  const found: Node[] = [];
  for (const process of doc.getElementsByTagNameNS("*", "process"))
    for (const e of process.getElementsByTagName("*")) {
      const id = e.getAttribute("id");
      if (!id || !STANDS.test(e.localName) || e.closest("extensionElements")) continue;
      const around: string[] = [];
      for (let up = e.parentElement; up && up !== process; up = up.parentElement) if (AROUND.has(up.localName)) around.push(up.getAttribute("id") ?? "");
      const many = [...e.children].some((c) => c.localName === "multiInstanceLoopCharacteristics");
      found.push({ id, name: e.getAttribute("name") ?? "", around, many, attached: e.localName === "boundaryEvent" });
    }
  return found;
}

/** Scopes between which there is a choice: tokens of a sub-process around `node` of which several run, bodies of which `node` could be a further run. */
export function scopesOf(node: Node | undefined, tokens: StateToken[]): StateToken[] {
  if (!node) return [];
  const scopes = new Set(tokens.map((t) => t.scope));
  const open = tokens.filter((t) => scopes.has(t.token));
  const around = open.filter((t) => t.element === node.around[0]);
  const bodies = node.many ? open.filter((t) => t.element === node.id) : [];
  return [...(around.length > 1 ? around : []), ...bodies];
}

/** As the API has it. */
export const instructions = (steps: Step[]) =>
  steps.map(({ kind, element, to, scope, variables }) => ({
    ...(kind === "move" ? { move: { from: element, to: to ?? "" } } : { [kind]: element }),
    ...(scope ? { scope } : {}),
    ...(variables && Object.keys(variables).length > 0 ? { variables } : {}),
  }));

/** What a plan does to the drawing: elements that lose tokens, and those that get some. */
export function marksOf(plan: Plan | undefined): Record<string, string[]> {
  const marks: Record<string, string[]> = {};
  const put = (rows: unknown[] | undefined, mark: string) => {
    for (const row of (rows ?? []) as { kind: string; element?: string | [string, string] }[]) {
      const [element] = [row.element ?? []].flat().slice(-1);
      if (row.kind === "token" && element) marks[element] = [mark];
    }
  };
  put(plan?.cancelled, "fl-gone");
  put(plan?.moved, "fl-added");
  put(plan?.created, "fl-added");
  return marks;
}

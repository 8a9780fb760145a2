import { describe, expect, it } from "vitest";
import type { Plan, StateToken } from "~/api/types";
import { beganWith } from "~/pages/instance/change/begun";
import { instructions, marksOf, nodesOf, scopesOf } from "~/pages/instance/change/steps";

const MODEL = `<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"><process id="p">
<startEvent id="s"/><subProcess id="outer"><multiInstanceLoopCharacteristics/><userTask id="in" name="Inside"/><subProcess id="inner"><task id="deep"/></subProcess></subProcess>
<serviceTask id="many"><multiInstanceLoopCharacteristics/></serviceTask><boundaryEvent id="late" attachedToRef="many"><timerEventDefinition/></boundaryEvent>
<sequenceFlow id="f" sourceRef="s" targetRef="outer"/><dataObject id="d"/></process></definitions>`;
const token = (token: string, element: string, scope: string): StateToken => ({ token, element, scope, phase: "waiting" });

describe("what can be changed by hand", () => {
  const nodes = nodesOf(MODEL);
  const node = (id: string) => nodes.find((n) => n.id === id);
  it("knows the elements at which tokens stand, and what is around them", () => {
    expect(nodes.map((n) => n.id)).toEqual(["s", "outer", "in", "inner", "deep", "many", "late"]);
    expect(nodes.filter((n) => n.attached).map((n) => n.id)).toEqual(["late"]);
    expect(node("deep")?.around).toEqual(["inner", "outer"]);
    expect(nodes.filter((n) => n.many).map((n) => n.id)).toEqual(["outer", "many"]);
    expect(node("in")?.name).toBe("Inside");
  });
  it("asks for a scope only where there is a choice, or a body that can run once more", () => {
    const one = [token("1", "outer", "0"), token("2", "in", "1")];
    expect(scopesOf(node("in"), one)).toEqual([]);
    const two = [...one, token("3", "outer", "0"), token("4", "in", "3")];
    expect(scopesOf(node("in"), two).map((t) => t.token)).toEqual(["1", "3"]);
    expect(scopesOf(node("many"), [token("5", "many", "0"), token("6", "many", "5")]).map((t) => t.token)).toEqual(["5"]);
    expect(scopesOf(undefined, two)).toEqual([]);
  });
  it("offers at an element what can be done there", () => {
    const offered = (id: string, at: Partial<Parameters<typeof beganWith>[1]>) => beganWith(node(id)!, { here: false, past: false, done: false, ...at }).map((b) => b.key);
    expect(offered("in", {})).toEqual(["activate"]);
    expect(offered("in", { here: true, done: true })).toEqual(["activate", "move", "cancel", "rerun", "rollback"]);
    expect(offered("in", { here: true, past: true })).toEqual([]);
    expect(offered("in", { here: true, done: true, past: true })).toEqual(["rollback"]);
    expect(offered("late", { done: true })).toEqual(["rollback"]);
    expect(beganWith(node("in")!, { here: false, past: false, done: false })[0]?.begun).toEqual({ kind: "activate", element: "in" });
  });
  it("says steps as the API has them", () => {
    expect(instructions([{ kind: "activate", element: "a", scope: "7", variables: { x: 1 } }, { kind: "cancel", element: "b" }, { kind: "move", element: "c", to: "d", variables: {} }])).toEqual([{ activate: "a", scope: "7", variables: { x: 1 } }, { cancel: "b" }, { move: { from: "c", to: "d" } }]);
  });
  it("marks what loses tokens and what gets them; what gets one wins", () => {
    const plan = { cancelled: [{ kind: "token", element: "a" }, { kind: "task", element: "x" }, { kind: "token", element: "b" }], moved: [{ kind: "token", element: ["m", "n"] }], created: [{ kind: "token", element: "b" }] };
    expect(marksOf(plan as unknown as Plan)).toEqual({ a: ["fl-gone"], b: ["fl-added"], n: ["fl-added"] });
    expect(marksOf(undefined)).toEqual({});
  });
});

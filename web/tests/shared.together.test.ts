// @vitest-environment jsdom
import { beforeEach, expect, test, vi } from "vitest";
import * as Y from "yjs";
import { fields, type Value } from "~/designer/together/flat";
import { type Line, Shared } from "~/designer/together/shared";
import { BpmnModdle } from "bpmn-moddle";
import zeebe from "zeebe-bpmn-moddle/resources/zeebe.json";
import { bind } from "~/designer/together/bind";
import { modelerOf, touched } from "~/designer/together/process";
import { merge } from "~/designer/together/merge";

/** how long it takes to read what comes from others */
let reading: () => Promise<unknown> = () => Promise.resolve();
// there is no canvas here: the tree of objects alone follows
vi.mock("~/designer/together/follow", () => ({
  follow: async (m: Any, xml: string, _touched: Set<string>, begin: () => boolean) => {
    const { rootElement } = await m.get("moddle").fromXML(xml);
    await reading();
    if (!begin()) return false;
    merge(m.getDefinitions(), rootElement);
    return true;
  },
}));

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;

const b64 = (data: Uint8Array) => btoa(String.fromCharCode(...data));
const bytes = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const FIRST: [string, Value][] = [["d|<", "bpmn:definitions"], ["d|^", ""], ["d|@id", "d"], ["t|<", "bpmn:task"], ["t|^", "d"], ["t|#", 0], ["t|@id", "t"], ["t|@name", "Do"]];

/** The server as it answers: one document, lines that break, what it keeps when it is told to. */
class Server {
  doc = new Y.Doc();
  epoch = "one";
  lines: (Line & { open: boolean })[] = [];
  keeps = true;
  waits: (() => void)[] = [];
  version = 1;
  constructor(table: [string, Value][] = FIRST) {
    for (const [entry, value] of table) this.doc.getMap<Value>("bpmn").set(entry, value);
  }
  get table() {
    return this.doc.getMap<Value>("bpmn");
  }
  connect = (): Line => {
    const line: Line & { open: boolean } = { open: true, onopen: null, onmessage: null, onclose: null, send: (text) => void this.hear(line, JSON.parse(text) as never), close: () => (line.open = false) };
    this.lines.push(line);
    queueMicrotask(() => line.open && line.onopen?.());
    return line;
  };
  tell(line: Line & { open: boolean }, m: object) {
    if (line.open) line.onmessage?.({ data: JSON.stringify(m) });
  }
  hear(line: Line & { open: boolean }, m: { type: string; epoch: string; state: string; update: string; n: number }) {
    if (!line.open) return;
    if (m.type === "have") {
      const known = m.epoch === this.epoch ? bytes(m.state) : undefined;
      this.tell(line, { type: "begin", epoch: this.epoch, update: b64(Y.encodeStateAsUpdate(this.doc, known)), state: b64(Y.encodeStateVector(this.doc)), version: this.version, row_version: 0, dirty: false, may: true });
    } else if (m.type === "edit") {
      Y.applyUpdate(this.doc, bytes(m.update));
      for (const other of this.lines) if (other !== line) this.tell(other, { type: "edit", update: m.update });
      const kept = () => this.tell(line, { type: "kept", n: m.n });
      if (this.keeps) kept();
      else this.waits.push(kept);
    } else if (m.type === "save") for (const [i, each] of this.lines.entries()) this.tell(each, { type: "saved", version: i ? this.version : ++this.version, row_version: 1, by: "x", dirty: false });
  }
  drop() {
    for (const line of this.lines.splice(0)) {
      line.open = false;
      line.onclose?.();
    }
  }
}

beforeEach(() => {
  localStorage.clear();
  vi.useRealTimers();
  reading = () => Promise.resolve();
});
const settled = () => new Promise((done) => setTimeout(done, 5));
const name = (s: Shared, of = "t") => s.fields().get(of)?.get("@name");

test("two see each other's changes, undo takes back one's own alone, and a save is told to both", async () => {
  const server = new Server();
  const [ann, bob] = [new Shared("d", server.connect, "a"), new Shared("d", server.connect, "b")];
  await settled();
  expect(ann.status).toMatchObject({ state: "on", version: 1, dirty: false, waits: false });
  ann.put(new Map([["t|@name", "ann's"]]));
  bob.put(new Map<string, Value>([["t|@x", "bob's"]]));
  expect(name(bob)).toBe("ann's");
  ann.undo.undo();
  expect([name(bob), bob.fields().get("t")?.get("@x")]).toEqual(["Do", "bob's"]);
  ann.undo.redo();
  expect(name(bob)).toBe("ann's");
  expect(bob.status.dirty).toBe(true);
  expect(await ann.save("")).toBe(2);
  expect(bob.status).toMatchObject({ dirty: false, version: 2 });
});

test("what was drawn without a connection goes out when there is one again, and is kept in the browser until it is acknowledged", async () => {
  vi.useFakeTimers();
  const server = new Server();
  const [ann, bob] = [new Shared("d", server.connect, "a"), new Shared("d", server.connect, "b")];
  await vi.advanceTimersByTimeAsync(10);
  server.drop();
  expect(ann.status.state).toBe("away");
  ann.put(new Map([["t|@name", "meanwhile"]]));
  bob.put(new Map<string, Value>([["t|@x", "too"]]));
  await vi.advanceTimersByTimeAsync(300);
  expect(Object.keys(localStorage)).toEqual(["flowledger.together.d.a", "flowledger.together.d.b"]);
  await expect(ann.save("")).rejects.toThrow("no connection");
  server.keeps = false;
  await vi.advanceTimersByTimeAsync(2_000);
  expect([server.table.get("t|@name"), server.table.get("t|@x"), name(bob)]).toEqual(["meanwhile", "too", "meanwhile"]);
  expect(Object.keys(localStorage).length).toBe(2);
  for (const kept of server.waits) kept();
  expect(Object.keys(localStorage)).toEqual([]);
  expect(ann.status).toMatchObject({ state: "on", waits: false });
});

test("a page that was closed brings what it had not sent, when it is opened again", async () => {
  const server = new Server();
  const ann = new Shared("d", server.connect, "a");
  await settled();
  server.drop();
  ann.put(new Map([["t|@name", "closed"]]));
  ann.end();
  server.table.set("t|@x", "others");
  const again = new Shared("d", server.connect, "c");
  await settled();
  expect([server.table.get("t|@name"), again.fields().get("t")?.get("@x")]).toEqual(["closed", "others"]);
  expect(Object.keys(localStorage)).toEqual([]);
});

test("the server has begun another document: what it had not acknowledged is done there", async () => {
  vi.useFakeTimers();
  const server = new Server();
  const ann = new Shared("d", server.connect, "a");
  await vi.advanceTimersByTimeAsync(10);
  server.keeps = false;
  ann.put(new Map([["t|@name", "mine"]]));
  server.drop();
  const other = new Server([...FIRST, ["n|<", "bpmn:task"], ["n|^", "d"], ["n|@id", "n"]]);
  server.doc = other.doc;
  server.epoch = "two";
  server.keeps = true;
  const told: boolean[] = [];
  ann.onChange((remote) => told.push(remote));
  await vi.advanceTimersByTimeAsync(2_000);
  expect([server.table.get("t|@name"), ann.fields().has("n"), ann.status.waits]).toEqual(["mine", true, false]);
  expect(told).toContain(true);
  // and the same from what a closed page has left
  server.drop();
  ann.put(new Map([["t|@name", "again"]]));
  ann.end();
  server.doc = new Server().doc;
  server.epoch = "three";
  const next = new Shared("d", server.connect, "c");
  await vi.advanceTimersByTimeAsync(2_000);
  expect([server.table.get("t|@name"), name(next)]).toEqual(["again", "again"]);
});

test("who may not write, and what is not drawn together, is told", async () => {
  const server = new Server();
  const ann = new Shared("d", server.connect, "a");
  server.tell(server.lines[0]!, { type: "problem", code: "INVALID_ARGUMENT", detail: "no drawing" });
  expect(ann.status).toMatchObject({ state: "off", why: "no drawing" });
  // no way for sockets: one draws alone
  vi.useFakeTimers();
  const dead = () => {
    const line: Line = { onopen: null, onmessage: null, onclose: null, send: () => undefined, close: () => undefined };
    queueMicrotask(() => line.onclose?.());
    return line;
  };
  const nobody = new Shared("e", dead, "n");
  await vi.advanceTimersByTimeAsync(3_500);
  expect(nobody.status.state).toBe("opening");
  await vi.advanceTimersByTimeAsync(1_500);
  expect(nobody.status.state).toBe("off");
});

test("which elements a change is shown on", () => {
  const before = fields(FIRST);
  const after = (more: [string, Value][]) => fields([...FIRST, ...more]);
  expect([...touched(before, after([["t|@name", "x"]]))]).toEqual(["t"]);
  expect([...touched(before, after([["t/e|<", "bpmn:extensionElements"], ["t/e|^", "t"]]))]).toEqual(["t"]);
  expect([...touched(before, after([["s|<", "bpmndi:BPMNShape"], ["s|^", "d"], ["s|@bpmnElement", "t"], ["s|=", "1 2 3 4"]]))]).toEqual(["t"]);
  expect([...touched(before, after([["x|<", "bpmn:timerEventDefinition"], ["x|^", "t"], ["x|@id", "x"]]))]).toEqual(["x", "t"]);
  expect([...touched(after([["t|@name", "x"]]), before)]).toEqual(["t"]);
});

const DRAWN = `<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:dc="http://www.omg.org/spec/DD/20100524/DC"
 id="d" targetNamespace="t"><process id="p"><startEvent id="s"/><task id="t" name="Do"/></process><bpmndi:BPMNDiagram id="dia"><bpmndi:BPMNPlane id="pl" bpmnElement="p">
 <bpmndi:BPMNShape id="s_di" bpmnElement="s"><dc:Bounds x="0" y="0" width="36" height="36"/></bpmndi:BPMNShape>
 <bpmndi:BPMNShape id="t_di" bpmnElement="t"><dc:Bounds x="90" y="0" width="100" height="80"/></bpmndi:BPMNShape></bpmndi:BPMNPlane></bpmndi:BPMNDiagram></definitions>`;

/** A modeler without its canvas: objects, and what is told when they change. */
async function modeler(shared: Shared) {
  const moddle: Any = new BpmnModdle({ zeebe } as Any);
  const definitions: Any = (await moddle.fromXML(shared.text())).rootElement;
  const heard: (() => void)[] = [];
  const services: Record<string, Any> = {
    moddle,
    dragging: { context: () => null },
    directEditing: { isActive: () => false },
    editorActions: { isRegistered: () => false, register: () => undefined },
  };
  const m = { get: (name: string) => services[name], getDefinitions: () => definitions, on: (_: string, f: () => void) => heard.push(f) };
  const bound = await bind(modelerOf(m), shared, false, () => undefined);
  const find = (id: string) => {
    let found: Any;
    const look = (o: Any) => {
      if (o.id === id) found = o;
      for (const child of [...(o.rootElements ?? []), ...(o.flowElements ?? []), ...(o.diagrams ?? []), ...(o.plane ? [o.plane] : []), ...(o.planeElement ?? [])]) look(child);
    };
    look(definitions);
    return found;
  };
  return { bound, moddle, find, changed: () => heard.forEach((f) => f()) };
}

test("what one draws while what others have changed is being read stays, and so does theirs", async () => {
  vi.useFakeTimers();
  const server = new Server([]);
  const { entries, read } = await import("~/designer/together/flat");
  for (const [entry, value] of entries(read(DRAWN))) server.table.set(entry, value);
  const [ann, bob] = ["a", "b"].map((tab) => new Shared("d", server.connect, tab)) as [Shared, Shared];
  await vi.advanceTimersByTimeAsync(20);
  const mine = await modeler(ann);
  let asked = 0;
  reading = () => (asked++, new Promise((done) => setTimeout(done, 500)));
  bob.put(new Map([["s|@name", "bob's"]]));
  await vi.advanceTimersByTimeAsync(100);
  expect(asked).toBe(1);
  mine.find("t").name = "ann's";
  mine.changed();
  await vi.advanceTimersByTimeAsync(2_000);
  expect([mine.find("s").name, mine.find("t").name]).toEqual(["bob's", "ann's"]);
  expect([name(bob, "s"), name(bob, "t")]).toEqual(["bob's", "ann's"]);
});

test.each([1, 2, 3, 4, 5, 6])("three draw at random, lines break, and all have the same document with every edit (%i)", async (seed) => {
  let state = seed * 7919;
  const random = (n: number) => (state = (state * 48_271) % 2_147_483_647) % n;
  vi.useFakeTimers();
  const server = new Server([]);
  const first = new Shared("seed", server.connect, "seed");
  const { entries, read } = await import("~/designer/together/flat");
  for (const [entry, value] of entries(read(DRAWN))) server.table.set(entry, value);
  first.end();
  const shared = [0, 1, 2].map((i) => new Shared("d", server.connect, `tab${i}`));
  await vi.advanceTimersByTimeAsync(20);
  const peers = await Promise.all(shared.map(modeler));
  reading = () => new Promise((done) => setTimeout(done, random(150)));
  const made: string[] = [];
  const gone = new Set<string>();
  const named = new Map<string, string>();
  const inputs: [string, string][] = [];
  for (let step = 0; step < 60; step++) {
    const i = random(3);
    const peer = peers[i]!;
    const what = random(10);
    const process = peer.find("p");
    const plane = peer.find("pl");
    if (what < 3) {
      const id = `n${i}_${step}`;
      const task = peer.moddle.create("bpmn:Task", { id });
      process.get("flowElements").push(task);
      task.$parent = process;
      const shape = peer.moddle.create("bpmndi:BPMNShape", { id: `${id}_di`, bpmnElement: task, bounds: peer.moddle.create("dc:Bounds", { x: step, y: i, width: 100, height: 80 }) });
      plane.get("planeElement").push(shape);
      shape.$parent = plane;
      made.push(id);
      named.set(id, "");
    } else if (what < 4 && made.some((id) => !gone.has(id) && id.startsWith(`n${i}`))) {
      const id = made.find((one) => !gone.has(one) && one.startsWith(`n${i}`))!;
      process.flowElements = process.flowElements.filter((e: Any) => e.id !== id);
      plane.planeElement = plane.planeElement.filter((e: Any) => e.id !== `${id}_di`);
      gone.add(id);
    } else if (what < 6) {
      // each names its own
      const id = made.find((one) => !gone.has(one) && one.startsWith(`n${i}`));
      if (id) named.set(id, (peer.find(id).name = `${id} in step ${step}`));
    } else if (what < 9) {
      // all add inputs to the same task
      const task = peer.find("t");
      const extensions = task.get("extensionElements") ?? peer.moddle.create("bpmn:ExtensionElements", { values: [] });
      let mapping = extensions.values.find((v: Any) => v.$type === "zeebe:IoMapping");
      if (!mapping) extensions.values.push((mapping = peer.moddle.create("zeebe:IoMapping", { inputParameters: [] })));
      task.extensionElements = extensions;
      extensions.$parent = task;
      mapping.$parent = extensions;
      const input = peer.moddle.create("zeebe:Input", { source: `=${step}`, target: `v${i}_${step}` });
      input.$parent = mapping;
      mapping.get("inputParameters").push(input);
      inputs.push([`v${i}_${step}`, `=${step}`]);
    } else server.drop();
    peer.changed();
    await vi.advanceTimersByTimeAsync(random(3) * 40);
  }
  await vi.advanceTimersByTimeAsync(10_000);
  const texts = await Promise.all(peers.map((p) => p.bound.text()));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(texts[1]).toBe(texts[0]);
  expect(texts[2]).toBe(texts[0]);
  const end = read(texts[0]!);
  expect([...end.keys()].filter((k) => /^n\d_\d+$/.test(k)).sort()).toEqual(made.filter((id) => !gone.has(id)).sort());
  for (const [id, name] of named) if (!gone.has(id)) expect(end.get(id)!.get("@name") ?? "").toBe(name);
  const found = [...end.values()].filter((of) => of.get("<") === "zeebe:input").map((of) => [of.get("@target"), of.get("@source")]);
  expect(found.sort()).toEqual(inputs.sort());
  // and what each of them has drawn is that document
  for (const p of peers) for (const id of made) expect(Boolean(p.find(id))).toBe(!gone.has(id));
}, 120_000);

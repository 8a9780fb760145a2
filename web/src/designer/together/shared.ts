import * as Y from "yjs";
import { changes, type Changes, fields, type Fields, read, type Value, write } from "./flat";

/** Name of the shared table, as the server has it. */
const TABLE = "bpmn";
/** who changed it: this browser by drawing, or all the rest */
export const LOCAL = Symbol("local");
const REMOTE = Symbol("remote");
const AGAIN_MS = 1_500;
/** connections that fail before the first that doesn't: then there is no way for sockets to the server */
const TRIES = 4;
const SAVE_MS = 20_000;
const KEPT = "flowledger.together.";

/** What is told of it: `waits`: changes that the server has not kept yet. */
export interface Status {
  /** `off`: this draft is not drawn together (any more), `why` */
  state: "opening" | "on" | "away" | "off";
  why: string;
  waits: boolean;
  dirty: boolean;
  version: number;
  rowVersion: number;
}
type Message =
  | { type: "begin"; epoch: string; update: string; state: string; version: number; row_version: number; dirty: boolean; may: boolean }
  | { type: "edit"; update: string }
  | { type: "kept"; n: number }
  | { type: "saved"; version: number; row_version: number; by: string; dirty: boolean }
  | { type: "unsaved" | "problem"; code: string; detail: string };

const bytes = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const text = (data: Uint8Array) => {
  let found = "";
  for (let i = 0; i < data.length; i += 8_192) found += String.fromCharCode(...data.subarray(i, i + 8_192));
  return btoa(found);
};

/** What a socket has to do; tests have their own. */
export interface Line {
  send: (text: string) => void;
  close: () => void;
  onopen: (() => void) | null;
  onmessage: ((e: { data: string }) => void) | null;
  onclose: (() => void) | null;
}

/**
 * The document of a draft that several people change at once. Every change is in it at once, goes to the server as soon as there is a connection, and is kept
 * in this browser until the server has acknowledged it. Changes of the same document merge in any order; where the server has begun another one (the text was
 * replaced as a whole), what it had not acknowledged is brought over.
 */
export class Shared {
  doc = new Y.Doc();
  undo!: Y.UndoManager;
  status: Status = { state: "opening", why: "", waits: false, dirty: false, version: 0, rowVersion: 0 };
  private epoch?: string;
  private line?: Line;
  private begun = false;
  private sent = 0;
  /** the document as the server is known to have it */
  private base?: Uint8Array;
  private over = false;
  private failed = 0;
  private again?: ReturnType<typeof setTimeout>;
  private later?: ReturnType<typeof setTimeout>;
  private keptAs: string;
  private heard = new Set<() => void>();
  private changed = new Set<(remote: boolean) => void>();
  private saves: { done: (version: number) => void; failed: (e: Error) => void }[] = [];
  private fromBefore: string[] = [];

  constructor(
    private draft: string,
    private connect: () => Line,
    tab: string = Math.random().toString(36).slice(2),
  ) {
    this.keptAs = `${KEPT}${draft}.${tab}`;
    this.take(this.doc);
    this.open();
  }

  private get map(): Y.Map<Value> {
    return this.doc.getMap<Value>(TABLE);
  }

  private take(doc: Y.Doc) {
    this.doc = doc;
    this.undo = new Y.UndoManager(doc.getMap(TABLE), { trackedOrigins: new Set([LOCAL]), captureTimeout: 0 });
    doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== REMOTE) this.tell(update);
      for (const one of this.changed) one(origin !== LOCAL);
    });
  }

  fields(): Fields {
    return fields(this.map.entries());
  }

  /** The whole as a document. Raises: NotDrawn. */
  text(): string {
    return write(this.fields());
  }

  /** A text that was written past the drawing: what differs from the one that it was made of. Raises: NotDrawn. */
  bring(before: string, now: string) {
    const all = changes(read(before), read(now), this.fields());
    if (all.size) this.put(all);
  }

  put(all: Changes, origin: unknown = LOCAL) {
    this.doc.transact(() => {
      for (const [entry, value] of all)
        if (value === null) this.map.delete(entry);
        else this.map.set(entry, value);
    }, origin);
  }

  onStatus(heard: () => void) {
    this.heard.add(heard);
    return () => void this.heard.delete(heard);
  }

  /** `remote`: by others, or undone: what is drawn has to follow. */
  onChange(changed: (remote: boolean) => void) {
    this.changed.add(changed);
    return () => void this.changed.delete(changed);
  }

  private set(now: Partial<Status>) {
    this.status = { ...this.status, ...now };
    for (const one of this.heard) one();
  }

  // --- the line --------------------------------------------------------------------------------------------------------------

  private open() {
    if (this.over) return;
    const line = this.connect();
    this.line = line;
    this.begun = false;
    line.onopen = () => line.send(JSON.stringify({ type: "have", epoch: this.epoch ?? null, state: text(Y.encodeStateVector(this.doc)) }));
    line.onmessage = (e) => this.line === line && this.hear(JSON.parse(e.data) as Message);
    line.onclose = () => {
      if (this.line !== line) return;
      this.line = undefined;
      this.begun = false;
      this.fail(new Error("the connection was lost"));
      if (this.over || this.status.state === "off") return;
      if (this.status.state === "on") this.set({ state: "away" });
      if (this.epoch === undefined && ++this.failed >= TRIES) return this.set({ state: "off", why: "no connection" });
      this.again = setTimeout(() => this.open(), AGAIN_MS);
    };
  }

  private hear(m: Message) {
    if (m.type === "begin") this.begin(m);
    else if (m.type === "edit") {
      Y.applyUpdate(this.doc, bytes(m.update), REMOTE);
      if (!this.status.dirty) this.set({ dirty: true });
    } else if (m.type === "kept") {
      if (m.n !== this.sent) return;
      this.base = Y.encodeStateAsUpdate(this.doc);
      this.forget();
      this.set({ waits: false });
    } else if (m.type === "saved") {
      this.set({ version: m.version, rowVersion: m.row_version, dirty: m.dirty || this.status.waits });
      this.saves.shift()?.done(m.version);
    } else if (m.type === "unsaved") this.fail(new Error(m.detail));
    else {
      this.set({ state: m.code === "UNAVAILABLE" || (m.code === "RESOURCE_EXHAUSTED" && this.status.state === "opening") ? "away" : "off", why: m.detail });
      if (this.status.version === 0) this.set({ state: "off" });
    }
  }

  private begin(m: Extract<Message, { type: "begin" }>) {
    if (this.epoch === undefined) {
      for (const kept of this.read(m.epoch)) Y.applyUpdate(this.doc, kept, LOCAL);
    }
    if (this.epoch !== undefined && this.epoch !== m.epoch) this.bringOver(m);
    else Y.applyUpdate(this.doc, bytes(m.update), REMOTE);
    this.epoch = m.epoch;
    this.begun = true;
    const theirs = Y.decodeStateVector(bytes(m.state));
    const mine = Y.decodeStateVector(Y.encodeStateVector(this.doc));
    const lacks = this.status.waits || [...mine].some(([client, clock]) => clock > (theirs.get(client) ?? 0));
    this.base ??= bytes(m.update);
    this.set({ state: m.may ? "on" : "off", why: m.may ? "" : "FORBIDDEN", version: m.version, rowVersion: m.row_version, dirty: m.dirty || lacks });
    if (lacks) this.tell(Y.encodeStateAsUpdate(this.doc, bytes(m.state)));
    else this.forget();
  }

  /** The server has another document: what it had not acknowledged of this one is done there again. */
  private bringOver(m: Extract<Message, { type: "begin" }>) {
    const of = (update: Uint8Array) => {
      const doc = new Y.Doc();
      Y.applyUpdate(doc, update);
      return fields(doc.getMap<Value>(TABLE).entries());
    };
    const mine = this.fields();
    const before = this.base ? of(this.base) : mine;
    this.undo.destroy();
    this.doc.destroy();
    this.take(new Y.Doc());
    Y.applyUpdate(this.doc, bytes(m.update), REMOTE);
    this.base = bytes(m.update);
    this.status.waits = false;
    const all = changes(before, mine, this.fields());
    if (all.size) this.put(all);
    this.epoch = m.epoch;
    for (const one of this.changed) one(true);
  }

  private tell(update: Uint8Array) {
    if (!this.status.waits || !this.status.dirty) this.set({ waits: true, dirty: true });
    if (this.line && this.begun) this.line.send(JSON.stringify({ type: "edit", n: ++this.sent, update: text(update) }));
    this.later ??= setTimeout(() => this.keep(), 200);
  }

  // --- what this browser keeps until it is acknowledged ----------------------------------------------------------------------

  /** At once: the page may be gone in a moment. */
  keep() {
    clearTimeout(this.later);
    this.later = undefined;
    if (!this.status.waits || !this.epoch) return;
    try {
      localStorage.setItem(this.keptAs, JSON.stringify({ epoch: this.epoch, update: text(Y.encodeStateAsUpdate(this.doc)), base: this.base && text(this.base), at: Date.now() }));
    } catch {
      // the store is full: it is still in this page
    }
  }

  private read(epoch: string): Uint8Array[] {
    const found: Uint8Array[] = [];
    for (const key of Object.keys(localStorage).filter((k) => k.startsWith(`${KEPT}${this.draft}.`) && k !== this.keptAs)) {
      try {
        const kept = JSON.parse(localStorage.getItem(key)!) as { epoch: string; update: string; base?: string };
        this.fromBefore.push(key);
        if (kept.epoch === epoch) found.push(bytes(kept.update));
        else if (!found.length && kept.base) {
          // of a document that is no more: done again there when `begin` goes on
          Y.applyUpdate(this.doc, bytes(kept.update), REMOTE);
          this.base = bytes(kept.base);
          this.epoch = kept.epoch;
          return [];
        }
      } catch {
        localStorage.removeItem(key);
      }
    }
    return found;
  }

  private forget() {
    clearTimeout(this.later);
    this.later = undefined;
    for (const key of [this.keptAs, ...this.fromBefore.splice(0)]) localStorage.removeItem(key);
  }

  // --- saving ----------------------------------------------------------------------------------------------------------------

  /** As a version, with all that was drawn here until now. */
  save(comment: string): Promise<number> {
    const line = this.line;
    if (!line || !this.begun) return Promise.reject(new Error("there is no connection to the server"));
    return new Promise((done, failed) => {
      const waits = { done, failed };
      this.saves.push(waits);
      setTimeout(() => {
        this.saves = this.saves.filter((s) => s !== waits);
        failed(new Error("the server did not answer in time"));
      }, SAVE_MS);
      line.send(JSON.stringify({ type: "save", comment }));
    });
  }

  private fail(e: Error) {
    for (const one of this.saves.splice(0)) one.failed(e);
  }

  end() {
    this.keep();
    this.over = true;
    clearTimeout(this.again);
    clearTimeout(this.later);
    this.line?.close();
    this.line = undefined;
    this.undo.destroy();
  }
}

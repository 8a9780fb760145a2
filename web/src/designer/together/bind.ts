import { changes, type Fields, read, write } from "./flat";
import type { Shared } from "./shared";

/** how long is waited for more of what is drawn, here and by others */
const FLUSH_MS = 60;
const FOLLOW_MS = 40;
const BUSY_MS = 100;
/** what somebody has pasted, and no document can have */
// eslint-disable-next-line no-control-regex
const NO_XML = /[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]/gu;

export interface Bound {
  /** All that is drawn here is in the document, and all of the document is drawn. */
  text: () => Promise<string>;
  undo: () => Promise<void>;
  redo: () => Promise<void>;
  can: () => { undo: boolean; redo: boolean };
  /** What is drawn by now is in the document after it. */
  end: () => Promise<void>;
}

/** What draws, as far as it has to be known here. */
export interface Drawing {
  /** all of it, as it is now */
  text: () => Promise<string>;
  /**
   * Makes what is drawn what the text says; `old`: the document as it was drawn before, `now`: as it is. `begin` is asked right before anything changes: false:
   * something was drawn here in the meantime, which the text doesn't have. Then nothing is changed, and false is the answer.
   */
  follow: (text: string, old: Fields, now: Fields, begin: () => boolean) => Promise<boolean>;
  /** one drags or types: what others do waits */
  busy: () => boolean;
  onDrawn: (heard: () => void) => void;
}

/**
 * Ties what draws to the shared document. What is drawn is written out, compared with what was drawn before, and the differences go into the document; what comes
 * from others goes the same way back. `adopt`: what the modeler has opened replaces what the document has.
 */
export async function bind(on: Drawing, shared: Shared, adopt: boolean, changed: () => void): Promise<Bound> {
  const drawn = async () => read((await on.text()).replace(NO_XML, ""));
  let view = await drawn();
  /** the document as it was drawn last */
  let seen = shared.fields();
  let had = new Set(seen.keys());
  let over = false;
  let later: ReturnType<typeof setTimeout> | undefined;
  let due: ReturnType<typeof setTimeout> | undefined;
  let following = false;
  /** changes that were drawn here, and how many of them are in the document */
  let [strokes, told] = [0, 0];
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = (work: () => Promise<void>) => (queue = queue.then(work).catch((e: unknown) => console.error(e))) as Promise<void>;

  const compare = (before: Fields, next: Fields, known?: Set<string>) => {
    const all = changes(before, next, shared.fields(), known);
    if (all.size) shared.put(all);
    for (const key of next.keys()) had.add(key);
  };
  const flush = async () => {
    clearTimeout(later);
    later = undefined;
    const here = strokes;
    const next = await drawn();
    const before = view;
    view = next;
    compare(before, next, had);
    told = here;
  };
  if (adopt) compare(shared.fields(), view);

  const catchUp = async () => {
    await flush();
    const all = shared.fields();
    try {
      if (!(await on.follow(write(all), seen, all, () => (following = strokes === told)))) return soon();
    } finally {
      following = false;
    }
    view = await drawn();
    seen = all;
    had = new Set(all.keys());
    changed();
  };
  const soon = (ms = FOLLOW_MS) => {
    due ??= setTimeout(() => {
      due = undefined;
      if (over) return;
      if (on.busy()) soon(BUSY_MS);
      else void inTurn(catchUp);
    }, ms);
  };
  const off = shared.onChange((remote) => remote && !over && soon());
  const onStack = () => {
    if (following || over) return;
    strokes++;
    clearTimeout(later);
    later = setTimeout(() => void inTurn(async () => (await flush(), changed())), FLUSH_MS);
  };
  on.onDrawn(onStack);

  const step = (what: "undo" | "redo") => async () => {
    await inTurn(flush);
    if (what === "undo" ? shared.undo.canUndo() : shared.undo.canRedo()) shared.undo[what]();
    clearTimeout(due);
    due = undefined;
    await inTurn(catchUp);
  };
  const bound: Bound = {
    text: async () => {
      await inTurn(flush);
      return write(shared.fields());
    },
    undo: step("undo"),
    redo: step("redo"),
    can: () => ({ undo: shared.undo.canUndo() || later !== undefined, redo: shared.undo.canRedo() }),
    end: () => {
      const last = later !== undefined ? flush() : Promise.resolve();
      over = true;
      clearTimeout(due);
      off();
      return last.catch((e: unknown) => console.error(e));
    },
  };
  if (adopt) soon();
  return bound;
}

/** The keys for it undo what one has done oneself, too. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export function undoes(actions: any, bound: Bound) {
  for (const name of ["undo", "redo"] as const) {
    if (actions.isRegistered(name)) actions.unregister(name);
    actions.register(name, () => void bound[name]());
  }
}

/** What is typed in waits in the editors for a moment before they take it; until then nothing of it is drawn anew. */
const STILL_MS = 500;

export interface Typing {
  /** somebody types here, just now */
  on: () => boolean;
  end: () => void;
}

export function typingIn(...boxes: (HTMLElement | null)[]): Typing {
  let last = 0;
  const heard = () => (last = Date.now());
  for (const box of boxes) for (const what of ["input", "keydown"]) box?.addEventListener(what, heard, true);
  return {
    on: () => Date.now() - last < STILL_MS,
    end: () => {
      for (const box of boxes) for (const what of ["input", "keydown"]) box?.removeEventListener(what, heard, true);
    },
  };
}

const FOCUSABLE = "[contenteditable=true], textarea, input, select, button, [tabindex]";
const scrolled = (box: HTMLElement) => [...box.querySelectorAll<HTMLElement>("*")].filter((e) => e.scrollTop || e.scrollLeft);
/** a way to it that holds when it is made anew: classes don't change by that */
const wayTo = (e: Element) => `${e.tagName.toLowerCase()}${[...e.classList].filter((c) => !/focus|select|hover/.test(c)).map((c) => `.${CSS.escape(c)}`).join("")}`;

/** Where one is in what is made anew now: call what is answered when it is there again. */
export function placeIn(box: HTMLElement, named: string): () => void {
  const at = document.activeElement instanceof HTMLElement && box.contains(document.activeElement) ? document.activeElement : undefined;
  const around = at?.closest<HTMLElement>(`[${named}]`);
  const name = around?.getAttribute(named);
  const nth = at && !name ? [...box.querySelectorAll(FOCUSABLE)].indexOf(at) : -1;
  const selection = window.getSelection();
  const caret = at instanceof HTMLInputElement || at instanceof HTMLTextAreaElement ? at.selectionStart : at?.isContentEditable && selection?.anchorNode && at.contains(selection.anchorNode) ? textBefore(at, selection) : null;
  const scrolls = scrolled(box).map((e) => ({ way: wayTo(e), top: e.scrollTop, left: e.scrollLeft }));
  return () => {
    if (at && !box.contains(document.activeElement)) {
      const found = name ? box.querySelector<HTMLElement>(`[${named}="${CSS.escape(name)}"]`) : box.querySelectorAll<HTMLElement>(FOCUSABLE)[nth];
      const field = found?.matches(FOCUSABLE) ? (found.querySelector<HTMLElement>("[contenteditable=true], textarea, input") ?? found) : found?.querySelector<HTMLElement>(FOCUSABLE);
      field?.focus({ preventScroll: true });
      if (field && caret !== null && caret !== undefined) toCaret(field, caret);
    }
    for (const { way, top, left } of scrolls) {
      const e = box.querySelector<HTMLElement>(way);
      if (e) Object.assign(e, { scrollTop: top, scrollLeft: left });
    }
  };
}

function textBefore(at: HTMLElement, selection: Selection): number {
  const range = document.createRange();
  range.selectNodeContents(at);
  range.setEnd(selection.anchorNode!, selection.anchorOffset);
  return range.toString().length;
}

function toCaret(field: HTMLElement, caret: number) {
  if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) {
    try {
      field.setSelectionRange(caret, caret);
    } catch {
      // numbers and the like have none
    }
    return;
  }
  const walker = document.createTreeWalker(field, NodeFilter.SHOW_TEXT);
  let left = caret;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = node.nodeValue?.length ?? 0;
    if (left <= length) return window.getSelection()?.collapse(node, left);
    left -= length;
  }
}

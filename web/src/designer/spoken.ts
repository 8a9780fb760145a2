/**
 * For a library that knows no language but English (the form editor, parts of the properties panel): what it draws is read after it and said in the reader's words. What
 * an author wrote isn't touched: neither the drawn form, nor what stands in fields and lists of values.
 */
const DRAWN = ".fjs-form-container :not(.fjs-empty-editor, .fjs-empty-editor *, .fjs-empty-component, .fjs-empty-component *)";
const THEIRS = `${DRAWN}, textarea, [contenteditable] *, .bio-properties-panel-list-entry-item, .bio-properties-panel-header-label, .bio-properties-panel-collapsible-entry-header-title`;
const SAID = ["title", "placeholder", "aria-label"];

export interface Words {
  texts: Record<string, string>;
  /** of texts with something in them: `$1` is said in words as well */
  patterns: [RegExp, string][];
}

export function saidIn({ texts, patterns }: Words, text: string): string | undefined {
  const whole = text.trim();
  if (Object.hasOwn(texts, whole)) return texts[whole];
  for (const [pattern, as] of patterns) {
    const found = pattern.exec(whole);
    if (found) return as.replace("$1", texts[found[1] ?? ""] ?? found[1] ?? "");
  }
  return undefined;
}

export function spoken(root: Element, words: Words | undefined): () => void {
  if (!words) return () => undefined;
  const say = (text: string) => saidIn(words, text);
  const read = (from: Node) => {
    const walk = document.createTreeWalker(from, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node: Node | null = from; node; node = walk.nextNode()) {
      if (node instanceof Element) {
        for (const name of SAID) {
          const said = node.getAttribute(name);
          const told = said && !node.matches(DRAWN) ? say(said) : undefined;
          if (told && told !== said) node.setAttribute(name, told);
        }
      } else if (node instanceof Text) {
        const told = say(node.data);
        if (told && told !== node.data && !node.parentElement?.matches(THEIRS)) node.data = told;
      }
    }
  };
  const seen = new MutationObserver((all) => all.forEach((m) => (m.type === "childList" ? m.addedNodes.forEach(read) : read(m.target))));
  seen.observe(root, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: SAID });
  read(root);
  return () => seen.disconnect();
}

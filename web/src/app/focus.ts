/** What is open for a moment, in a layer of its own (dialogs, menus, lists to choose from). */
const LAYERS = "[data-portal], [role=dialog], [role=menu], [role=listbox]";

/**
 * The focus is never lost with a dialog: when one is gone, and with it what had the focus, it goes back to where it was before, or to the page where that is gone, too.
 * (Mantine does so for dialogs that are closed, not for those that are taken away.)
 */
export function keepFocus(): () => void {
  let before: HTMLElement | undefined;
  const remember = ({ target }: FocusEvent) => {
    if (target instanceof HTMLElement && target !== document.body && !target.closest(LAYERS)) before = target;
  };
  const back = () =>
    requestAnimationFrame(() => {
      if (document.activeElement !== document.body || document.querySelector("[role=dialog]")) return;
      const to = before?.isConnected ? before : document.getElementById("main");
      to?.focus({ preventScroll: true });
    });
  const seen = new MutationObserver((all) => {
    if (all.some((m) => m.removedNodes.length > 0)) back();
    for (const m of all) if (m.target === document.body) m.addedNodes.forEach(layer);
  });
  const layer = (node: Node) => {
    if (node instanceof HTMLElement && node.matches("[data-portal]")) seen.observe(node, { childList: true, subtree: true });
  };
  seen.observe(document.body, { childList: true });
  document.body.childNodes.forEach(layer);
  document.addEventListener("focusin", remember);
  return () => {
    seen.disconnect();
    document.removeEventListener("focusin", remember);
  };
}

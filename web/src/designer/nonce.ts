/** Editors of code make style elements of their own. The page's policy lets those in that carry its nonce, so they get it; nothing else is let in by that. */
const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content;
let done = false;

export function styleElementsGetTheNonce() {
  if (done || !nonce) return;
  done = true;
  const make = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const made = make(name, options);
    if (name.toLowerCase() === "style") made.nonce = nonce;
    return made;
  }) as typeof document.createElement;
}

const LONGEST = 80;

/** What the elements of a drawn model are called, by their ids; of a text that is no XML (steps, one that is being typed): none. */
export function elementNames(text: string): Map<string, string> {
  const found = new Map<string, string>();
  if (!text.trimStart().startsWith("<")) return found;
  for (const element of new DOMParser().parseFromString(text, "text/xml").querySelectorAll("[id][name]")) {
    const name = element.getAttribute("name")!.replace(/\s+/g, " ").trim();
    if (name) found.set(element.id, name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name);
  }
  return found;
}

/** Sentences of the server in another language: a pattern (`…` for what is put in) and what to say for it ({1} for the first; {1:status} for a status in words). */
export type Sentences = Record<string, string>;

const compiled = new WeakMap<Sentences, [RegExp, string][]>();
const length = (pattern: string) => pattern.replaceAll("…", "").length;

/** The one with the most words of its own comes first: `…: expected …` says less than `where: expected …`. */
function patterns(sentences: Sentences): [RegExp, string][] {
  let found = compiled.get(sentences);
  if (!found) {
    found = Object.entries(sentences)
      .filter(([pattern]) => pattern.includes("…"))
      .sort(([a], [b]) => length(b) - length(a))
      .map(([pattern, said]) => [new RegExp(`^${pattern.split("…").map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("(.*?)")}$`, "s"), said]);
    compiled.set(sentences, found);
  }
  return found;
}

/** undefined where no pattern fits: the server's own words are better than none. */
export function translated(sentences: Sentences, text: string, word: (kind: string, value: string) => string): string | undefined {
  const whole = sentences[text];
  if (whole !== undefined) return whole;
  for (const [pattern, said] of patterns(sentences)) {
    const found = pattern.exec(text);
    if (found) return said.replace(/\{(\d+)(?::(\w+))?\}/g, (_, n: string, kind?: string) => (kind ? word(kind, found[Number(n)] ?? "") : (found[Number(n)] ?? "")));
  }
  return undefined;
}

/** Kept for the tab's life only. */
class Memory implements Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length"> {
  private kept = new Map<string, string>();
  get length() {
    return this.kept.size;
  }
  key = (i: number) => [...this.kept.keys()][i] ?? null;
  getItem = (key: string) => this.kept.get(key) ?? null;
  setItem = (key: string, value: string) => void this.kept.set(key, value);
  removeItem = (key: string) => void this.kept.delete(key);
}

/** What the browser keeps for us. Where it lets pages keep nothing (in a frame of another site, or by its owner's choice), asking already throws. */
function found() {
  try {
    return window.localStorage ?? new Memory();
  } catch {
    return new Memory();
  }
}

export const storage = found();

export const keys = () => Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? "");

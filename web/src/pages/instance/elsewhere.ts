/** characters of a value that an address carries */
const VALUE_MAX = 200;

/** The filter of instances that finds this value of this variable; nothing where a value can't be asked for as a whole. */
export function elsewhere(name: string, value: unknown): Record<string, string> | undefined {
  if (!/^[\p{L}_][\p{L}\p{N}_.-]*$/u.test(name)) return undefined;
  if (typeof value === "number" || typeof value === "boolean") return { [`var.${name}`]: String(value) };
  if (typeof value !== "string" || value === "" || value.length > VALUE_MAX) return undefined;
  // a text that would be read as JSON says that it is a text
  let plain = false;
  try {
    JSON.parse(value);
  } catch {
    plain = true;
  }
  return { [`var.${name}`]: plain ? value : JSON.stringify(value) };
}

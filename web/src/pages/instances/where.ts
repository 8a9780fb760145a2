/** `where` of a search as rows that can be edited: groups of conditions, of which one group must hold as a whole. */

export const OPERATORS = ["=", "!=", "<", "<=", ">", ">=", "in", "contains", "starts with", "is defined"] as const;
export type Operator = (typeof OPERATORS)[number];
/** `value` as one types it: a number, true, false or null, else a text; of `in` several with commas. */
export interface Condition {
  path: string;
  op: Operator;
  value: string;
}
export type Groups = Condition[][];

/** What an instance is itself; all other names are variables. */
export const OWN = ["run.status", "run.process", "run.version", "run.business_key", "run.has_incident", "run.paused", "run.priority", "run.initiator", "run.correlation_id", "run.project_id", "run.environment", "run.started"];

const KEYWORDS = new Set(["and", "or", "in", "not", "if", "then", "else", "for", "return", "some", "every", "satisfies", "instance", "of", "between", "function", "external", "true", "false", "null"]);
const NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u;
const ITEMS = /(?:\[-?[1-9]\d*\])+$/;
const SCALAR = /^(?:true|false|null|-?(?:\d+(?:\.\d+)?|\.\d+))$/;
const CALLS = new Set<Operator>(["contains", "starts with", "is defined"]);

export const empty = (): Condition => ({ path: "", op: "=", value: "" });
export const whole = (c: Condition) => c.path.trim() !== "" && (c.op === "is defined" || c.value.trim() !== "");

function pathOf(typed: string): string {
  const text = typed.trim();
  if (text.includes("`")) return text;
  return text
    .split(".")
    .map((part) => {
      const items = ITEMS.exec(part)?.[0] ?? "";
      const name = part.slice(0, part.length - items.length);
      return (NAME.test(name) && !KEYWORDS.has(name) ? name : `\`${name}\``) + items;
    })
    .join(".");
}

function quoted(text: string): boolean {
  try {
    return text.startsWith('"') && typeof JSON.parse(text) === "string";
  } catch {
    return false;
  }
}

/** A text that looks like a number is one only in quotes. */
const literal = (text: string, always = false) => (quoted(text) || (!always && SCALAR.test(text)) ? text : JSON.stringify(text));

/** Values with commas between; a comma within quotes stays. */
const several = (text: string) => (text.match(/"(?:[^"\\]|\\.)*"|[^,]+/g) ?? []).map((v) => v.trim()).filter(Boolean);

function conditionOf({ path, op, value }: Condition): string {
  const at = pathOf(path);
  if (op === "is defined") return `is defined(${at})`;
  if (CALLS.has(op)) return `${op}(${at}, ${literal(value.trim(), true)})`;
  if (op === "in") return `${at} in [${several(value).map((v) => literal(v)).join(", ")}]`;
  return `${at} ${op} ${literal(value.trim())}`;
}

/** As FEEL. Rows that aren't whole yet are left out. */
export const write = (groups: Groups): string =>
  groups
    .map((g) => g.filter(whole).map(conditionOf).join(" and "))
    .filter(Boolean)
    .join(" or ");

const TOKEN = /\s*(?:(?<text>"(?:[^"\\]|\\.)*")|(?<path>(?:`[^`]+`|[\p{L}_][\p{L}\p{N}_]*)(?:\[-?\d+\]|\.(?:`[^`]+`|[\p{L}_][\p{L}\p{N}_]*))*)|(?<number>-?(?:\d+(?:\.\d+)?|\.\d+))|(?<sign>!=|<=|>=|[=<>(),[\]]))/uy;

function tokens(text: string): string[] | undefined {
  const out: string[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim()) {
    const found = TOKEN.exec(text);
    if (!found) return undefined;
    out.push(found[0].trim());
  }
  return out;
}

/** The rows of a text that rows can say; undefined where it says more: it is edited as a text then. */
export function read(text: string): Groups | undefined {
  const all = tokens(text);
  if (!all?.length) return undefined;
  let at = 0;
  const take = (wanted: string) => all[at] === wanted && ++at > 0;
  const value = (): string | undefined => {
    const found = all[at];
    if (found === undefined || !(quoted(found) || SCALAR.test(found))) return undefined;
    at += 1;
    const plain = quoted(found) ? (JSON.parse(found) as string) : found;
    // quotes that would be missed stay
    return quoted(found) && (SCALAR.test(plain) || plain !== plain.trim() || plain === "" || plain.includes('"')) ? found : plain;
  };
  const path = (): string | undefined => {
    const found = all[at];
    if (found === undefined || !/^[\p{L}_`]/u.test(found) || KEYWORDS.has(found)) return undefined;
    at += 1;
    return found;
  };
  const condition = (): Condition | undefined => {
    const two = `${all[at]} ${all[at + 1]}`;
    const call = all[at] === "contains" && all[at + 1] === "(" ? "contains" : two === "starts with" || two === "is defined" ? two : undefined;
    if (call) {
      at += call === "contains" ? 1 : 2;
      if (!take("(")) return undefined;
      const of = path();
      if (of === undefined) return undefined;
      if (call === "is defined") return take(")") ? { path: of, op: call, value: "" } : undefined;
      const v = take(",") ? value() : undefined;
      return v !== undefined && take(")") ? { path: of, op: call, value: v } : undefined;
    }
    const of = path();
    if (of === undefined) return undefined;
    const op = all[at++] as Operator;
    if (op === "in") {
      if (!take("[")) return undefined;
      const values: string[] = [];
      do {
        const v = value();
        if (v === undefined) return undefined;
        values.push(v.includes(",") && !quoted(v) ? JSON.stringify(v) : v);
      } while (take(","));
      return take("]") ? { path: of, op, value: values.join(", ") } : undefined;
    }
    const v = ["=", "!=", "<", "<=", ">", ">="].includes(op) ? value() : undefined;
    return v === undefined ? undefined : { path: of, op, value: v };
  };
  const groups: Groups = [];
  do {
    const group: Condition[] = [];
    do {
      const c = condition();
      if (!c) return undefined;
      group.push(c);
    } while (take("and"));
    groups.push(group);
  } while (take("or"));
  return at === all.length ? groups : undefined;
}

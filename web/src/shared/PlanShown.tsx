import { Alert, List, Text } from "@mantine/core";
import type { Plan } from "~/api/types";
import { useText } from "~/i18n";
import { useNameOf } from "./names";
import { When } from "./time";

const LISTS = ["cancelled", "ended", "moved", "created", "armed", "changed", "told"] as const;
interface Row {
  kind: string;
  /** of what moves: before and after */
  element?: string | [string, string] | null;
  due?: string;
  names?: string[];
  command?: string;
}

/** What a command would do, by a dry run: each kind of effect with the elements that it is at; what waits afterwards; what to know before. */
export function PlanShown({ plan }: { plan: Plan }) {
  const t = useText();
  const nameOf = useNameOf();
  const left = new Map<string, { n: number; waits: Set<string> }>();
  for (const row of plan.left as unknown as { element: string; waits?: string[] }[]) {
    const at = left.get(row.element) ?? { n: 0, waits: new Set<string>() };
    at.n++;
    row.waits?.forEach((w) => at.waits.add(w));
    left.set(row.element, at);
  }
  const nothing = LISTS.every((name) => plan[name].length === 0);
  return (
    <div>
      {plan.warnings.length > 0 && (
        <Alert color="yellow" py={6} mb="xs" title={t("plan.warnings")}>
          <List size="sm">
            {(plan.warnings as unknown as string[]).map((w) => (
              <List.Item key={w}>{w}</List.Item>
            ))}
          </List>
        </Alert>
      )}
      {nothing ? (
        <Text size="sm">{t("plan.nothing")}</Text>
      ) : (
        <List size="sm">
          {LISTS.filter((name) => plan[name].length > 0).map((name) => (
            <List.Item key={name}>
              <b>{t(`plan.${name}`)}:</b> <Rows of={plan[name] as unknown as Row[]} />
              {(plan.counts[name] ?? 0) > plan[name].length && ` ${t("plan.more", { n: (plan.counts[name] ?? 0) - plan[name].length })}`}
            </List.Item>
          ))}
          {left.size > 0 && (
            <List.Item>
              <b>{t("plan.left")}:</b>{" "}
              {[...left].map(([element, { n, waits }]) => `${nameOf(element)}${n > 1 ? ` ×${n}` : ""}${waits.size ? ` (${[...waits].map((w) => t(`plan.waits.${w}`)).join(", ")})` : ""}`).join(" · ")}
            </List.Item>
          )}
        </List>
      )}
      {plan.continues && <Text size="sm">{t("plan.continues")}</Text>}
    </div>
  );
}

function Rows({ of }: { of: Row[] }) {
  const t = useText();
  const nameOf = useNameOf();
  const groups = new Map<string, { row: Row; n: number }>();
  const at = ({ element, names, command }: Row) => (Array.isArray(element) ? element.map(nameOf).join(" → ") : element?.startsWith("task:") ? t("plan.oftask") : element ? nameOf(element) : (names?.join(", ") ?? command ?? ""));
  for (const row of of) {
    const name = `${row.kind} ${at(row)}`;
    const group = groups.get(name);
    if (group) group.n++;
    else groups.set(name, { row, n: 1 });
  }
  return [...groups.values()].map(({ row, n }, i) => (
    <span key={i}>
      {i > 0 && " · "}
      {t(`plan.kind.${row.kind}`)} {at(row)}
      {n > 1 && ` ×${n}`}
      {row.due && n === 1 && (
        <>
          {" "}
          (<When at={row.due} />)
        </>
      )}
    </span>
  ));
}

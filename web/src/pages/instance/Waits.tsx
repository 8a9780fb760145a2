import { Anchor, Badge, Table } from "@mantine/core";
import type { InstanceState } from "~/api/types";
import { useText } from "~/i18n";
import { Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";

/** A task's own timer stands as `task:KIND:LEVEL:TASK`. */
const OF_TASK = /^task:([a-z_]+):\d+:(\d+)$/;

/** First of all: what is it waiting for? `names`: of elements, by id. */
export function Waits({ state, element, names, onIncidents }: { state: InstanceState; element?: string; names?: Map<string, string>; onIncidents: () => void }) {
  const t = useText();
  const tasks = state.tasks as { task: string; element: string; job_type?: string; type: string; created?: string; status: string; assignee?: string; worker?: string }[];
  const timers = (state.timers as { element: string; due?: string; due_at?: string }[]).map((x) => {
    const [, kind, task] = OF_TASK.exec(x.element) ?? [];
    return { kind: "timer", element: kind ? (tasks.find((other) => other.task === task)?.element ?? "") : x.element, what: kind ? t(`instance.waits.task.${kind}`) : "", due: x.due ?? x.due_at };
  });
  const stuck = state.incidents as { element: string; code: string; message: string }[];
  const all: { kind: string; element: string; what: string; since?: string; due?: string; who?: string }[] = [
    ...stuck.map((x) => ({ kind: "incident", element: x.element, what: x.message || x.code, since: tasks.find((task) => task.element === x.element)?.created })),
    // work that has failed for good waits for nobody but who resolves its incident
    ...tasks.filter((x) => x.status !== "failed" || !stuck.some((i) => i.element === x.element)).map((x) => ({ kind: x.type, element: x.element, what: x.job_type || t(`status.${x.status}`), since: x.created, who: x.assignee ?? x.worker })),
    ...timers,
    ...(state.subscriptions as { element: string; kind: string; name: string; correlation?: string }[]).map((x) => ({ kind: x.kind, element: x.element, what: [x.name, x.correlation].filter(Boolean).join(" = ") })),
  ];
  const rows = element ? all.filter((r) => r.element === element) : all;
  return (
    <>
      {rows.length === 0 ? (
        <Empty title={t(element ? "instance.waits.element" : "instance.waits.none")} />
      ) : (
        <Wide minWidth={560}>
          <Table verticalSpacing={4}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t("col.element")}</Table.Th>
                <Table.Th>{t("col.waitsfor")}</Table.Th>
                <Table.Th>{t("col.who")}</Table.Th>
                <Table.Th>{t("col.since")}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((r, n) => (
                <Table.Tr key={n}>
                  <Table.Td title={r.element}>{names?.get(r.element) ?? r.element}</Table.Td>
                  <Table.Td>
                    <Badge size="sm" variant="light" color={r.kind === "incident" ? "red" : undefined} tt="none" mr={6}>
                      {t(r.kind === "incident" ? "status.incident" : `kind.${r.kind}`)}
                    </Badge>
                    {r.kind === "incident" ? (
                      <Anchor component="button" type="button" size="sm" ta="left" onClick={onIncidents}>
                        {r.what}
                      </Anchor>
                    ) : (
                      r.what
                    )}
                  </Table.Td>
                  <Table.Td>{r.who ?? "–"}</Table.Td>
                  <Table.Td>
                    <When at={r.due ?? r.since} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </>
  );
}

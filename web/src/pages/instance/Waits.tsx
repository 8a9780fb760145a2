import { Badge, Table } from "@mantine/core";
import type { InstanceState } from "~/api/types";
import { useText } from "~/i18n";
import { Empty } from "~/shared/states";
import { When } from "~/shared/time";

/** First of all: what is it waiting for? */
export function Waits({ state, element }: { state: InstanceState; element?: string }) {
  const t = useText();
  const keep = <T extends { element?: unknown }>(rows: T[]) => (element ? rows.filter((r) => r.element === element) : rows);
  const rows: { kind: string; element: string; what: string; since?: string; due?: string; who?: string }[] = [
    ...keep(state.tasks as { element: string; job_type?: string; type: string; created?: string; status: string; assignee?: string; worker?: string }[]).map((x) => ({ kind: x.type, element: x.element, what: x.job_type || t(`status.${x.status}`), since: x.created, who: x.assignee ?? x.worker })),
    ...keep(state.timers as { element: string; due?: string; due_at?: string }[]).map((x) => ({ kind: "timer", element: x.element, what: "", due: x.due ?? x.due_at })),
    ...keep(state.subscriptions as { element: string; kind: string; name: string; correlation?: string }[]).map((x) => ({ kind: x.kind, element: x.element, what: [x.name, x.correlation].filter(Boolean).join(" = ") })),
  ];
  return (
    <>
      {rows.length === 0 ? (
        <Empty title={t(element ? "instance.waits.element" : "instance.waits.none")} />
      ) : (
        rows.length > 0 && (
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
                  <Table.Td>{r.element}</Table.Td>
                  <Table.Td>
                    <Badge size="sm" variant="light" tt="none" mr={6}>
                      {t(`kind.${r.kind}`)}
                    </Badge>
                    {r.what}
                  </Table.Td>
                  <Table.Td>{r.who ?? "–"}</Table.Td>
                  <Table.Td>
                    <When at={r.due ?? r.since} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )
      )}
    </>
  );
}

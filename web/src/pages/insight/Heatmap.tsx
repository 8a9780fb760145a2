import { Grid, Group, SegmentedControl, Table, Text, Title } from "@mantine/core";
import { useMemo } from "react";
import { useDiagram } from "~/api/source";
import { Diagram, type Badge } from "~/diagram/Diagram";
import { useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { Wide } from "~/shared/Wide";
import { gradeOf, HEATS, type Heat } from "./asked";
import { Fresh, long, useReport, type Part } from "./parts";

/** Where the process is busy, slow, waiting and failing, on its diagram and as a table. */
export function Heatmap({ search, process, versions, set }: Part) {
  const t = useText();
  const kind: Heat = HEATS.find((k) => k === search.heat) ?? "waiting";
  const report = useReport("/reports/heatmap", search, { process, version: search.version });
  const definition = versions.find((d) => String(d.version) === search.version) ?? versions[0];
  const xml = useDiagram(definition?.key);
  const items = report.data?.items;
  const { badges, marks, rows } = useMemo(() => {
    const sorted = [...(items ?? [])].sort((a, b) => b.heat[kind] - a.heat[kind] || (b.started ?? 0) - (a.started ?? 0));
    const hot: Record<string, string[]> = {};
    const told: Record<string, Badge> = {};
    for (const i of sorted) {
      const grade = gradeOf(i.heat[kind]);
      if (!grade || !i.element) continue;
      hot[i.element] = ["fl-heat", `fl-heat-${grade}`];
      told[i.element] = { text: figure(i, kind) };
    }
    return { badges: told, marks: hot, rows: sorted };
  }, [items, kind]);
  const chosen = rows.find((i) => i.element === search.element);
  return (
    <Answer of={report} empty={(d) => d.items.length === 0 && <Empty title={t("insight.nothing")}>{t("insight.nothing.hint")}</Empty>}>
      {() => (
        <>
          <Group mb="xs" gap="sm">
            <SegmentedControl size="xs" aria-label={t("insight.heat")} value={kind} onChange={(heat) => set({ heat })} data={HEATS.map((k) => ({ value: k, label: t(`heat.${k}`) }))} />
            <Group gap={4} aria-hidden="true">
              <Text size="xs">{t("heat.cold")}</Text>
              {[1, 2, 3, 4, 5, 6].map((n) => (
                <span key={n} className={`fl-heat-key fl-heat-key-${n}`} />
              ))}
              <Text size="xs">{t("heat.hot")}</Text>
            </Group>
          </Group>
          <Text size="xs" c="dimmed" mb="xs">
            {t(`heat.${kind}.what`)}
          </Text>
          <Answer of={xml}>{(text) => <Diagram xml={text} process={process} badges={badges} marks={marks} selected={search.element} onSelect={(element) => set({ element: element && rows.some((i) => i.element === element) ? element : undefined })} label={t("heat.diagram")} />}</Answer>
          <Grid mt="sm">
            <Grid.Col span={{ base: 12, lg: chosen ? 8 : 12 }}>
              <Wide minWidth={640}>
                <Table className="fl-numbers" verticalSpacing={3} aria-label={t("heat.table")} fz="sm">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>{t("heat.element")}</Table.Th>
                      {["visits", "mean", "p95", "waiting_time", "working_time", "errors", "incidents"].map((name) => (
                        <Table.Th key={name} ta="right">
                          {t(`measure.${name}`)}
                        </Table.Th>
                      ))}
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {rows.map((i) => (
                      <Table.Tr key={i.element} bg={i.element === search.element ? "var(--mantine-color-default-hover)" : undefined}>
                        <Table.Td>
                          <button type="button" className="fl-plain" aria-pressed={i.element === search.element} onClick={() => set({ element: i.element === search.element ? undefined : (i.element ?? undefined) })}>
                            <span className={`fl-heat-key fl-heat-key-${gradeOf(i.heat[kind]) ?? 0}`} aria-hidden="true" /> {i.name}
                          </button>
                        </Table.Td>
                        <Table.Td ta="right">{i.started}</Table.Td>
                        <Table.Td ta="right">{long(i.cycle_time?.mean_ms)}</Table.Td>
                        <Table.Td ta="right">{long(i.cycle_time?.p95_ms)}</Table.Td>
                        <Table.Td ta="right">{long(i.waiting_time?.mean_ms)}</Table.Td>
                        <Table.Td ta="right">{long(i.working_time?.mean_ms)}</Table.Td>
                        <Table.Td ta="right">{i.errors}</Table.Td>
                        <Table.Td ta="right">{i.incidents}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Wide>
            </Grid.Col>
            {chosen && (
              <Grid.Col span={{ base: 12, lg: 4 }}>
                <Title order={2}>{chosen.name}</Title>
                <Text size="xs" c="dimmed" className="fl-mono">
                  {chosen.element} {chosen.type}
                </Text>
                <Table className="fl-numbers" verticalSpacing={2} fz="sm" mt="xs" aria-label={chosen.name}>
                  <Table.Tbody>
                    {(
                      [
                        ["visits", chosen.started],
                        ["completed", chosen.completed],
                        ["failed", chosen.failed],
                        ["withdrawn", chosen.cancelled],
                        ["wip", chosen.wip],
                        ["median", long(chosen.cycle_time?.p50_ms)],
                        ["p95", long(chosen.cycle_time?.p95_ms)],
                        ["longest", long(chosen.cycle_time?.max_ms)],
                        ["attempts", chosen.attempts],
                        ["retries", chosen.retries],
                        ["reworked", chosen.reworked],
                      ] as const
                    ).map(([name, value]) => (
                      <Table.Tr key={name}>
                        <Table.Th>{t(`measure.${name}`)}</Table.Th>
                        <Table.Td ta="right">{value}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Grid.Col>
            )}
          </Grid>
          <Fresh of={report} />
        </>
      )}
    </Answer>
  );
}

type Row = { started?: number | null; errors?: number | null; failed?: number | null; incidents?: number | null; cycle_time?: { mean_ms?: number | null } | null; waiting_time?: { count: number; mean_ms?: number | null } | null };
/** What stands at the element; what has no work waits as long as it is there (docs/insight.md). */
function figure(i: Row, kind: Heat): string {
  if (kind === "frequency") return String(i.started);
  if (kind === "errors") return String((i.errors ?? 0) + (i.failed ?? 0) + (i.incidents ?? 0));
  if (kind === "duration") return long(i.cycle_time?.mean_ms);
  return long(i.waiting_time?.count ? i.waiting_time.mean_ms : i.cycle_time?.mean_ms);
}

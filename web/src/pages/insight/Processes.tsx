import { Anchor, Button, Paper, Table, Text, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { Chart, type Series } from "~/chart/Chart";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { Wide } from "~/shared/Wide";
import { measuresOf, pointOf, spanOf, windowOf, type Search } from "./asked";
import { Fresh, long, percent, useReport } from "./parts";

/** All processes of the time, and what happened together. Two questions. */
export function Processes({ search, names, open }: { search: Search; names: Record<string, string>; open: (process: string) => void }) {
  const t = useText();
  const { language } = useLanguage();
  const window = windowOf(spanOf(search, Date.now()), Date.now());
  const asked = measuresOf(search, Date.now());
  const all = useReport("/measures", search, asked.whole);
  const time = useReport("/measures", search, asked.time);
  const chart = useMemo(() => {
    const items = time.data?.items ?? [];
    const span = { from: time.data?.from };
    const of = (f: (i: (typeof items)[number]) => number | null) => items.map(f);
    const series: Series[] = [
      { name: t("measure.started"), kind: "line", color: "blue", values: of((i) => i.started ?? 0) },
      { name: t("measure.completed"), kind: "bar", stack: "ended", color: "teal", values: of((i) => i.completed ?? 0) },
      { name: t("measure.notcompleted"), kind: "bar", stack: "ended", color: "red", values: of((i) => (i.failed ?? 0) + (i.cancelled ?? 0) + (i.terminated ?? 0)) },
    ];
    return { points: items.map((i) => pointOf(i.from, window, language, span)), series };
  }, [time.data, window, language, t]);
  return (
    <Answer
      of={all}
      empty={(d) =>
        d.items.length === 0 && (
          <Empty
            title={t("insight.none")}
            action={
              <Button size="xs" variant="light" component={Link} to="/processes">
                {t("home.runs.start")}
              </Button>
            }
          >
            {t("insight.none.hint")}
          </Empty>
        )
      }
    >
      {(d) => (
        <>
          <Paper withBorder p="sm" mb="md">
            <Title order={2} mb="xs">
              {t("insight.done")}
            </Title>
            {time.data && <Chart label={t("insight.done")} {...chart} />}
          </Paper>
          <Wide minWidth={640}>
            <Table className="fl-numbers" verticalSpacing={4} highlightOnHover aria-label={t("insight.processes")}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("col.process")}</Table.Th>
                  {["started", "completed", "notcompleted", "wip", "success_rate", "median", "p95"].map((name) => (
                    <Table.Th key={name} ta="right">
                      {t(`measure.${name}`)}
                    </Table.Th>
                  ))}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {[...d.items]
                  .sort((a, b) => (b.started ?? 0) - (a.started ?? 0))
                  .map((i) => (
                    <Table.Tr key={i.process}>
                      <Table.Td>
                        <Anchor component="button" type="button" size="sm" ta="left" onClick={() => open(i.process ?? "")}>
                          {names[i.process ?? ""] ?? i.process}
                        </Anchor>
                      </Table.Td>
                      <Table.Td ta="right">{i.started}</Table.Td>
                      <Table.Td ta="right">{i.completed}</Table.Td>
                      <Table.Td ta="right">{(i.failed ?? 0) + (i.cancelled ?? 0) + (i.terminated ?? 0)}</Table.Td>
                      <Table.Td ta="right">{i.wip}</Table.Td>
                      <Table.Td ta="right">{percent(i.success_rate, language)}</Table.Td>
                      <Table.Td ta="right">{long(i.cycle_time?.p50_ms)}</Table.Td>
                      <Table.Td ta="right">{long(i.cycle_time?.p95_ms)}</Table.Td>
                    </Table.Tr>
                  ))}
              </Table.Tbody>
            </Table>
          </Wide>
          <Text size="xs" c="dimmed" mt={4}>
            {t("insight.nobody")}
          </Text>
          <Fresh of={all} />
        </>
      )}
    </Answer>
  );
}

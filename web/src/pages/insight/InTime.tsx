import { Paper, SimpleGrid, Text, Title } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, type ReactNode } from "react";
import { Chart, type Series } from "~/chart/Chart";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { duration } from "~/shared/time";
import { instancesOf, measuresOf, pointOf, spanOf, windowOf } from "./asked";
import { Figure, Fresh, long, percent, useReport, type Part } from "./parts";

/** One process: its figures as a whole, and window by window. A click on a window leads to the instances that began in it. */
export function InTime({ search, process }: Part) {
  const t = useText();
  const { language } = useLanguage();
  const navigate = useNavigate();
  const window = windowOf(spanOf(search, Date.now()), Date.now());
  const asked = measuresOf(search, Date.now());
  const whole = useReport("/measures", search, asked.whole);
  const time = useReport("/measures", search, asked.time);
  const items = time.data?.items;
  const charts = useMemo(() => {
    const rows = items ?? [];
    const of = (f: (i: (typeof rows)[number]) => number | null | undefined) => rows.map((i) => f(i) ?? null);
    const points = rows.map((i) => pointOf(i.from, window, language, { from: rows[0]?.from }));
    const done: Series[] = [
      { name: t("measure.started"), kind: "line", color: "blue", values: of((i) => i.started) },
      { name: t("measure.completed"), kind: "bar", stack: "ended", color: "teal", values: of((i) => i.completed) },
      { name: t("measure.failed"), kind: "bar", stack: "ended", color: "red", values: of((i) => i.failed) },
      { name: t("measure.stopped"), kind: "bar", stack: "ended", color: "gray", values: of((i) => (i.cancelled ?? 0) + (i.terminated ?? 0)) },
    ];
    const open: Series[] = [{ name: t("measure.wip"), kind: "line", color: "violet", values: of((i) => i.wip) }];
    const cycle: Series[] =
      window === "minute"
        ? [{ name: t("measure.mean"), kind: "line", color: "blue", values: of((i) => i.cycle_time?.mean_ms) }]
        : [
            { name: t("measure.median"), kind: "line", color: "blue", values: of((i) => i.cycle_time?.p50_ms) },
            { name: t("measure.p95"), kind: "line", color: "orange", values: of((i) => i.cycle_time?.p95_ms) },
          ];
    const work: Series[] = [
      { name: t("measure.waiting_time"), kind: "bar", stack: "work", color: "orange", values: of((i) => i.waiting_time?.mean_ms) },
      { name: t("measure.working_time"), kind: "bar", stack: "work", color: "blue", values: of((i) => i.working_time?.mean_ms) },
    ];
    return { points, done, open, cycle, work };
  }, [items, window, language, t]);
  const pick = (n: number) => {
    const at = items?.[n];
    if (at) void navigate({ to: "/instances", search: instancesOf(process, at.from, at.to) });
  };
  return (
    <Answer of={whole} empty={(d) => (d.items[0]?.started ?? 0) + (d.items[0]?.completed ?? 0) + (d.items[0]?.wip ?? 0) === 0 && <Empty title={t("insight.nothing")}>{t("insight.nothing.hint")}</Empty>}>
      {(d) => {
        const all = d.items[0]!;
        return (
          <>
            <SimpleGrid cols={{ base: 2, xs: 3, lg: 6 }} spacing="xs" mb="md">
              <Figure name={t("measure.started")} value={String(all.started)} more={t("insight.wip", { n: all.wip ?? 0 })} />
              <Figure name={t("measure.completed")} value={String(all.completed)} more={t("insight.perhour", { n: (all.throughput ?? 0).toLocaleString(language, { maximumSignificantDigits: 3 }) })} />
              <Figure name={t("measure.success_rate")} value={percent(all.success_rate, language)} more={t("insight.notok", { failed: all.failed ?? 0, stopped: (all.cancelled ?? 0) + (all.terminated ?? 0) })} />
              <Figure name={t("measure.cycle_time")} value={long(all.cycle_time?.p50_ms)} more={t("insight.p95", { time: long(all.cycle_time?.p95_ms) })} />
              <Figure name={t("measure.waiting_time")} value={long(all.waiting_time?.mean_ms)} more={t("insight.working", { time: long(all.working_time?.mean_ms) })} />
              <Figure name={t("measure.errors")} value={String(all.errors)} more={t("insight.again", { retries: all.retries ?? 0, incidents: all.incidents ?? 0, reworked: all.reworked ?? 0 })} />
            </SimpleGrid>
            <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm">
              <Panel title={t("insight.done")}>
                <Chart label={t("insight.done")} points={charts.points} series={charts.done} onPick={pick} />
              </Panel>
              <Panel title={t("insight.open")}>
                <Chart label={t("insight.open")} points={charts.points} series={charts.open} />
              </Panel>
              <Panel title={t("measure.cycle_time")}>
                <Chart label={t("measure.cycle_time")} points={charts.points} series={charts.cycle} format={duration} />
              </Panel>
              <Panel title={t("insight.work")}>
                <Chart label={t("insight.work")} points={charts.points} series={charts.work} format={duration} />
              </Panel>
            </SimpleGrid>
            <Text size="xs" c="dimmed" mt="xs">
              {t("insight.windows")} {t("insight.pick")}
            </Text>
            <Fresh of={whole} />
          </>
        );
      }}
    </Answer>
  );
}

function Panel({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Paper withBorder p="sm" style={{ minWidth: 0 }}>
      <Title order={2} mb="xs">
        {title}
      </Title>
      {children}
    </Paper>
  );
}

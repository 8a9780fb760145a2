import { Anchor, Paper, Table, Text } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo, type ReactNode } from "react";
import { Chart } from "~/chart/Chart";
import { Pie } from "~/chart/Pie";
import { useLanguage, useText } from "~/i18n";
import { Empty } from "~/shared/states";
import { duration } from "~/shared/time";
import { pointOf } from "../asked";
import { Figure, percent } from "../parts";
import { behind, drawnOf, groupOf, type Row, type Told } from "./report";

const SHARES = new Set(["success_rate", "working_share", "error_rate", "recovered_share", "kept_share"]);

/** What a report tells, as its chart and as a table; from each point to the instances behind it. */
export function Shown({ of: told, process, label }: { of: Told; process?: string; label: string }) {
  const t = useText();
  const { language } = useLanguage();
  const navigate = useNavigate();
  const nameOf = useMemo(() => (column: string) => (told.columns.length === 1 && column in FIGURES ? t(FIGURES[column]!) : t(`alerts.measure.${column}`)), [told.columns, t]);
  const charts = useMemo(() => (told.chart === "table" || told.chart === "number" ? [] : drawnOf(told, language, nameOf)), [told, language, nameOf]);
  const words = (column: string, value: unknown) => {
    if (typeof value !== "number") return "–";
    if (told.units[column] === "s") return duration(value * 1000);
    if (SHARES.has(column)) return percent(value, language);
    return `${value.toLocaleString(language, { maximumFractionDigits: 2 })}${told.units[column] ? ` ${told.units[column]}` : ""}`;
  };
  const format = (unit: string) => (unit === "s" ? SECONDS : told.columns.every((c) => SHARES.has(c)) ? (v: number) => percent(v, language) : String);
  const column = told.columns[0]!;
  const timed = told.window !== "all" || told.group.length === 0;
  if (told.items.length === 0) return <Empty title={t("insight.nothing")}>{t("reports.nothing")}</Empty>;
  return (
    <>
      {told.chart === "number" && <Figure name={nameOf(column)} value={words(column, told.items[0]![column])} />}
      {told.chart === "pie" && <Pie label={label} parts={told.items.map((r) => ({ name: groupOf(r, told), value: Number(r[column] ?? 0) }))} format={(v) => words(column, v)} />}
      {told.chart !== "pie" &&
        charts.map((c) => (
          <Paper key={c.unit} withBorder p="sm" mb="sm" style={{ minWidth: 0 }}>
            <Chart label={charts.length > 1 ? `${label} ${c.unit === "s" ? t("reports.times") : t("reports.counts")}` : label} points={c.points} series={c.series} format={format(c.unit)} height={280} onPick={(n) => c.rows[n] && void navigate({ to: "/instances", search: behind(c.rows[n], process) as never })} />
            {c.more > 0 && (
              <Text size="xs" c="dimmed">
                {t("reports.more", { n: c.more })}
              </Text>
            )}
          </Paper>
        ))}
      <Table.ScrollContainer minWidth={80 * (told.group.length + told.columns.length + Number(timed))} mah={480}>
        <Table verticalSpacing={4} fz="sm" stickyHeader aria-label={t("reports.table", { title: label })}>
          <Table.Thead>
            <Table.Tr>
              {timed && <Table.Th>{t("chart.when")}</Table.Th>}
              {told.group.map((g) => (
                <Table.Th key={g}>{t(`reports.group.${g}`)}</Table.Th>
              ))}
              {told.columns.map((c) => (
                <Table.Th key={c} ta="right">
                  {nameOf(c)}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {told.items.map((row, n) => (
              <Table.Tr key={n}>
                {timed && (
                  <Table.Td>
                    <Behind row={row} process={process}>
                      {told.window === "all" ? t("reports.whole") : pointOf(String(row.from), told.window, language, { from: told.from })}
                    </Behind>
                  </Table.Td>
                )}
                {told.group.map((g, at) => {
                  const word = g === "version" ? `v${row[g]}` : (row[g] ?? "–");
                  return (
                    <Table.Td key={g} style={{ overflowWrap: "anywhere" }}>
                      {timed || at > 0 ? word : <Behind row={row} process={process}>{word}</Behind>}
                    </Table.Td>
                  );
                })}
                {told.columns.map((c) => (
                  <Table.Td key={c} ta="right">
                    {words(c, row[c])}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </>
  );
}

function Behind({ row, process, children }: { row: Row; process?: string; children: ReactNode }) {
  return (
    <Anchor component={Link} to="/instances" search={behind(row, process) as never} size="sm">
      {children}
    </Anchor>
  );
}

const SECONDS = (v: number) => duration(v * 1000);
/** what a KPI's column is called by, where it isn't a measure */
const FIGURES: Record<string, string> = Object.fromEntries(["mean", "total", "count", "min", "max", "kept_share", "broken"].map((f) => [f, `reports.figure.${f}`]));

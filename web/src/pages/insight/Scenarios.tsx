import { Badge, Table, Text } from "@mantine/core";
import { useMemo } from "react";
import type { AnswerOf } from "~/api/types";
import { Chart, type Series } from "~/chart/Chart";
import { useLanguage, useText } from "~/i18n";
import { duration } from "~/shared/time";
import { long, percent } from "./parts";
import type { Band, Told } from "./whatif";

/** what is less is written as 0 ms */
const SEEN_MS = 0.5;
const FIGURES = ["mean", "p50", "p90", "p95"] as const;

/** Scenarios side by side: each figure with its band, and against what is, where that is no chance. */
export function Scenarios({ of, names }: { of: AnswerOf<"POST", "/simulations">; names: Record<string, string> }) {
  const t = useText();
  const { language } = useLanguage();
  const rows = of.scenarios as unknown as Told[];
  const title = (s: Told, n: number) => (n === 0 ? t("whatif.base") : s.name);
  const few = (n: number) => n.toLocaleString(language, { maximumFractionDigits: 2 });
  const chart = useMemo(() => {
    const mean = rows.map((s) => s.cycle_ms.mean);
    const series: Series[] = [
      { name: t("whatif.mean"), kind: "bar", color: "blue", values: mean.map((b) => b.mean) },
      { name: t("whatif.p95"), kind: "bar", color: "gray", values: rows.map((s) => s.cycle_ms.p95.mean) },
    ];
    return { points: rows.map((s, n) => (n === 0 ? t("whatif.base") : s.name)), series, band: { name: t("whatif.band"), color: "orange" as const, low: mean.map((b) => b.from), high: mean.map((b) => b.to) } };
  }, [rows, t]);
  const elements = [...new Set(rows.flatMap((s) => Object.keys(s.elements)))];
  const resources = [...new Set(rows.flatMap((s) => Object.keys(s.resources)))];
  const cell = (b: Band | undefined, show: (n: number) => string) => (
    <>
      {b?.mean == null ? "–" : show(b.mean)}
      {b?.from != null && b.to != null && (
        <Text size="xs" c="dimmed">
          {show(b.from)} – {show(b.to)}
        </Text>
      )}
    </>
  );
  return (
    <>
      <Text size="sm" mb="xs">
        {t("whatif.learned", { n: of.learned_from, runs: of.runs, seed: of.seed, ms: of.took_ms })}
      </Text>
      <Chart label={t("whatif.mean")} {...chart} format={duration} />
      <Table.ScrollContainer minWidth={200 + rows.length * 150}>
        <Table fz="sm" verticalSpacing={4} aria-label={t("whatif.table")} className="fl-numbers">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t("whatif.figure")}</Table.Th>
              {rows.map((s, n) => (
                <Table.Th key={n}>{title(s, n)}</Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {FIGURES.map((f) => (
              <Table.Tr key={f}>
                <Table.Td>{t(`whatif.${f}`)}</Table.Td>
                {rows.map((s, n) => (
                  <Table.Td key={n}>
                    {cell(s.cycle_ms[f], long)}
                    {s.against_base_ms?.[f] && <Against of={s.against_base_ms[f]} />}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
            <Table.Tr>
              <Table.Td>{t("whatif.throughput")}</Table.Td>
              {rows.map((s, n) => (
                <Table.Td key={n}>{cell(s.throughput, few)}</Table.Td>
              ))}
            </Table.Tr>
            {elements.map((e) => (
              <Table.Tr key={e}>
                <Table.Td>{t("whatif.wait", { element: names[e] ?? e })}</Table.Td>
                {rows.map((s, n) => (
                  <Table.Td key={n}>{cell(s.elements[e]?.waiting_ms, long)}</Table.Td>
                ))}
              </Table.Tr>
            ))}
            {resources.map((name) => (
              <Table.Tr key={`r ${name}`}>
                <Table.Td>{t("whatif.busy", { name: names[name] ?? name })}</Table.Td>
                {rows.map((s, n) => (
                  <Table.Td key={n}>{cell(s.resources[name], (x) => percent(x, language))}</Table.Td>
                ))}
              </Table.Tr>
            ))}
            <Table.Tr>
              <Table.Td>{t("whatif.unfinished")}</Table.Td>
              {rows.map((s, n) => (
                <Table.Td key={n}>{few(s.unfinished)}</Table.Td>
              ))}
            </Table.Tr>
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {rows.flatMap((s) => s.stuck).map((k) => (
        <Text key={k.why} size="sm" c="red" style={{ overflowWrap: "anywhere" }}>
          {t("whatif.stuck", { why: k.why, n: k.count })}
        </Text>
      ))}
      <Text size="xs" c="dimmed">
        {t("whatif.band")}
      </Text>
    </>
  );
}

function Against({ of: b }: { of: Band & { sure: boolean } }) {
  const t = useText();
  if (b.mean == null) return null;
  if (Math.abs(b.mean) < SEEN_MS) return <Badge size="sm" variant="light" tt="none" color="gray">{t("whatif.same")}</Badge>;
  const longer = b.mean > 0;
  return (
    <Badge size="sm" variant="light" tt="none" color={!b.sure ? "gray" : longer ? "red" : "teal"} title={t(b.sure ? "whatif.sure" : "whatif.chance")}>
      {t(longer ? "whatif.longer" : "whatif.shorter", { time: long(Math.abs(b.mean)) })}
      {b.sure ? "" : ` · ${t("whatif.chance")}`}
    </Badge>
  );
}

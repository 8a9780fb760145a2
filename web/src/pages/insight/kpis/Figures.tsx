import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get } from "~/api/client";
import { Chart, type Series } from "~/chart/Chart";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { duration } from "~/shared/time";
import { pointOf, spanOf, windowOf, type Search } from "../asked";
import { Fresh } from "../parts";
import type { Kpi } from "./kpi";

/** A KPI in time: shares kept, or its mean with how many there were. */
export function Figures({ of: kpi, search }: { of: Kpi; search: Search }) {
  const t = useText();
  const { language } = useLanguage();
  const window = windowOf(spanOf(search, Date.now()), Date.now());
  const q = useQuery({
    queryKey: ["insight", "figures", kpi.name, search.last],
    queryFn: ({ signal }) => get(`/kpis/${encodeURIComponent(kpi.name)}/figures` as `/kpis/${string}/figures`, { window, ...spanOf(search, Date.now()) } as never, signal),
  });
  const chart = useMemo(() => {
    const items = q.data?.items ?? [];
    const points = items.map((i) => pointOf(i.from, window, language, { from: q.data?.from }));
    const series: Series[] =
      kpi.kind === "sla"
        ? [
            { name: t("kpis.series.kept"), kind: "bar", stack: "n", color: "teal", values: items.map((i) => i.kept ?? 0) },
            { name: t("kpis.series.broken"), kind: "bar", stack: "n", color: "red", values: items.map((i) => i.broken ?? 0) },
          ]
        : [{ name: kpi.kind === "cost" ? t("kpis.series.total") : t("measure.mean"), kind: "line", color: "blue", values: items.map((i) => (kpi.kind === "cost" ? i.total : i.mean) ?? null) }];
    return { points, series };
  }, [q.data, kpi.kind, window, language, t]);
  const format = (value: number) => (kpi.kind === "sla" ? String(value) : q.data?.unit === "ms" ? duration(value) : `${value.toLocaleString(language, { maximumFractionDigits: 2 })}${q.data?.unit ? ` ${q.data.unit}` : ""}`);
  return (
    <Answer of={q} empty={(d) => d.items.length === 0 && <Empty title={t("kpis.figures.none")}>{t("kpis.figures.none.hint")}</Empty>}>
      {() => (
        <>
          <Chart label={kpi.title || kpi.name} {...chart} format={format} />
          <Fresh of={q} />
        </>
      )}
    </Answer>
  );
}

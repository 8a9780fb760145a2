import { Select, SimpleGrid, Text } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get } from "~/api/client";
import type { AnswerOf } from "~/api/types";
import { Chart, type Series } from "~/chart/Chart";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { pointOf } from "./asked";
import { Figure, percent, type Part } from "./parts";

const MEASURES = ["started", "completed", "ended", "failed", "incidents"] as const;
const WINDOWS = ["hour", "day"] as const;
/** days ahead */
const AHEAD = ["2", "7", "14", "28"] as const;
const one = <T extends string>(known: readonly T[], asked: string | undefined, otherwise: T): T => known.find((k) => k === asked) ?? otherwise;

/** How many will come, with the band in which they lie, and how far off that was on weeks that were held out. */
export function Forecast({ search, process, set }: Part) {
  const t = useText();
  const { language } = useLanguage();
  const measure = one(MEASURES, search.measure, "started");
  const window = one(WINDOWS, search.window, "hour");
  const ahead = one(AHEAD, search.ahead, "7");
  const steps = Number(ahead) * (window === "hour" ? 24 : 1);
  const q = useQuery({ placeholderData: keepPreviousData, queryKey: ["insight", "/forecasts", process, measure, window, steps], queryFn: async ({ signal }) => (await get("/forecasts", { process, measure, window, steps }, signal)) as unknown as AnswerOf<"get", "/forecasts"> });
  const chart = useMemo(() => {
    const items = q.data?.items ?? [];
    const series: Series[] = [
      { name: t("forecast.expected"), kind: "line", color: "blue", values: items.map((i) => i.expected) },
      { name: t("forecast.last"), kind: "line", color: "gray", values: items.map((i) => i.last_week) },
    ];
    return { points: items.map((i) => pointOf(i.from, window, language, { from: new Date(0).toISOString() })), series, band: { name: t("forecast.band"), color: "blue" as const, low: items.map((i) => i.low), high: items.map((i) => i.high) } };
  }, [q.data, window, language, t]);
  const few = (n: number) => n.toLocaleString(language, { maximumFractionDigits: 1 });
  return (
    <>
      <SimpleGrid cols={{ base: 2, xs: 3, md: 6 }} spacing="xs" mb="sm">
        <Select size="xs" label={t("forecast.measure")} allowDeselect={false} value={measure} data={MEASURES.map((value) => ({ value, label: t(`measure.${value}`) }))} onChange={(v) => set({ measure: v === "started" ? undefined : (v ?? undefined) })} />
        <Select size="xs" label={t("forecast.window")} allowDeselect={false} value={window} data={WINDOWS.map((value) => ({ value, label: t(`forecast.window.${value}`) }))} onChange={(v) => set({ window: v === "hour" ? undefined : (v ?? undefined) })} />
        <Select size="xs" label={t("forecast.ahead")} allowDeselect={false} value={ahead} data={AHEAD.map((value) => ({ value, label: t("forecast.days", { n: value }) }))} onChange={(v) => set({ ahead: v === "7" ? undefined : (v ?? undefined) })} />
      </SimpleGrid>
      <Answer of={q} empty={(d) => d.by === "nothing" && <Empty title={t("forecast.nothing", { n: d.weeks })}>{t("forecast.nothing.hint")}</Empty>}>
        {(d) => (
          <>
            <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="xs" mb="md">
              <Figure name={t("forecast.error")} value={d.error == null ? "–" : few(d.error)} more={d.last_week_error == null ? undefined : t("forecast.error.last", { n: few(d.last_week_error) })} />
              <Figure name={t("forecast.covered")} value={percent(d.interval?.holds, language)} more={t("forecast.covered.what", { says: percent(d.interval?.says, language) })} />
              <Figure name={t("forecast.bias")} value={d.bias == null ? "–" : few(d.bias)} more={t("forecast.bias.what")} />
              <Figure name={t("forecast.weeks")} value={String(d.weeks)} />
            </SimpleGrid>
            <Text size="sm" mb="xs">
              {t(`forecast.by.${d.by}`)}.
            </Text>
            <Chart label={t(`measure.${measure}`)} {...chart} height={280} format={few} />
            <Text size="xs" c="dimmed" mt="sm">
              {t("forecast.windows")}
              {d.position ? ` · ${t("insight.place", { position: d.position })}` : ""}
            </Text>
          </>
        )}
      </Answer>
    </>
  );
}

import { Table, Text, useComputedColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useText } from "~/i18n";
import { Failed } from "~/shared/states";

export interface Series {
  name: string;
  kind: "bar" | "line";
  color: keyof typeof COLORS;
  /** bars of the same stack stand on each other */
  stack?: string;
  values: (number | null)[];
}

interface Props {
  label: string;
  /** what stands below, one for each value */
  points: string[];
  series: Series[];
  /** an area behind them: between which values it lies */
  band?: { name: string; color: keyof typeof COLORS; low: (number | null)[]; high: (number | null)[] };
  format?: (value: number) => string;
  height?: number;
  /** somebody wants to see what is behind a point; the figures as a table have the same as buttons */
  onPick?: (index: number) => void;
}

/** On light and on dark ground, told apart also by who sees no red or green. */
const COLORS = {
  blue: ["#1971c2", "#74c0fc"],
  teal: ["#087f5b", "#63e6be"],
  red: ["#c92a2a", "#ff8787"],
  orange: ["#d9480f", "#ffa94d"],
  violet: ["#6741d9", "#b197fc"],
  gray: ["#495057", "#adb5bd"],
} as const;

/** points that are names rather than a course of time */
const FEW = 6;
const MOTION = "(prefers-reduced-motion: reduce)";

/** The only place that knows ECharts. What it draws is below as a table, too: for who reads by ear or keyboard, and to copy. */
export function Chart({ label, points, series, band, format = String, height = 220, onPick }: Props) {
  const t = useText();
  const dark = useComputedColorScheme("light") === "dark";
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<ReturnType<typeof import("./echarts").init>>(undefined);
  const [drawn, setDrawn] = useState(0);
  const pick = useRef(onPick);
  pick.current = onPick;
  const library = useQuery({ queryKey: ["echarts"], staleTime: Number.POSITIVE_INFINITY, gcTime: Number.POSITIVE_INFINITY, queryFn: () => import("./echarts") });
  const parts = library.data;
  useEffect(() => {
    if (!parts) return;
    const made = parts.init(box.current!, undefined, { renderer: "svg" });
    chart.current = made;
    made.getZr().on("click", (e) => {
      const at = made.convertFromPixel({ gridIndex: 0 }, [e.offsetX, e.offsetY])?.[0];
      if (at !== undefined && at >= 0) pick.current?.(Math.round(at));
    });
    const seen = new ResizeObserver(() => made.resize());
    seen.observe(box.current!);
    return () => {
      seen.disconnect();
      made.dispose();
      chart.current = undefined;
    };
  }, [parts]);
  useEffect(() => {
    const made = chart.current;
    if (!made) return;
    const ink = dark ? "#c9ccd1" : "#495057";
    const line = dark ? "#3b3d42" : "#dee2e6";
    const names = [...series.map((s) => s.name), ...(band ? [band.name] : [])];
    const lines = Math.ceil(names.reduce((wide, name) => wide + 40 + 6.5 * name.length, 0) / made.getWidth());
    const top = names.length < 2 ? 12 : 12 + 20 * lines; // on a phone names take a second line
    const few = points.length <= FEW ? { interval: 0, overflow: "break" as const, lineHeight: 14, width: Math.max(40, made.getWidth() / points.length - 24) } : {}; // each is named
    made.setOption(
      {
        animation: !window.matchMedia(MOTION).matches,
        animationDuration: 200,
        textStyle: { fontFamily: "system-ui, sans-serif", color: ink },
        grid: { left: 8, right: 12, top, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
        legend: { show: names.length > 1, data: names, top: 0, left: 0, textStyle: { color: ink }, itemHeight: 10, itemWidth: 14 },
        tooltip: { trigger: "axis", confine: true, valueFormatter: (v: unknown) => (typeof v === "number" ? format(v) : "–"), ...(band ? { formatter: (at: unknown) => told(at, points, series, band, format) } : {}), backgroundColor: dark ? "#25262b" : "#fff", borderColor: line, textStyle: { color: dark ? "#e9ecef" : "#212529", fontSize: 12 } },
        xAxis: { type: "category", data: points, axisLabel: { color: ink, hideOverlap: true, ...few }, axisLine: { lineStyle: { color: line } }, axisTick: { show: false } },
        yAxis: { type: "value", minInterval: format === String ? 1 : undefined, axisLabel: { color: ink, formatter: format }, splitLine: { lineStyle: { color: line } }, splitNumber: 4 },
        // with Ctrl, or two fingers: a wheel alone scrolls the page
        dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseMove: true, moveOnMouseWheel: false, minValueSpan: 3 }],
        series: [...(band ? area(band, dark) : []), ...series.map((s) => ({
          name: s.name,
          type: s.kind,
          stack: s.stack,
          data: s.values,
          color: COLORS[s.color][dark ? 1 : 0],
          barMaxWidth: 28,
          symbol: "circle",
          symbolSize: 5,
          showSymbol: points.length < 60,
          connectNulls: false,
        }))],
      },
      true,
    );
    setDrawn((n) => n + 1);
  }, [parts, points, series, band, format, dark]);
  if (library.error) return <Failed error={library.error} again={() => void library.refetch()} />;
  return (
    <>
      <div ref={box} role="img" aria-label={label} data-drawn={drawn || undefined} style={{ height, cursor: onPick ? "pointer" : undefined }} />
      <details>
        <Text component="summary" size="xs" c="dimmed" style={{ cursor: "pointer", width: "fit-content" }}>
          {t("chart.figures")}
        </Text>
        <Table.ScrollContainer minWidth={320} mah={260}>
          <Table verticalSpacing={2} aria-label={label} fz="xs">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t("chart.when")}</Table.Th>
                {[...series.map((s) => s.name), ...(band ? [band.name] : [])].map((name) => (
                  <Table.Th key={name} ta="right">
                    {name}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {points.map((point, n) => (
                <Table.Tr key={n}>
                  <Table.Td>
                    {onPick ? (
                      <button type="button" className="fl-plain" onClick={() => onPick(n)}>
                        {point}
                      </button>
                    ) : (
                      point
                    )}
                  </Table.Td>
                  {series.map((s) => (
                    <Table.Td key={s.name} ta="right">
                      {s.values[n] == null ? "–" : format(s.values[n])}
                    </Table.Td>
                  ))}
                  {band && <Table.Td ta="right">{between(band, n, format)}</Table.Td>}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </details>
    </>
  );
}

type Band = NonNullable<Props["band"]>;

const between = (band: Band, n: number, format: (value: number) => string) => (band.low[n] == null || band.high[n] == null ? "–" : `${format(band.low[n])} – ${format(band.high[n])}`);

/** ECharts draws what stands on something: the band stands on a line that isn't seen. */
function area(band: Band, dark: boolean) {
  const line = { type: "line" as const, stack: "fl-band", stackStrategy: "all" as const, symbol: "none", lineStyle: { opacity: 0 }, silent: true, color: COLORS[band.color][dark ? 1 : 0] };
  const wide = band.high.map((high, n) => (high == null || band.low[n] == null ? null : high - band.low[n]));
  return [
    { ...line, name: "fl-low", data: band.low },
    { ...line, name: band.name, data: wide, areaStyle: { opacity: dark ? 0.28 : 0.18 } },
  ];
}

/** What stands at a point, in words: the band as its two ends. Nothing in it is taken for markup. */
function told(at: unknown, points: string[], series: Series[], band: Band, format: (value: number) => string): HTMLElement {
  const n = (Array.isArray(at) ? (at[0] as { dataIndex: number }) : (at as { dataIndex: number })).dataIndex;
  const box = document.createElement("div");
  for (const line of [points[n] ?? "", ...series.map((s) => `${s.name}: ${s.values[n] == null ? "–" : format(s.values[n])}`), `${band.name}: ${between(band, n, format)}`]) box.appendChild(document.createElement("div")).textContent = line;
  return box;
}

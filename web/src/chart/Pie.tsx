import { Text, useComputedColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useText } from "~/i18n";
import { Failed } from "~/shared/states";

/** parts that are told apart; the smallest are one */
const PARTS_MAX = 10;
const INKS = [
  ["#1971c2", "#74c0fc"],
  ["#087f5b", "#63e6be"],
  ["#d9480f", "#ffa94d"],
  ["#6741d9", "#b197fc"],
  ["#c92a2a", "#ff8787"],
  ["#495057", "#adb5bd"],
  ["#0b7285", "#66d9e8"],
  ["#5c940d", "#c0eb75"],
  ["#a61e4d", "#faa2c1"],
  ["#862e9c", "#e599f7"],
] as const;

/** Shares of a whole. Its figures stand in the table beside it, which the page has anyway. */
export function Pie({ label, parts, format, height = 280 }: { label: string; parts: { name: string; value: number }[]; format: (value: number) => string; height?: number }) {
  const t = useText();
  const dark = useComputedColorScheme("light") === "dark";
  const box = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState(0);
  const library = useQuery({ queryKey: ["echarts"], staleTime: Number.POSITIVE_INFINITY, gcTime: Number.POSITIVE_INFINITY, queryFn: () => import("./echarts") });
  const lib = library.data;
  useEffect(() => {
    if (!lib) return;
    const made = lib.init(box.current!, undefined, { renderer: "svg" });
    const ink = dark ? "#c9ccd1" : "#495057";
    const sorted = [...parts].filter((p) => p.value > 0).sort((a, b) => b.value - a.value);
    const rest = sorted.slice(PARTS_MAX - 1).reduce((sum, p) => sum + p.value, 0);
    const shown = sorted.length > PARTS_MAX ? [...sorted.slice(0, PARTS_MAX - 1), { name: t("reports.rest"), value: rest }] : sorted;
    made.setOption({
      animation: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      animationDuration: 200,
      textStyle: { fontFamily: "system-ui, sans-serif", color: ink },
      legend: { type: "scroll", bottom: 0, textStyle: { color: ink }, pageTextStyle: { color: ink } },
      tooltip: { trigger: "item", confine: true, valueFormatter: (v: unknown) => format(Number(v)), backgroundColor: dark ? "#25262b" : "#fff", textStyle: { color: dark ? "#e9ecef" : "#212529", fontSize: 12 } },
      series: [{ type: "pie", radius: ["35%", "68%"], center: ["50%", "44%"], label: { show: false }, data: shown.map((p, n) => ({ ...p, itemStyle: { color: INKS[n % INKS.length]![dark ? 1 : 0] } })) }],
    });
    const seen = new ResizeObserver(() => made.resize());
    seen.observe(box.current!);
    setDrawn((n) => n + 1);
    return () => {
      seen.disconnect();
      made.dispose();
    };
  }, [lib, parts, dark, format, t]);
  if (library.error) return <Failed error={library.error} again={() => void library.refetch()} />;
  return (
    <>
      <div ref={box} role="img" aria-label={label} data-drawn={drawn || undefined} style={{ height }} />
      {parts.every((p) => p.value <= 0) && (
        <Text size="sm" c="dimmed">
          {t("insight.nothing")}
        </Text>
      )}
    </>
  );
}

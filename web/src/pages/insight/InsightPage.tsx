import "~/i18n/for-insight";
import { Button, Group, Menu, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { get, getText, query } from "~/api/client";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import { useGathered } from "~/api/useSeveral";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Parts } from "~/shared/Parts";
import { save } from "~/shared/save";
import { Empty, Failed, PageHead } from "~/shared/states";
import { GROUPS, LAST, LASTS, TABS, lastOf, measuresOf, spanOf, textOf, type Search } from "./asked";
import { Advice } from "./Advice";
import { Anomalies } from "./Anomalies";
import { Bottlenecks } from "./Bottlenecks";
import { Comparison } from "./Comparison";
import { Forecast } from "./Forecast";
import { Heatmap } from "./Heatmap";
import { InTime } from "./InTime";
import { Predictions } from "./Predictions";
import { Processes } from "./Processes";
import { Variants } from "./Variants";
import { WhatIf } from "./WhatIf";
import { useWork } from "~/shared/work";

const PARTS = { time: InTime, heat: Heatmap, bottlenecks: Bottlenecks, variants: Variants, compare: Comparison, predict: Predictions, forecast: Forecast, anomalies: Anomalies, whatif: WhatIf, advice: Advice } as const;
/** Parts that look at all versions, and that choose their time themselves: what would change nothing isn't there. */
const ANY_VERSION = new Set<string>(["compare", "forecast", "anomalies", "advice"]);
const ANY_TIME = new Set<string>(["forecast", "whatif", "advice"]);
const EXPORTS = { xes: "application/xml", ocel: "application/json", csv: "text/csv" } as const;

/** What was done, how long it took and where it waits. The address has the whole question. */
export function InsightPage() {
  const t = useText();
  const may = useMay("insight");
  const alerts = useMay("alerts");
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const set = (more: Record<string, string | undefined>) => void navigate({ to: ".", search: { ...search, ...more } as Search, replace: true });
  const last = lastOf(search);
  const short = last !== undefined && ["1h", "24h", "7d"].includes(last);
  useRefreshOn({}, [["insight"]], short ? 800 : 5000, may);
  useGathered(search.process ?? "", () => (may && (search.tab ?? "time") === "time" ? firstOf(search) : []));
  const versions = useQuery({ queryKey: ["/definitions", "versions", search.process], enabled: may && Boolean(search.process), queryFn: ({ signal }) => get("/definitions", { definition_id: search.process!, kind: "process", limit: 100 }, signal) });
  const known = useQuery({ queryKey: ["/definitions", "newest"], enabled: may, queryFn: ({ signal }) => get("/definitions", { kind: "process", latest: true, limit: 500 }, signal) });
  if (!may) return <Empty title={t("insight.maynot")}>{t("insight.maynot.hint")}</Empty>;
  const tab = (search.tab ?? "time") as keyof typeof PARTS;
  const timed = !search.process || !ANY_TIME.has(tab);
  const names = Object.fromEntries((known.data?.items ?? []).map((d) => [d.definition_id, d.name || d.definition_id]));
  const choices = [...new Set([...Object.keys(names), ...(search.process ? [search.process] : [])])];
  return (
    <>
      <PageHead title={t("insight.title")} actions={
          <Group gap="xs">
            <Button component={Link} to="/insight/reports" size="xs" variant="default">
              {t("reports.title")}
            </Button>
            <Button component={Link} to="/insight/kpis" size="xs" variant="default">
              {t("kpis.title")}
            </Button>
            <Button component={Link} to="/insight/capacity" size="xs" variant="default">
              {t("capacity.title")}
            </Button>
            {alerts && (
              <Button component={Link} to="/insight/alerts" size="xs" variant="default">
                {t("alerts.title")}
              </Button>
            )}
            {search.process && <Exports search={search} />}
          </Group>
        }
      >
        {t("insight.what")}
      </PageHead>
      <Group mb="sm" gap="xs" align="end">
        <Select label={t("col.process")} size="xs" w={{ base: "100%", xs: 230 }} clearable searchable placeholder={t("insight.all")} value={search.process ?? null} data={choices.map((id) => ({ value: id, label: names[id] ?? id }))} onChange={(process) => set({ process: process ?? undefined, version: undefined, element: undefined, before: undefined, after: undefined })} />
        {search.process && !ANY_VERSION.has(tab) && (
          <Select label={t("col.version")} size="xs" w={110} clearable placeholder={t("insight.versions.all")} value={search.version ?? null} data={(versions.data?.items ?? []).map((d) => ({ value: String(d.version), label: `v${d.version}` }))} onChange={(version) => set({ version: version ?? undefined })} />
        )}
        {timed && (
          <Select
            label={t("insight.time")}
            size="xs"
            w={150}
            allowDeselect={false}
            value={last ?? "days"}
            data={[...Object.keys(LASTS).map((value) => ({ value, label: t(`insight.last.${value}`) })), { value: "days", label: t("insight.last.days") }]}
            onChange={(value) => (value === "days" ? set({ last: undefined, from: daysAgo(7), to: daysAgo(0) }) : set({ last: value === LAST ? undefined : (value ?? undefined), from: undefined, to: undefined }))}
          />
        )}
        {timed && !last && (
          <>
            <TextInput type="date" label={t("insight.from")} size="xs" value={search.from ?? ""} max={search.to} onChange={(e) => set({ from: e.currentTarget.value || undefined })} />
            <TextInput type="date" label={t("insight.to")} size="xs" value={search.to ?? ""} min={search.from} onChange={(e) => set({ to: e.currentTarget.value || undefined })} />
          </>
        )}
      </Group>
      {!search.process ? (
        <Processes search={search} names={names} open={(process) => set({ process })} />
      ) : (
        <Parts
          label={t("insight.part")}
          open={tab}
          go={(next) => set({ tab: next === "time" ? undefined : next })}
          groups={Object.entries(GROUPS).map(([group, names]) => ({ label: t(`insight.group.${group}`), names: [...names] }))}
          parts={TABS.map((name) => {
            const Part = PARTS[name];
            return { name, label: t(`insight.tab.${name}`), show: () => <Part key={`${name} ${search.process}`} search={search} process={search.process!} versions={versions.data?.items ?? []} set={set} /> };
          })}
        />
      )}
    </>
  );
}

/** The first part's figures, and what there is to choose from. */
function firstOf(search: Search): string[] {
  const now = Date.now();
  const { whole, time } = measuresOf(search, now);
  const span = spanOf(search, now);
  const versions = search.process ? [`/definitions${query({ definition_id: search.process, kind: "process", limit: 100 })}`] : [];
  return [`/measures${query({ ...whole, ...span })}`, `/measures${query({ ...time, ...span })}`, ...versions, "/definitions?kind=process&latest=true&limit=500"];
}

const daysAgo = (n: number) => {
  const d = new Date();
  d.setDate(d.getDate() - n);
  return textOf(d);
};

/** The histories of the time shown, as files for other tools. */
function Exports({ search }: { search: Search }) {
  const t = useText();
  const { busy, error, run } = useWork();
  const take = (format: keyof typeof EXPORTS) =>
    run(async () => {
      const text = await getText(`/exports${query({ process: search.process, format, ...spanOf(search, Date.now()) })}`);
      save(`${(search.process ?? "").replace(/[^\w.-]/g, "_")}.${format === "ocel" ? "json" : format}`, EXPORTS[format], text);
    });
  return (
    <>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <Button size="xs" variant="default" loading={busy} leftSection={<Icon name="download" size={14} />}>
            {t("export.title")}
          </Button>
        </Menu.Target>
        <Menu.Dropdown maw={300}>
          <Menu.Label>{t("insight.export.what")}</Menu.Label>
          {(Object.keys(EXPORTS) as (keyof typeof EXPORTS)[]).map((format) => (
            <Menu.Item key={format} onClick={() => void take(format)}>
              {t(`insight.export.${format}`)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {error !== undefined && <Failed error={error} />}
    </>
  );
}


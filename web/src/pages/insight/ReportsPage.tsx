import "~/i18n/for-insight";
import { Anchor, Button, CopyButton, Group, Menu, NavLink, Paper, ScrollArea, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { get, getFile, send } from "~/api/client";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Icon } from "~/shared/icons";
import { save } from "~/shared/save";
import { Answer, Empty, Failed, PageHead } from "~/shared/states";
import type { Search } from "./asked";
import { Fresh } from "./parts";
import { Builder } from "./reports/Builder";
import type { Report, Saved, Told } from "./reports/report";
import { Schedule } from "./reports/Schedule";
import { Shown } from "./reports/Shown";

const FORMATS = { csv: "text/csv", xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", parquet: "application/vnd.apache.parquet" } as const;

/** Questions that are asked again and again, under a name: built, shown, shared, sent. The address says which one, or what is being built. */
export function ReportsPage() {
  const t = useText();
  return useMay("insight") ? <Reports /> : <Empty title={t("insight.maynot")}>{t("insight.maynot.hint")}</Empty>;
}

function Reports() {
  const t = useText();
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const set = (next: Record<string, string | undefined>, replace = false) => void navigate({ to: ".", search: Object.fromEntries(Object.entries(next).filter(([, v]) => v)) as Search, replace });
  const saved = useQuery({ queryKey: ["/saved-reports"], queryFn: ({ signal }) => get("/saved-reports", { limit: 500 }, signal) });
  useRefreshOn({}, [["insight"]], 5000);
  const building = search.build !== undefined;
  const make = (
    <Button size="xs" leftSection={<Icon name="plus" size={13} />} onClick={() => set({ build: "{}" })}>
      {t("reports.new")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("reports.title")} actions={!building && make}>
        {t("reports.what")}{" "}
        <Anchor component={Link} to="/insight" size="sm" underline="always">
          {t("alerts.figures")}
        </Anchor>
      </PageHead>
      <Answer of={saved}>
        {(d) => {
          const rows = (d.items as unknown as Saved[]).slice().sort((a, b) => (a.title ?? a.name).localeCompare(b.title ?? b.name));
          if (building) return <Builder key={search.report ?? ""} draft={search.build!} saved={rows} of={rows.find((r) => r.name === search.report)} keep={(report) => set({ report: search.report, build: JSON.stringify(report) }, true)} close={(name) => set({ report: name ?? search.report })} />;
          const chosen = rows.find((r) => r.name === search.report);
          if (rows.length === 0)
            return (
              <Empty title={t("reports.none")} action={make}>
                {t("reports.none.hint")}
              </Empty>
            );
          return (
            <div className="fl-reports">
              <ScrollArea.Autosize mah="min(70vh, 720px)" className="fl-reports-list" type="auto">
                <nav aria-label={t("reports.list")}>
                  {rows.map((r) => (
                    <NavLink key={r.name} component="button" active={r.name === chosen?.name} aria-current={r.name === chosen?.name || undefined} label={r.title ?? r.name} description={summary(r, t)} onClick={() => set({ report: r.name })} styles={{ label: { overflowWrap: "anywhere" }, description: { whiteSpace: "normal" } }} />
                  ))}
                </nav>
              </ScrollArea.Autosize>
              <section style={{ minWidth: 0 }} aria-label={chosen ? (chosen.title ?? chosen.name) : t("reports.choose")}>
                {chosen ? <One key={chosen.name} of={chosen} change={() => set({ report: chosen.name, build: "{}" })} gone={() => set({})} /> : search.report ? <Empty title={t("reports.gone", { name: search.report })} /> : <Empty title={t("reports.choose")}>{t("reports.choose.hint")}</Empty>}
              </section>
            </div>
          );
        }}
      </Answer>
    </>
  );
}

const summary = (r: Report, t: (key: string) => string) => [r.kpi ?? ([] as string[]).concat(r.measure ?? []).map((m) => t(`alerts.measure.${m}`)).join(", "), r.process].filter(Boolean).join(" · ");

/** A report that is saved: what it tells now, and what may be done with it. */
function One({ of: report, change, gone }: { of: Saved; change: () => void; gone: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const writes = useMay("learn");
  const [asked, setAsked] = useState<"schedule" | "delete">();
  const [error, setError] = useState<unknown>();
  const path = `/saved-reports/${encodeURIComponent(report.name)}`;
  const q = useQuery({ queryKey: ["insight", "report", report.name], placeholderData: keepPreviousData, queryFn: ({ signal }) => get(`${path}/run` as `/saved-reports/${string}/run`, undefined, signal) as unknown as Promise<Told> });
  const take = async (format: keyof typeof FORMATS) => {
    setError(undefined);
    try {
      save(`${report.name.replace(/[^\w.-]/g, "_")}.${format}`, FORMATS[format], await getFile(`${path}/export?format=${format}`));
    } catch (e) {
      setError(e);
    }
  };
  const title = report.title ?? report.name;
  return (
    <Paper withBorder p="sm">
      <Group justify="space-between" align="start" gap="xs" mb="xs">
        <div style={{ minWidth: 0 }}>
          <Text component="h2" fw={600} style={{ overflowWrap: "anywhere" }}>
            {title}
          </Text>
          {report.description && <Text size="sm">{report.description}</Text>}
        </div>
        <Group gap="xs">
          <Menu position="bottom-end" withinPortal>
            <Menu.Target>
              <Button size="compact-sm" variant="default" leftSection={<Icon name="download" size={14} />}>
                {t("export.title")}
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              {(Object.keys(FORMATS) as (keyof typeof FORMATS)[]).map((format) => (
                <Menu.Item key={format} onClick={() => void take(format)}>
                  {t(`reports.format.${format}`)}
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
          <CopyButton value={location.href}>
            {({ copied, copy }) => (
              <Button size="compact-sm" variant="default" onClick={copy}>
                {t(copied ? "reports.shared" : "reports.share")}
              </Button>
            )}
          </CopyButton>
          <Button size="compact-sm" variant="default" onClick={() => setAsked("schedule")}>
            {t("reports.schedule")}
          </Button>
          <Button size="compact-sm" variant="default" onClick={change}>
            {t("retention.change")}
          </Button>
          {writes && (
            <Button size="compact-sm" variant="subtle" color="red" onClick={() => setAsked("delete")}>
              {t("hooks.delete")}
            </Button>
          )}
        </Group>
      </Group>
      {error !== undefined && <Failed error={error} />}
      <Answer of={q}>{(told) => <Shown of={told} process={report.process} label={title} />}</Answer>
      <Fresh of={q} />
      {asked === "schedule" && <Schedule of={report} close={() => setAsked(undefined)} />}
      {asked === "delete" && (
        <Ask
          title={t("hooks.delete")}
          what={t("reports.delete.what", { name: title })}
          danger
          reason={false}
          close={() => setAsked(undefined)}
          go={async () => {
            await send("DELETE", path as `/saved-reports/${string}`);
            notifications.show({ message: t("reports.deleted"), color: "teal" });
            gone();
            await client.invalidateQueries({ queryKey: ["/saved-reports"] });
          }}
        />
      )}
    </Paper>
  );
}

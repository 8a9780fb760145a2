import "~/i18n/for-insight";
import { Alert, Anchor, Badge, Button, SimpleGrid, Table, Text, Title } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { get } from "~/api/client";
import { useMay } from "~/api/me";
import type { AnswerOf } from "~/api/types";
import { Chart, type Series } from "~/chart/Chart";
import { useLanguage, useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { save } from "~/shared/save";
import { Answer, Empty, PageHead } from "~/shared/states";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";
import { pointOf, type Search } from "./asked";
import { Figure, long, percent } from "./parts";

type Report = AnswerOf<"get", "/reports/capacity">;
type Resource = Report["items"][number];
type Reached = Resource["full"];
const AGAIN_MS = 60_000;
const keyOf = (r: Resource) => `${r.kind} ${r.process ?? ""} ${r.name}`;

/** What workers, people and the server carry, when they are full at the present growth, and what to change. */
export function CapacityPage() {
  const t = useText();
  return useMay("insight") ? <Capacity /> : <Empty title={t("insight.maynot")}>{t("insight.maynot.hint")}</Empty>;
}

function Capacity() {
  const t = useText();
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const q = useQuery({ queryKey: ["insight", "/reports/capacity"], placeholderData: keepPreviousData, refetchInterval: AGAIN_MS, queryFn: async ({ signal }) => (await get("/reports/capacity", {}, signal)) as unknown as Report });
  const table = (
    <Button size="xs" variant="default" leftSection={<Icon name="download" size={14} />} disabled={!q.data?.items.length} onClick={() => save("capacity.csv", "text/csv", csvOf(q.data!.items))}>
      CSV
    </Button>
  );
  return (
    <>
      <PageHead title={t("capacity.title")} actions={table}>
        {t("capacity.what")}{" "}
        <Anchor component={Link} to="/insight" size="sm" underline="always">
          {t("alerts.figures")}
        </Anchor>
      </PageHead>
      <Answer of={q}>
        {(d) => {
          const chosen = d.items.find((r) => keyOf(r) === search.of) ?? d.items[0];
          return (
            <>
              {d.items.length === 0 ? <Empty title={t("capacity.none")}>{t("capacity.none.hint")}</Empty> : <Resources items={d.items} chosen={chosen} choose={(of) => void navigate({ to: ".", search: { ...search, of } as Search, replace: true })} />}
              {chosen && <One of={chosen} />}
              {d.server && <TheServer of={d.server} />}
            </>
          );
        }}
      </Answer>
    </>
  );
}

function Resources({ items, chosen, choose }: { items: Resource[]; chosen?: Resource; choose: (of: string) => void }) {
  const t = useText();
  const { language } = useLanguage();
  const few = (n: number) => n.toLocaleString(language, { maximumFractionDigits: 1 });
  return (
    <Wide minWidth={760}>
      <Table fz="sm" verticalSpacing={4} aria-label={t("capacity.table")} className="fl-numbers">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t("capacity.of")}</Table.Th>
            <Table.Th ta="right">{t("capacity.hands")}</Table.Th>
            <Table.Th ta="right">{t("capacity.came")}</Table.Th>
            <Table.Th ta="right">{t("capacity.carries")}</Table.Th>
            <Table.Th ta="right">{t("capacity.busy")}</Table.Th>
            <Table.Th ta="right">{t("capacity.growth")}</Table.Th>
            <Table.Th>{t("capacity.full")}</Table.Th>
            <Table.Th>{t("capacity.change")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {items.map((r) => (
            <Table.Tr key={keyOf(r)} bg={r === chosen ? "var(--mantine-color-default-hover)" : undefined}>
              <Table.Td>
                <Anchor component="button" type="button" size="sm" onClick={() => choose(keyOf(r))} aria-pressed={r === chosen}>
                  {r.name}
                </Anchor>
                <Text size="xs" c="dimmed">
                  {t(`capacity.kind.${r.kind}`)}
                  {r.process ? ` · ${r.process}` : ""}
                </Text>
              </Table.Td>
              <Table.Td ta="right">
                {few(r.hands.value)}
                <Text size="xs" c="dimmed">
                  {t(`capacity.by.${r.by}`)}
                </Text>
              </Table.Td>
              <Table.Td ta="right">{few(r.came)}</Table.Td>
              <Table.Td ta="right">
                {r.by === "seen" ? "≥ " : ""}
                {Math.round(r.carries.value).toLocaleString(language)}
              </Table.Td>
              <Table.Td ta="right">{percent(r.busy, language)}</Table.Td>
              <Table.Td ta="right">{percent(r.growth?.weekly, language, true)}</Table.Td>
              <Table.Td>
                <Then at={r.full} />
              </Table.Td>
              <Table.Td>{r.advice && <Badge color="orange">{t(`capacity.more.${r.advice.what}`, { was: few(r.advice.was), proposed: r.advice.proposed })}</Badge>}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Wide>
  );
}

/** A day with the days between which it lies. */
function Then({ at }: { at: Reached }) {
  const t = useText();
  const { language } = useLanguage();
  const day = (text?: string | null) => (text ? new Date(text).toLocaleDateString(language) : t("capacity.open"));
  if (!at) return <>{t("capacity.open")}</>;
  return (
    <>
      {at.at ? day(at.at) : t("capacity.full.never")}
      {(at.at || at.from) && (
        <Text size="xs" c="dimmed">
          {t("capacity.between", { from: day(at.from), to: day(at.to) })}
        </Text>
      )}
    </>
  );
}

function One({ of: r }: { of: Resource }) {
  const t = useText();
  const { language } = useLanguage();
  const few = (n: number) => n.toLocaleString(language, { maximumFractionDigits: 1 });
  const weeks = useMemo(() => {
    const series: Series[] = [
      { name: t("capacity.comes"), kind: "line", color: "blue", values: r.weeks.map((w) => w.came.value) },
      { name: t("capacity.can"), kind: "line", color: "red", values: r.weeks.map(() => r.carries.value) },
    ];
    return { points: r.weeks.map((w) => pointOf(w.from, "day", language)), series, band: { name: t("capacity.band"), color: "blue" as const, low: r.weeks.map((w) => w.came.low), high: r.weeks.map((w) => w.came.high) } };
  }, [r, language, t]);
  const hours = useMemo(() => {
    const series: Series[] = [{ name: t("capacity.waits"), kind: "line", color: "orange", values: r.ahead.map((h) => h.waits.value) }];
    return { points: r.ahead.map((h) => pointOf(h.from, "hour", language, { from: new Date(0).toISOString() })), series, band: { name: t("capacity.waits.band"), color: "orange" as const, low: r.ahead.map((h) => h.waits.low), high: r.ahead.map((h) => h.waits.high) } };
  }, [r, language, t]);
  return (
    <>
      <Title order={2} size="h4" mt="md" mb="xs">
        {r.name}
      </Title>
      <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="xs" mb="sm">
        <Figure name={t("capacity.each")} value={long(r.mean_work_ms)} />
        <Figure name={t("capacity.there")} value={few(r.open_hours)} more={r.people == null ? undefined : t("capacity.people", { n: r.people })} />
        <Figure name={t("capacity.standing")} value={few(r.open)} more={r.limit == null ? undefined : t("capacity.limit", { n: r.limit })} />
        <Figure name={t("capacity.peak")} value={r.peak ? few(r.peak.waits.value) : "–"} more={r.peak && r.peak.waits.value > 0 ? t("capacity.peak.at", { at: new Date(r.peak.at).toLocaleString(language, { dateStyle: "short", timeStyle: "short" }), hours: few(r.peak.wait_h) }) : undefined} />
      </SimpleGrid>
      {r.advice && (
        <Alert color="orange" mb="sm" title={t(`capacity.more.${r.advice.what}`, { was: few(r.advice.was), proposed: r.advice.proposed })}>
          {t(`capacity.why.${r.advice.why}`)} <When at={r.advice.at} exact />
        </Alert>
      )}
      {r.weeks.length > 0 ? <Chart label={t("capacity.chart.weeks")} {...weeks} height={240} format={few} /> : <Text size="sm">{t("capacity.young")}</Text>}
      {r.ahead.length > 0 && (
        <>
          <Title order={3} size="h5" mt="md">
            {t("capacity.chart.hours")}
          </Title>
          <Chart label={t("capacity.chart.hours")} {...hours} height={200} format={few} />
        </>
      )}
    </>
  );
}

function TheServer({ of: s }: { of: NonNullable<Report["server"]> }) {
  const t = useText();
  const { language } = useLanguage();
  const few = (n: number) => n.toLocaleString(language, { maximumFractionDigits: 1 });
  return (
    <>
      <Title order={2} size="h4" mt="md" mb="xs">
        {t("capacity.server")}
      </Title>
      <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="xs">
        <Figure name={t("capacity.steps")} value={few(s.steps_week)} more={s.growth ? percent(s.growth.weekly, language, true) : undefined} />
        <Figure name={t("capacity.busiest")} value={s.busiest ? few(s.busiest.steps_s) : "–"} more={s.busiest ? new Date(s.busiest.at).toLocaleString(language, { dateStyle: "short", timeStyle: "short" }) : undefined} />
        <Figure name={t("capacity.server.carries")} value={s.carries_s == null ? "–" : few(s.carries_s)} more={s.carries_s == null ? t("capacity.server.nothing") : s.narrow ? t("capacity.server.narrow", { name: s.narrow }) : undefined} />
        <Figure name={t("capacity.lag")} value={s.lag_s == null ? "–" : few(s.lag_s)} />
      </SimpleGrid>
      <Text size="sm" mt="xs" component="div">
        {t("capacity.full")}: <Then at={s.full} />
      </Text>
    </>
  );
}

/** A table for spreadsheets; a text that would be taken for a formula gets an apostrophe. */
function csvOf(items: Resource[]): string {
  const cell = (v: string | number | null | undefined) => {
    const text = v == null ? "" : String(v);
    const safe = typeof v === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  const rows = items.map((r) => [r.kind, r.name, r.process, r.by, r.hands.value, r.came, r.carries.value, r.busy, r.growth?.weekly, r.tight?.at, r.full?.at, r.full?.from, r.full?.to, r.advice?.what, r.advice?.proposed]);
  const head = ["kind", "name", "process", "by", "hands", "came", "carries", "busy", "growth", "tight", "full", "full_from", "full_to", "change", "proposed"];
  return `${[head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

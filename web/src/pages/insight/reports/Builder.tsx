import { Autocomplete, Button, Group, MultiSelect, Paper, SegmentedControl, Select, SimpleGrid, Stack, TextInput, VisuallyHidden } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { get, send } from "~/api/client";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Answer, Empty, Failed } from "~/shared/states";
import { Fresh } from "../parts";
import { CHARTS, figuresOf, GROUPS, KPI_GROUPS, LASTS, MEASURES, MEASURES_MAX, nameWrong, recordOf, type Report, type Saved, type Told, WINDOWS, wishOf, type Wish, wrongs } from "./report";
import { Shown } from "./Shown";

const PAUSE_MS = 400;

interface Props {
  /** what is being built, as it stands in the address; `{}`: nothing yet */
  draft: string;
  /** the one that is changed */
  of?: Saved;
  saved: Saved[];
  keep: (report: Report) => void;
  close: (name?: string) => void;
}

/** A question put together, with its answer beside it. It is saved when one says so. */
export function Builder({ draft, of, saved, keep, close }: Props) {
  const t = useText();
  const client = useQueryClient();
  const writes = useMay("learn");
  const [wish, setWish] = useState<Wish>(() => wishOf(begun(draft, of)));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const known = useQuery({ queryKey: ["/definitions", "newest"], queryFn: ({ signal }) => get("/definitions", { kind: "process", latest: true, limit: 500 }, signal) });
  const kpis = useQuery({ queryKey: ["/kpis"], enabled: wish.of === "kpi", queryFn: ({ signal }) => get("/kpis", { limit: 1000 }, signal) });
  const wrong = wrongs(wish);
  const record = useMemo(() => recordOf(wish), [wish]);
  const [asked] = useDebouncedValue(record, PAUSE_MS);
  const good = Object.keys(wrong).length === 0;
  const told = useQuery({
    queryKey: ["insight", "trial", asked],
    enabled: good && asked === record,
    placeholderData: keepPreviousData,
    retry: false,
    queryFn: ({ signal }) => send("POST", "/saved-reports/try", { report: asked as never }, undefined, undefined, signal) as unknown as Promise<Told>,
  });
  const put = (more: Partial<Wish>) => {
    const next = { ...wish, ...more };
    setWish(next);
    keep(recordOf(next));
  };
  const ids = [...new Set([...(known.data?.items ?? []).map((d) => d.definition_id), ...(wish.process ? [wish.process] : [])])];
  const choice = (field: "figure" | "window" | "chart", words: readonly string[], key: string) => <Select label={t(`reports.field.${field}`)} allowDeselect={false} value={String(wish[field]) || words[0]} data={words.map((value) => ({ value, label: t(`${key}.${value}`) }))} error={wrong[field] && t(wrong[field])} onChange={(v) => v && put({ [field]: v })} />;
  const text = (field: "version" | "element" | "job_type" | "value") => <TextInput label={t(`reports.field.${field}`)} value={wish[field]} maxLength={255} error={wrong[field] && t(wrong[field])} onChange={(e) => put({ [field]: e.currentTarget.value })} />;
  const groups = wish.of === "kpi" ? KPI_GROUPS : GROUPS;
  const figures = figuresOf(wish);
  const name = of ? of.name : wish.name.trim();
  const taken = !of && saved.some((r) => r.name === name);
  const badName = !of && wish.name !== "" ? (taken ? "reports.wrong.taken" : nameWrong(wish.name)) : undefined;
  const store = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await send("PUT", `/saved-reports/${encodeURIComponent(name)}` as `/saved-reports/${string}`, record as never);
      await Promise.all([["/saved-reports"], ["insight", "report", name]].map((queryKey) => client.invalidateQueries({ queryKey })));
      notifications.show({ message: t("reports.saved"), color: "teal" });
      close(name);
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return (
    <div className="fl-builder">
      <Paper withBorder p="sm" component="form" aria-label={t("reports.builder")} onSubmit={(e) => e.preventDefault()}>
        <Stack gap="xs">
          <SegmentedControl aria-label={t("reports.field.of")} size="xs" value={wish.of} data={["measure", "kpi"].map((value) => ({ value, label: t(`reports.of.${value}`) }))} onChange={(v) => put({ of: v as Wish["of"], figure: "", group: wish.group.filter((g) => GROUPS.includes(g) && KPI_GROUPS.includes(g)) })} />
          {wish.of === "measure" ? (
            <MultiSelect label={t("reports.field.measure")} searchable maxValues={MEASURES_MAX} value={wish.measure} data={MEASURES.map((value) => ({ value, label: t(`alerts.measure.${value}`) }))} error={wrong.measure && t(wrong.measure)} onChange={(measure) => put({ measure })} />
          ) : (
            <Select label={t("reports.field.kpi")} searchable value={wish.kpi || null} data={[...new Set([...((kpis.data?.items ?? []) as unknown as { name: string }[]).map((k) => k.name), ...(wish.kpi ? [wish.kpi] : []), "due"])]} error={wrong.kpi && t(wrong.kpi)} onChange={(v) => put({ kpi: v ?? "" })} />
          )}
          {figures.length > 0 && choice("figure", wish.of === "kpi" ? ["", ...figures] : figures, "reports.figure")}
          <MultiSelect label={t("reports.field.group")} value={wish.group} data={groups.map((value) => ({ value, label: t(`reports.group.${value}`) }))} onChange={(group) => put({ group })} />
          <Select label={t("col.process")} clearable searchable placeholder={t("insight.all")} value={wish.process || null} data={ids} onChange={(v) => put({ process: v ?? "" })} />
          <SimpleGrid cols={2} spacing="xs">
            {text("version")}
            {text("element")}
          </SimpleGrid>
          {text(wish.of === "kpi" ? "value" : "job_type")}
          <SimpleGrid cols={2} spacing="xs">
            {choice("window", WINDOWS, "reports.window")}
            <Autocomplete label={t("reports.field.last")} description={t("reports.field.last.hint")} value={wish.last} data={LASTS} error={wrong.last && t(wrong.last)} onChange={(last) => put({ last })} />
          </SimpleGrid>
          {choice("chart", CHARTS, "reports.chart")}
          <TextInput label={t("reports.field.title")} value={wish.title} maxLength={255} onChange={(e) => put({ title: e.currentTarget.value })} />
          {writes && !of && <TextInput label={t("reports.field.name")} description={t("reports.field.name.hint")} value={wish.name} maxLength={100} error={badName && t(badName)} onChange={(e) => setWish({ ...wish, name: e.currentTarget.value })} />}
          {error !== undefined && <Failed error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => close()}>
              {t("cancel")}
            </Button>
            {writes && (
              <Button loading={busy} disabled={!good || !name || Boolean(badName)} onClick={() => void store()}>
                {t("save")}
              </Button>
            )}
          </Group>
        </Stack>
      </Paper>
      <section style={{ minWidth: 0 }} aria-label={t("reports.preview")}>
        <VisuallyHidden component="h2">{t("reports.preview")}</VisuallyHidden>
        {good || told.data ? (
          <Answer of={told}>
            {(found) => (
              <>
                <Shown of={found} process={wish.process} label={wish.title || t("reports.preview")} />
                <Fresh of={told} />
              </>
            )}
          </Answer>
        ) : (
          <Empty title={t("reports.incomplete")}>{t(Object.values(wrong)[0]!)}</Empty>
        )}
      </section>
    </div>
  );
}

/** What the address says goes before what is saved. */
function begun(draft: string, of?: Saved): Saved | undefined {
  try {
    const found: unknown = JSON.parse(draft);
    if (found && typeof found === "object" && !Array.isArray(found) && Object.keys(found).length > 0) return { name: of?.name ?? "", ...found };
  } catch {
    // an address that somebody has cut off: one begins anew
  }
  return of;
}

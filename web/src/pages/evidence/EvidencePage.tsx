import "~/i18n/for-audit";
import { Anchor, Autocomplete, Button, Group, Select, TextInput } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type KeyboardEvent } from "react";
import { get, getFile, query } from "~/api/client";
import { byToken, useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Parts } from "~/shared/Parts";
import { save } from "~/shared/save";
import { Empty, Failed, PageHead } from "~/shared/states";
import { Access } from "./Access";
import { askedOf, pathOf, TABS, type Tab } from "./asked";
import { Duties } from "./Duties";
import { Report } from "./Report";
import { Rules } from "./Rules";

const SHOWS = { report: Report, duties: Duties, rules: Rules, access: Access } as const;

/** For auditors: who asked for what in a period, conflicts of duties, who may do what; also as CSV, and as a page to print. */
export function EvidencePage() {
  const t = useText();
  return useMay("evidence") ? <Evidence /> : <Empty title={t("evidence.maynot")}>{t("subjects.maynot.hint")}</Empty>;
}

function Evidence() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const tab: Tab = TABS.find((name) => name === search.tab) ?? "report";
  const set = (more: Record<string, string | undefined>) => void navigate({ to: ".", search: Object.fromEntries(Object.entries({ ...search, ...more }).filter(([, v]) => v)) as Record<string, string>, replace: true });
  const known = useQuery({ queryKey: ["/definitions", "newest"], enabled: tab !== "access", queryFn: ({ signal }) => get("/definitions", { kind: "process", latest: true, limit: 500 }, signal) });
  const ids = [...new Set([...(known.data?.items ?? []).map((d) => d.definition_id), ...(search.definition ? [search.definition] : [])])];
  const asked = askedOf(tab, search);
  // the evidence is asked for when the question is whole, and again by who wants it newer: it is itself written down
  const report = useQuery({ queryKey: ["evidence", tab, asked], placeholderData: (before, q) => (q?.queryKey[1] === tab ? keepPreviousData(before) : undefined), queryFn: ({ signal }) => get(pathOf(tab), asked as never, signal), retry: false, staleTime: 30_000 });
  const names = tab === "report" ? ((report.data as { actors?: { actor: string }[] } | undefined)?.actors ?? []).map((a) => a.actor).filter(Boolean) : [];
  const Part = SHOWS[tab];
  return (
    <>
      <PageHead title={t("evidence.title")} actions={<Given tab={tab} asked={asked} />}>
        {t("evidence.what")}{" "}
        <Anchor component={Link} to="/operations" size="sm" underline="always">
          {t("operations.title")}
        </Anchor>
      </PageHead>
      <Parts
        label={t("operations.part")}
        groups={[{ label: t("evidence.title"), names: [...TABS] }]}
        open={tab}
        go={(name) => set({ tab: name === "report" ? undefined : name })}
        parts={TABS.map((name) => ({
          name,
          label: t(`evidence.${name}`),
          show: () => (
            <>
            {name !== "access" && (
              <Group gap="xs" align="end" mb="md">
                <TextInput type="date" label={t("evidence.since")} size="xs" value={search.since ?? ""} max={search.until} onChange={(e) => set({ since: e.currentTarget.value })} />
                <TextInput type="date" label={t("evidence.until")} size="xs" value={search.until ?? ""} min={search.since} onChange={(e) => set({ until: e.currentTarget.value })} />
                <Select label={t("col.process")} size="xs" w={{ base: "100%", xs: 220 }} clearable searchable placeholder={t("insight.all")} value={search.definition ?? null} data={ids} onChange={(definition) => set({ definition: definition ?? undefined, pair: undefined })} />
                {name !== "duties" ? (
                  <Typed key={`a ${search.actor}`} label={t("evidence.actor")} value={search.actor ?? ""} data={names} set={(actor) => set({ actor })} />
                ) : (
                  search.definition && <Typed key={`p ${search.pair}`} label={t("evidence.pair")} placeholder="check, approve" value={search.pair ?? ""} set={(pair) => set({ pair })} />
                )}
              </Group>
            )}
              {report.error ? <Failed error={report.error} again={() => void report.refetch()} /> : name === tab && <Part of={report as never} set={set} />}
            </>
          ),
        }))}
      />
    </>
  );
}

/** A field that asks when it is left or Enter is pressed: each letter would be a question, and each question is written down. */
function Typed({ label, value, placeholder, data, set }: { label: string; value: string; placeholder?: string; data?: string[]; set: (text: string) => void }) {
  const [text, setText] = useState(value);
  const done = (next: string) => next.trim() !== value && set(next.trim());
  const common = { size: "xs", w: { base: "100%", xs: 220 }, label, placeholder, value: text, maxLength: 500, onBlur: () => done(text), onKeyDown: (e: KeyboardEvent) => e.key === "Enter" && done(text) } as const;
  return data ? <Autocomplete {...common} data={data} limit={50} onChange={setText} onOptionSubmit={done} /> : <TextInput {...common} onChange={(e) => setText(e.currentTarget.value)} />;
}

/** The same, as a file of its rows, or as a page of the server to be printed. */
function Given({ tab, asked }: { tab: Tab; asked: Record<string, string> }) {
  const t = useText();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const address = (format: string) => `${pathOf(tab)}${query({ ...asked, format })}`;
  const take = (format: string) => {
    setBusy(true);
    setError(undefined);
    getFile(address(format))
      .then((file) => save(`${tab}.${format}`, file.type, file), setError)
      .finally(() => setBusy(false));
  };
  const printed = { size: "xs", variant: "default", children: t("evidence.print") } as const;
  return (
    <>
      <Button size="xs" variant="default" loading={busy} leftSection={<Icon name="download" size={13} />} onClick={() => take("csv")}>
        CSV
      </Button>
      {byToken() ? <Button {...printed} onClick={() => take("html")} /> : <Button {...printed} component="a" href={`/v1${address("html")}`} target="_blank" rel="noopener" />}
      {error !== undefined && <Failed error={error} />}
    </>
  );
}

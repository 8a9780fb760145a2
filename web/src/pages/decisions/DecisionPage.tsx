import { Anchor, Badge, Button, Card, Group, JsonInput, Select, Stack, Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useMemo, useState } from "react";
import { get, send } from "~/api/client";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useSource } from "~/api/source";
import type { Decision, Definition } from "~/api/types";
import { useText } from "~/i18n";
import { Cards } from "~/shared/Cards";
import { DecisionTrace, type Traced } from "~/shared/DecisionTrace";
import { brief } from "~/shared/Json";
import { Answer, Empty, Failed, PageHead, Waiting } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Coverage, useCoverage } from "./Coverage";
import { inputsOf } from "./inputs";

const DecisionView = lazy(() => import("~/dmn/DecisionView"));

/** One decision: its table or graph, a place to try it, and what it decided. */
export function DecisionPage() {
  const t = useText();
  const { id } = useParams({ strict: false }) as { id: string };
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const versions = useQuery({ queryKey: ["/definitions", "decision", id], queryFn: ({ signal }) => get("/definitions", { definition_id: id, kind: "decision", limit: 100 }, signal) });
  const of = versions.data?.items.find((d) => String(d.version) === search.version) ?? versions.data?.items[0];
  const source = useSource(of?.key);
  const [tried, setTried] = useState<Traced[]>();
  const fired = useMemo(() => (tried ?? []).flatMap((d) => (d.tables ?? []).flatMap((table) => table.matched.map((m) => m.id))), [tried]);
  const coverage = useCoverage(id, of?.version, search.span, search.together === "1", search.tab === "coverage");
  if (versions.error && !versions.data) return <Failed error={versions.error} again={() => void versions.refetch()} />;
  if (!versions.data) return <Waiting />;
  if (!of) return <Empty title={t("decision.unknown", { id })} />;
  return (
    <>
      <PageHead
        title={of.name || of.definition_id}
        actions={
          <Select aria-label={t("col.version")} size="xs" w={130} allowDeselect={false} value={String(of.version)} data={versions.data.items.map((d) => ({ value: String(d.version), label: `v${d.version}${d.version_tag ? ` · ${d.version_tag}` : ""}` }))} onChange={(v) => void navigate({ to: ".", search: { ...search, version: v ?? "" } })} />
        }
      >
        <Group gap="xs">
          <span className="fl-mono">{of.definition_id}</span> <Status of={of.status} /> <When at={of.created_at} /> {of.created_by}
        </Group>
      </PageHead>
      <Answer of={source}>
        {(xml) => (
          <Suspense fallback={<Waiting />}>
            <DecisionView xml={xml} decision={of.definition_id} fired={fired} counts={coverage.counts} imports={of.imports ?? []} label={t("decision.model", { name: of.name || of.definition_id })} />
          </Suspense>
        )}
      </Answer>
      <Tabs mt="md" keepMounted={false} value={search.tab ?? "try"} onChange={(tab) => void navigate({ to: ".", search: { ...search, tab: tab ?? "" }, replace: true })}>
        <Tabs.List>
          <Tabs.Tab value="try">{t("decision.try")}</Tabs.Tab>
          <Tabs.Tab value="coverage">{t("coverage.title")}</Tabs.Tab>
          <Tabs.Tab value="history">{t("decision.history")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="try" pt="sm">
          <Answer of={source}>{(xml) => <Try key={of.key} of={of} names={inputsOf(xml)} tried={setTried} />}</Answer>
        </Tabs.Panel>
        <Tabs.Panel value="coverage" pt="sm">
          <Coverage of={coverage.q} versions={versions.data.items.length} />
        </Tabs.Panel>
        <Tabs.Panel value="history" pt="sm">
          <Evaluations id={of.definition_id} version={search.version} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

function Try({ of, names, tried }: { of: Definition; names: string[]; tried: (trace: Traced[] | undefined) => void }) {
  const t = useText();
  const [text, setText] = useState(() => JSON.stringify(Object.fromEntries(names.map((n) => [n, null])), null, 2));
  const [answer, setAnswer] = useState<Decision>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setError(undefined);
    let inputs: Record<string, unknown>;
    try {
      inputs = JSON.parse(text) as Record<string, unknown>;
    } catch {
      return; // the field says it
    }
    setBusy(true);
    try {
      const found = (await send("POST", "/decisions/evaluate", { decision: of.key, inputs })) as Decision;
      setAnswer(found);
      tried((found.trace as Traced[] | null) ?? undefined);
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const warnings = (answer as { warnings?: string[] } | undefined)?.warnings ?? [];
  return (
    <Stack gap="sm">
      <div
        onKeyDown={(e) => {
          if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) void go();
        }}
      >
        <JsonInput label={t("decision.values")} value={text} onChange={setText} autosize minRows={4} maxRows={14} validationError={t("process.start.invalid")} formatOnBlur />
      </div>
      <Group gap="xs">
        <Button size="xs" loading={busy} onClick={() => void go()}>
          {t("decision.evaluate")}
        </Button>
        <Text size="xs" c="dimmed">
          {t("decision.noeffect")}
        </Text>
      </Group>
      {error !== undefined && <Failed error={error} />}
      {answer && (
        <Card withBorder padding="sm" aria-live="polite">
          <Text size="sm" fw={600}>
            {t("decision.output")}: <span className="fl-mono">{brief(answer.output, 2000)}</span>
          </Text>
          {warnings.map((w) => (
            <Text key={w} size="sm" c="var(--fl-wait)">
              {w}
            </Text>
          ))}
        </Card>
      )}
      {answer && <DecisionTrace trace={(answer.trace as Traced[] | null) ?? []} />}
    </Stack>
  );
}

function Evaluations({ id, version }: { id: string; version?: string }) {
  const t = useText();
  const list = useList(`/decisions/${id}/evaluations`, { version });
  useRefreshOn({ type: "decision.evaluated" }, [[`/decisions/${id}/evaluations`, "list"]], 1500);
  return (
    <Cards of={list} empty={<Empty title={t("decision.history.none")}>{t("decision.history.hint")}</Empty>}>
      {(e) => (
        <details style={{ marginBottom: 6 }}>
          <summary>
            <When at={e.time} exact />{" "}
            <Badge variant="light" size="sm" tt="none" color="gray">
              v{String(e.data.version)}
            </Badge>{" "}
            <span className="fl-mono">{brief(e.data.result, 120)}</span>
          </summary>
          {e.instance && (
            <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: e.instance! }} search={{ tab: "decisions", element: String(e.data.element) }} {...props} />} size="sm">
              {t("decision.instance", { id: e.instance, element: String(e.data.element) })}
            </Anchor>
          )}
          <DecisionTrace trace={(e.data.trace as Traced[] | null) ?? []} />
        </details>
      )}
    </Cards>
  );
}

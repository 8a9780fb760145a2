import { Alert, Anchor, Badge, Button, Grid, Group, Table, Tabs, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { get } from "~/api/client";
import { useEvents } from "~/api/live";
import type { HistoryEvent, InstanceState } from "~/api/types";
import { Diagram } from "~/diagram/Diagram";
import { useText } from "~/i18n";
import { useSource } from "~/pages/processes/ProcessPage";
import { Answer, Empty, Failed, PageHead, Waiting } from "~/shared/states";
import { brief, Json } from "~/shared/Json";
import { Status } from "~/shared/Status";
import { duration, When } from "~/shared/time";
import { Actions } from "./Actions";
import { History, useHistory } from "./History";
import { pathOf } from "./path";
import { TimeSlider } from "./TimeSlider";

/** One run: where its tokens are, what it waits for, what it knows, and all of that at any moment of its life. */
export function InstancePage() {
  const t = useText();
  const { id } = useParams({ strict: false }) as { id: string };
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const client = useQueryClient();
  const set = (more: Record<string, string | undefined>) => void navigate({ to: ".", search: { ...search, ...more } as Record<string, string>, replace: true });
  const instance = useQuery({ queryKey: ["instance", id], queryFn: ({ signal }) => get(`/instances/${id}`, {}, signal) });
  const history = useHistory(id);
  const at = search.at;
  const state = useQuery({
    queryKey: ["instance", id, "state", at ?? "now"],
    queryFn: async ({ signal }) => (await get(`/instances/${id}/state`, { at }, signal)) as unknown as InstanceState,
    staleTime: at ? Number.POSITIVE_INFINITY : 0,
    placeholderData: (former) => former, // the moment before stays until the next is there
  });
  const source = useSource(state.data?.definition ?? instance.data?.definition ?? undefined);
  useEvents({ instance: id }, () => {
    void client.invalidateQueries({ queryKey: ["instance", id], exact: true });
    void client.invalidateQueries({ queryKey: ["instance", id, "state", "now"] });
    void history.refetch();
  });
  const events = history.events;
  const past = Boolean(at) && at !== events.at(-1)?.id;
  const path = useMemo(() => pathOf(events, at), [events, at]);
  const view = useMemo(() => {
    const marks: Record<string, string[]> = {};
    const badges: Record<string, { active?: number; incidents?: number; done?: number }> = {};
    for (const f of path.flows) marks[f] = ["fl-taken"];
    for (const e of path.done) marks[e] = ["fl-done"];
    for (const token of state.data?.tokens ?? []) {
      const badge = (badges[token.element] ??= {});
      badge.active = (badge.active ?? 0) + 1;
      marks[token.element] = ["fl-active"];
    }
    for (const i of state.data?.incidents ?? []) {
      const badge = (badges[i.element] ??= {});
      badge.incidents = (badge.incidents ?? 0) + 1;
      marks[i.element] = ["fl-incident"];
    }
    return { marks, badges };
  }, [path, state.data]);

  if (instance.error && !instance.data) return <Failed error={instance.error} again={() => void instance.refetch()} />;
  if (!instance.data) return <Waiting />;
  const i = instance.data;
  const status = past && state.data ? state.data.status : i.status;
  return (
    <>
      <PageHead title={`${i.name || i.process}${i.business_key ? ` · ${i.business_key}` : ""}`} actions={<Actions instance={i} disabled={past} />}>
        <Group gap="xs">
          <Status of={!past && i.has_incident && i.status === "running" ? "incident" : status} paused={i.paused} />
          <span className="fl-mono">{i.id}</span>
          <Anchor renderRoot={(props) => <Link to="/processes/$id" params={{ id: i.process }} search={{ version: String(i.version) }} {...props} />} size="sm">
            {i.process} v{i.version}
          </Anchor>
          {i.parent && (
            <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.parent! }} {...props} />} size="sm">
              {t("instance.parent")}
            </Anchor>
          )}
          <Text size="sm">
            {t("col.started")} <When at={i.started_at} />
            {i.completed_at && i.started_at && ` · ${duration(Date.parse(i.completed_at) - Date.parse(i.started_at))}`}
          </Text>
        </Group>
      </PageHead>
      {past && (
        <Alert color="yellow" mb="sm" py={6} title={t("instance.past")}>
          <Button size="compact-xs" variant="light" color="yellow" onClick={() => set({ at: undefined })}>
            {t("instance.now")}
          </Button>
        </Alert>
      )}
      <Answer of={source}>
        {(xml) => (
          <Diagram xml={xml} badges={view.badges} marks={view.marks} selected={search.element} onSelect={(element) => set({ element })} label={t("instance.diagram")} height="min(46dvh, 460px)" />
        )}
      </Answer>
      <TimeSlider events={events} at={at} onAt={(position) => set({ at: position })} />
      <Tabs mt="sm" keepMounted={false} value={search.tab ?? "now"} onChange={(tab) => set({ tab: tab ?? undefined })}>
        <Tabs.List>
          <Tabs.Tab value="now">{t("instance.waits")}</Tabs.Tab>
          <Tabs.Tab value="variables">{t("instance.variables")}</Tabs.Tab>
          <Tabs.Tab value="history">{t("instance.history")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="now" pt="sm">
          {state.data ? <Waits state={state.data} element={search.element} /> : <Waiting />}
        </Tabs.Panel>
        <Tabs.Panel value="variables" pt="sm">
          {state.data ? <Variables state={state.data} events={events} at={at} /> : <Waiting />}
        </Tabs.Panel>
        <Tabs.Panel value="history" pt="sm">
          <History events={events} element={search.element} at={at} onAt={(position) => set({ at: position })} error={history.error} />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** First of all: what is it waiting for? */
function Waits({ state, element }: { state: InstanceState; element?: string }) {
  const t = useText();
  const keep = <T extends { element?: unknown }>(rows: T[]) => (element ? rows.filter((r) => r.element === element) : rows);
  const incidents = keep(state.incidents);
  const rows: { kind: string; element: string; what: string; since?: string; due?: string; who?: string }[] = [
    ...keep(state.tasks as { element: string; job_type?: string; type: string; created?: string; status: string; assignee?: string; worker?: string }[]).map((x) => ({ kind: x.type, element: x.element, what: x.job_type || t(`status.${x.status}`), since: x.created, who: x.assignee ?? x.worker })),
    ...keep(state.timers as { element: string; due?: string; due_at?: string }[]).map((x) => ({ kind: "timer", element: x.element, what: "", due: x.due ?? x.due_at })),
    ...keep(state.subscriptions as { element: string; kind: string; name: string; correlation?: string }[]).map((x) => ({ kind: x.kind, element: x.element, what: [x.name, x.correlation].filter(Boolean).join(" = ") })),
  ];
  return (
    <>
      {incidents.map((i, n) => (
        <Alert key={n} color="red" mb="xs" title={`${i.element}: ${i.code}`}>
          {i.message}
        </Alert>
      ))}
      {rows.length === 0 && incidents.length === 0 ? (
        <Empty title={t(element ? "instance.waits.element" : "instance.waits.none")} />
      ) : (
        rows.length > 0 && (
          <Table verticalSpacing={4}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t("col.element")}</Table.Th>
                <Table.Th>{t("col.waitsfor")}</Table.Th>
                <Table.Th>{t("col.who")}</Table.Th>
                <Table.Th>{t("col.since")}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((r, n) => (
                <Table.Tr key={n}>
                  <Table.Td>{r.element}</Table.Td>
                  <Table.Td>
                    <Badge size="sm" variant="light" tt="none" mr={6}>
                      {t(`kind.${r.kind}`)}
                    </Badge>
                    {r.what}
                  </Table.Td>
                  <Table.Td>{r.who ?? "–"}</Table.Td>
                  <Table.Td>
                    <When at={r.due ?? r.since} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )
      )}
    </>
  );
}

function Variables({ state, events, at }: { state: InstanceState; events: HistoryEvent[]; at?: string }) {
  const t = useText();
  const writers = useMemo(() => {
    const found = new Map<string, HistoryEvent>();
    for (const e of events) {
      const set = e.data.variables;
      if (set && typeof set === "object") for (const name of Object.keys(set)) found.set(`${e.type === "variable.set" ? String(e.data.scope) : state.instance}.${name}`, e);
      if (e.id === at) break;
    }
    return found;
  }, [events, at, state.instance]);
  const scopes: { scope: string; name: string; values: Record<string, unknown> }[] = [
    { scope: state.instance, name: t("instance.scope.root"), values: state.variables },
    ...state.tokens.filter((k) => k.variables && Object.keys(k.variables).length > 0).map((k) => ({ scope: k.token, name: k.element, values: k.variables! })),
  ];
  if (scopes.every((s) => Object.keys(s.values).length === 0)) return <Empty title={t("instance.variables.none")} />;
  return (
    <Grid>
      {scopes.map((s) => (
        <Grid.Col key={s.scope} span={12}>
          <Text fw={600} size="sm" mb={4}>
            {s.name}
          </Text>
          <Table verticalSpacing={4} layout="fixed">
            <Table.Tbody>
              {Object.entries(s.values).map(([name, value]) => {
                const writer = writers.get(`${s.scope}.${name}`);
                return (
                  <Table.Tr key={name}>
                    <Table.Td w="22%" className="fl-cut">
                      {name}
                    </Table.Td>
                    <Table.Td>
                      {typeof value === "object" && value !== null ? (
                        <details>
                          <summary className="fl-mono fl-cut">{brief(value)}</summary>
                          <Json value={value} />
                        </details>
                      ) : (
                        <span className="fl-mono">{brief(value)}</span>
                      )}
                    </Table.Td>
                    <Table.Td w="24%">
                      {writer && (
                        <Text size="xs" c="dimmed">
                          <When at={writer.time} /> {writer.actor}
                        </Text>
                      )}
                    </Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </Grid.Col>
      ))}
    </Grid>
  );
}

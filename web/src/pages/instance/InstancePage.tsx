import { Alert, Anchor, Button, Group, List, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo, useState, type ReactNode } from "react";
import { get } from "~/api/client";
import { useFollowing } from "~/api/live";
import { useMay } from "~/api/me";
import type { InstanceState, Plan } from "~/api/types";
import { Diagram } from "~/diagram/Diagram";
import { useText } from "~/i18n";
import { useDiagram } from "~/api/source";
import { useSeveral } from "~/api/useSeveral";
import { Parts } from "~/shared/Parts";
import { Answer, Empty, Failed, PageHead, Waiting } from "~/shared/states";
import { Files } from "~/shared/Files";
import { HeldBy } from "~/shared/HeldBy";
import { Icon } from "~/shared/icons";
import { Names } from "~/shared/names";
import { OperationLog } from "~/shared/OperationLog";
import { Status } from "~/shared/Status";
import { duration, When } from "~/shared/time";
import { Actions } from "./Actions";
import { useElementMenu } from "./AtElement";
import { Calls } from "./Calls";
import { Rerun, Rollback } from "./change/Again";
import { Migrate } from "./change/Migrate";
import { Modify } from "./change/Modify";
import type { Begun, Change } from "./change/begun";
import { marksOf, nodesOf } from "./change/steps";
import { Decisions } from "./Decisions";
import { Export } from "./Export";
import { attachedAt } from "./files";
import { History, useHistory } from "./History";
import { Incidents } from "./Incidents";
import { pathOf } from "./path";
import { Prediction } from "./Prediction";
import { Remarks, remarksOf } from "./Remarks";
import { TimeSlider } from "./TimeSlider";
import { Variables } from "./Variables";
import { Waits } from "./Waits";
import { Why } from "./Why";
import { namesOf } from "./why";
import { Work } from "./Work";

const ENDED = new Set(["completed", "failed", "cancelled", "terminated"]);
const TABS = ["now", "incidents", "variables", "work", "decisions", "calls", "why", "comments", "files", "audit", "history"] as const;
const GROUPS: Record<string, (typeof TABS)[number][]> = { moment: ["now", "incidents", "variables", "work"], cause: ["why", "decisions", "calls"], kept: ["comments", "files"], record: ["audit", "history"] };

/** One run: where its tokens are, what it waits for, what it knows, and all of that at any moment of its life. */
export function InstancePage() {
  const t = useText();
  const { id } = useParams({ strict: false }) as { id: string };
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const mayLog = useMay("log");
  const steers = useMay("control");
  const set = (more: Record<string, string | undefined>) => void navigate({ to: ".", search: { ...search, ...more } as Record<string, string>, replace: true });
  useSeveral("instances", id, search);
  const instance = useQuery({ queryKey: ["instance", id], queryFn: ({ signal }) => get(`/instances/${id}`, {}, signal) });
  const history = useHistory(id);
  const at = search.at;
  const state = useQuery({
    queryKey: ["instance", id, "state", at ?? "now"],
    queryFn: async ({ signal }) => (await get(`/instances/${id}/state`, { at }, signal)) as unknown as InstanceState,
    staleTime: at ? Number.POSITIVE_INFINITY : 0,
    placeholderData: (former) => former, // the moment before stays until the next is there
  });
  const source = useDiagram(state.data?.definition ?? instance.data?.definition ?? undefined);
  const of = ["instance", id];
  useFollowing({ instance: id }, [{ key: of, exact: true }, { key: [...of, "state", "now"] }, { key: [...of, "files"] }, { key: [...of, "events"], exact: true }]);
  const names = useMemo(() => (source.data ? namesOf(source.data) : undefined), [source.data]);
  const nodes = useMemo(() => (source.data ? nodesOf(source.data) : []), [source.data]);
  const [change, setChange] = useState<Change>();
  const [begun, setBegun] = useState<Begun>();
  const asks = (what: Change, by?: Begun) => {
    setBegun(by);
    setChange(what);
  };
  const [plan, setPlan] = useState<Plan>();
  const events = history.events;
  const past = Boolean(at) && at !== events.at(-1)?.id;
  const path = useMemo(() => pathOf(events, at), [events, at]);
  const said = useMemo(() => remarksOf(events, at), [events, at]);
  const then = useMemo(() => (past && at && state.data ? { events, at, state: state.data } : undefined), [events, past, at, state.data]);
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
    Object.assign(marks, marksOf(plan));
    return { marks, badges };
  }, [path, state.data, plan]);

  const done = useMemo(() => new Set(path.done), [path]);
  const atElement = useElementMenu({ instance: instance.data, state: state.data, nodes, done, names, past, onChange: asks, onTab: (tab) => set({ tab }) });
  if (instance.error && !instance.data) return <Failed error={instance.error} again={() => void instance.refetch()} />;
  if (!instance.data) return <Waiting />;
  const i = instance.data;
  const status = past && state.data ? state.data.status : i.status;
  const onAt = (position: string | undefined) => set({ at: position });
  const moment = { events, element: search.element, at };
  const parts: Record<(typeof TABS)[number], () => ReactNode> = {
    now: () => (state.data ? <Waits state={state.data} element={search.element} names={names} onIncidents={() => set({ tab: "incidents" })} /> : <Waiting />),
    incidents: () => <Incidents instance={id} element={search.element} names={names} moment={then} />,
    variables: () => (state.data ? <Variables state={state.data} {...moment} names={names} /> : <Waiting />),
    work: () => <Work instance={id} element={search.element} names={names} moment={then} />,
    decisions: () => <Decisions {...moment} names={names} />,
    calls: () => <Calls instance={i} />,
    why: () => <Answer of={source}>{(xml) => <Why instance={id} xml={xml} {...moment} onAt={onAt} />}</Answer>,
    comments: () => <Remarks instance={id} said={said} element={search.element} names={names} past={past} again={() => history.refetch()} />,
    files: () => (past ? <PastFiles names={attachedAt(events, at!)} /> : <Files of="instances" id={id} open={steers && !ENDED.has(i.status)} hint={t("instance.files.hint")} />),
    audit: () => (
      <>
        <History {...moment} onAt={onAt} error={history.error} names={names} audit />
        {mayLog && (
          <>
            <Title order={2} mt="md" mb="xs">
              {t("log.asked")}
            </Title>
            <OperationLog filters={{ instance: id }} onAt={onAt} height="30dvh" />
          </>
        )}
      </>
    ),
    history: () => <History {...moment} onAt={onAt} error={history.error} names={names} />,
  };
  return (
    <Names value={names}>
      <PageHead title={`${i.name || i.process}${i.business_key ? ` · ${i.business_key}` : ""}`} actions={
          <>
            <Export instance={i} state={state.data} events={events} />
            <Actions instance={i} past={past} element={search.element} onChange={asks} />
          </>
        }>
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
      {!past && <HeldBy held={i.held} holds={i.holds} />}
      <Answer of={source}>
        {(xml) => (
          <Diagram xml={xml} process={i.process ?? undefined} badges={view.badges} marks={view.marks} selected={search.element} onSelect={(element) => set({ element })} label={t("instance.diagram")} menu={atElement.menu} height="min(46dvh, 460px)" />
        )}
      </Answer>
      {atElement.dialog}
      {change === "modify" && !past && source.data && <Modify instance={id} xml={source.data} tokens={state.data?.tokens ?? []} element={search.element} onElement={(element) => set({ element })} onPlan={setPlan} begun={begun} close={() => setChange(undefined)} />}
      {change === "rerun" && search.element && <Rerun instance={id} element={search.element} close={() => setChange(undefined)} />}
      {change === "rollback" && <Rollback instance={id} element={search.element} at={past ? at : undefined} close={() => setChange(undefined)} />}
      {change === "migrate" && <Migrate instance={i} standing={[...new Set((state.data?.tokens ?? []).map((token) => token.element))]} close={() => setChange(undefined)} />}
      <TimeSlider events={events} at={at} onAt={onAt} />
      {!past && !ENDED.has(i.status) && i.process && <Prediction instance={id} process={i.process} names={names} />}
      <Parts
        label={t("instance.part")}
        parts={TABS.map((name) => ({
          name,
          label: t(`instance.tab.${name}`),
          count: name === "incidents" ? (then?.state.incidents.length ?? i.incidents ?? 0) : name === "comments" ? said.length : undefined,
          bad: name === "incidents",
          show: parts[name],
        }))}
        groups={Object.entries(GROUPS).map(([group, names]) => ({ label: t(`instance.group.${group}`), names }))}
        open={search.tab ?? "now"}
        go={(tab) => set({ tab })}
        between={
          search.element && (
            <Button mt="xs" size="compact-xs" variant="light" rightSection={<Icon name="close" size={11} />} onClick={() => set({ element: undefined })}>
              {t("instance.only", { element: names?.get(search.element) ?? search.element })}
            </Button>
          )
        }
      />
    </Names>
  );
}

/** By their names alone: what was detached since may be gone. */
function PastFiles({ names }: { names: string[] }) {
  const t = useText();
  if (names.length === 0) return <Empty title={t("instance.files.past.none")} />;
  return (
    <List size="sm">
      {names.map((name) => (
        <List.Item key={name}>{name}</List.Item>
      ))}
    </List>
  );
}

import { Alert, Anchor, Button, Card, Grid, Group, Stack, Table, Tabs, Text, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { get, send } from "~/api/client";
import { askAgain, useEvents } from "~/api/live";
import { useMe } from "~/api/me";
import { useDiagram } from "~/api/source";
import { useSeveral } from "~/api/useSeveral";
import type { HistoryEvent, Task } from "~/api/types";
import { useText } from "~/i18n";
import { formRef } from "~/shared/form/schema";
import { Values, type ValuesHandle } from "~/shared/form/Values";
import { Comments } from "~/shared/Comments";
import { HeldBy } from "~/shared/HeldBy";
import { Files } from "~/shared/Files";
import { Icon } from "~/shared/icons";
import { brief, Json } from "~/shared/Json";
import { Answer, Empty, Failed, PageHead, Waiting } from "~/shared/states";
import { Priority, Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";
import * as drafts from "./drafts";
import { Due } from "./due";
import { Moves } from "./Moves";

const Diagram = lazy(() => import("~/diagram/Diagram").then((m) => ({ default: m.Diagram })));
export const OVER = new Set(["completed", "cancelled", "skipped"]);

/** One task: what is to be done, by whom, until when, and the process around it. */
export function TaskPage() {
  const t = useText();
  const { id } = useParams({ strict: false }) as { id: string };
  const search = useSearch({ strict: false }) as Record<string, string>;
  const client = useQueryClient();
  useSeveral("tasks", id, search);
  const task = useQuery({ queryKey: ["task", id], queryFn: ({ signal }) => get(`/tasks/${id}`, {}, signal) });
  const events = useQuery({ queryKey: ["task", id, "events"], queryFn: ({ signal }) => get(`/tasks/${id}/events`, { limit: 1000 }, signal) });
  useEvents({ task: id }, (_, begins) => void askAgain(client, ["task", id], false, begins));
  if (task.error && !task.data) return <Failed error={task.error} again={() => void task.refetch()} />;
  if (!task.data) return <Waiting />;
  const of = task.data;
  const { tab, ...list } = search;
  return (
    <>
      <Anchor renderRoot={(props) => <Link to="/tasks" search={list} {...props} />} size="sm">
        ‹ {t("tasks.back")}
      </Anchor>
      <PageHead title={of.name || of.element || of.id} actions={<Moves task={of} />}>
        <Group gap="xs">
          <Status of={of.incident ? "incident" : of.status} />
          <Priority of={of.priority} />
          {of.reference && <Text size="sm">{of.reference}</Text>}
          {of.due_at && (
            <span>
              {t("col.due")} <Due at={of.due_at} done={OVER.has(of.status)} />
            </span>
          )}
          {of.process && of.instance && (
            <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: of.instance! }} search={{ element: of.element ?? "" }} {...props} />} size="sm">
              {of.process}
            </Anchor>
          )}
        </Group>
      </PageHead>
      <HeldBy held={of.held} holds={of.holds} />
      <Grid>
        <Grid.Col span={{ base: 12, md: 8 }}>
          <Work key={of.id} task={of} list={list} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 4 }}>
          <Stack>
            <Facts of={of} />
            <Files of="tasks" id={of.id} open={!OVER.has(of.status)} />
            <Answer of={events}>
              {(all) => (
                <Comments
                  title={t("tasks.comments")}
                  none={t("tasks.nocomments")}
                  said={(all.items as HistoryEvent[]).filter((e) => e.type === "task.commented")}
                  say={OVER.has(of.status) ? undefined : async (text) => {
                    await send("POST", `/tasks/${of.id}/${"comment" as string}`, { text });
                    await client.invalidateQueries({ queryKey: ["task", of.id] });
                  }}
                />
              )}
            </Answer>
          </Stack>
        </Grid.Col>
      </Grid>
      <Around task={of} events={(events.data?.items ?? []) as HistoryEvent[]} tab={tab} />
    </>
  );
}

/** Whom the last assignment by hand went past, and why. */
function overridden(of: Task, t: ReturnType<typeof useText>): [string, React.ReactNode][] {
  const last = (of.assignments ?? []).at(-1) as { reason?: string | null; constraints?: { recommended?: string; override?: boolean; why?: string } | null } | undefined;
  const how = last?.constraints;
  if (!how?.override || !how.recommended) return [];
  return [[t("tasks.recommended"), `${how.recommended} · ${last?.reason || how.why || ""}`]];
}

function Facts({ of }: { of: Task }) {
  const t = useText();
  const rows: [string, React.ReactNode][] = [
    [t("col.who"), of.assignee ?? t("tasks.nobody")],
    ...overridden(of, t),
    [t("tasks.candidates"), [...(of.candidate_groups ?? []), ...(of.candidate_users ?? [])].join(", ") || "–"],
    [t("col.created"), <When key="c" at={of.created_at} />],
    ...(of.follow_up_at ? [[t("tasks.followup"), <When key="f" at={of.follow_up_at} />] as [string, React.ReactNode]] : []),
    ...(of.completed_at ? [[t("status.completed"), <When key="d" at={of.completed_at} />] as [string, React.ReactNode]] : []),
    [t("col.id"), <span key="i" className="fl-mono">{of.id}</span>],
  ];
  return (
    <Card withBorder padding="sm">
      <Title order={2} mb={4}>
        {t("tasks.facts")}
      </Title>
      {of.description && <Text size="sm">{of.description}</Text>}
      <Table verticalSpacing={3}>
        <Table.Tbody>
          {rows.map(([name, value]) => (
            <Table.Tr key={name}>
              <Table.Th w="40%" fw={400} c="dimmed">
                {name}
              </Table.Th>
              <Table.Td>{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Card>
  );
}

/** The form (or JSON), drafts of it, and its end. */
function Work({ task, list }: { task: Task; list: Record<string, string> }) {
  const t = useText();
  const { actor } = useMe();
  const navigate = useNavigate();
  const client = useQueryClient();
  const handle = useRef<ValuesHandle>(null);
  const typed = useRef<Record<string, unknown>>(undefined);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState<"complete" | "draft">();
  const [fresh, setFresh] = useState(0);
  const over = OVER.has(task.status);
  const place = `${task.id}.${actor}`;
  const scope = useQuery({ queryKey: ["task", task.id, "scope"], staleTime: Number.POSITIVE_INFINITY, enabled: Boolean(task.instance), queryFn: ({ signal }) => get(`/instances/${task.instance ?? ""}/variables`, {}, signal), select: (told) => told.variables as Record<string, unknown> });
  const kept = useMemo(() => drafts.read(place), [place, fresh]); // eslint-disable-line react-hooks/exhaustive-deps
  const served = ((task.metadata ?? {}) as { draft?: Record<string, unknown> }).draft;
  const draft = kept ?? served;
  const data = useMemo(() => ({ ...(scope.data ?? {}), ...((task.input as object | null) ?? {}), ...(draft ?? {}) }), [scope.data, fresh]); // eslint-disable-line react-hooks/exhaustive-deps
  useEffect(() => () => drafts.flush(place), [place]);
  if (task.instance && scope.isPending) return <Waiting />;
  if (over)
    return (
      <Card withBorder>
        <Title order={2} mb="xs">
          {t("tasks.result")}
        </Title>
        {task.output === null || task.output === undefined ? <Text c="dimmed">{t("tasks.noresult")}</Text> : <Json value={task.output} />}
      </Card>
    );
  const act = async (what: "complete" | "draft", values: Record<string, unknown> | null | undefined) => {
    setError(undefined);
    if (!values) return;
    setBusy(what);
    try {
      if (what === "complete") await send("POST", `/tasks/${task.id}/complete`, { variables: values, row_version: task.row_version });
      else await send("POST", `/tasks/${task.id}/${"draft" as string}`, { draft: values });
      drafts.forget(place);
      notifications.show({ message: t(what === "complete" ? "tasks.completed" : "tasks.draft.saved"), color: "teal" });
      await client.invalidateQueries({ queryKey: ["task", task.id], exact: true });
      if (what === "complete") void navigate({ to: "/tasks", search: list });
    } catch (e) {
      setError(e);
      void client.invalidateQueries({ queryKey: ["task", task.id], exact: true }); // another row version, perhaps: what was typed stays
    } finally {
      setBusy(undefined);
    }
  };
  const others = task.assignee && task.assignee !== actor;
  return (
    <Card withBorder>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{t("tasks.work")}</Title>
        {kept && (
          <Group gap={6}>
            <Text size="xs" c="dimmed">
              {t("tasks.restored")}
            </Text>
            <Button
              size="compact-xs"
              variant="subtle"
              onClick={() => {
                drafts.forget(place);
                typed.current = undefined;
                setFresh((n) => n + 1);
              }}
            >
              {t("tasks.discard")}
            </Button>
          </Group>
        )}
      </Group>
      {task.error_message && (
        <Alert color="red" mb="xs" title={task.error_code ?? undefined}>
          {task.error_message}
        </Alert>
      )}
      <div
        onKeyDown={(e) => {
          if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) void act("complete", handle.current?.take());
        }}
      >
        <Values
          key={fresh}
          form={formRef(task.form)}
          definition={task.definition ?? undefined}
          data={data}
          plain={draft ?? {}}
          handle={handle}
          label={t("tasks.variables")}
          onChange={(values) => {
            typed.current = values;
            drafts.keep(place, values);
          }}
        />
      </div>
      {error !== undefined && (
        <div style={{ marginTop: 12 }}>
          <Failed error={error} />
        </div>
      )}
      {others && (
        <Text size="sm" c="dimmed" mt="sm">
          {t("tasks.held", { name: task.assignee! })}
        </Text>
      )}
      <Group mt="md" gap="xs">
        <Button leftSection={<Icon name="check" size={14} />} loading={busy === "complete"} disabled={task.status === "suspended"} onClick={() => void act("complete", handle.current?.take())}>
          {t("tasks.complete")}
        </Button>
        <Button variant="default" loading={busy === "draft"} onClick={() => void act("draft", typed.current ?? handle.current?.take())}>
          {t("tasks.draft")}
        </Button>
        <Text size="xs" c="dimmed" visibleFrom="sm">
          {t("tasks.keys")}
        </Text>
      </Group>
    </Card>
  );
}

/** Where the process stands, what it knows, what happened before. */
function Around({ task, events, tab }: { task: Task; events: HistoryEvent[]; tab?: string }) {
  const t = useText();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const source = useDiagram(task.definition ?? undefined);
  const first = task.instance ? "process" : "history";
  return (
    <Tabs mt="md" keepMounted={false} value={tab ?? first} onChange={(v) => void navigate({ to: ".", search: { ...search, tab: v ?? "" }, replace: true })}>
      <Tabs.List>
        {task.instance && <Tabs.Tab value="process">{t("tasks.around")}</Tabs.Tab>}
        {task.instance && <Tabs.Tab value="data">{t("instance.variables")}</Tabs.Tab>}
        <Tabs.Tab value="history">{t("instance.history")}</Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="process" pt="sm">
        <Answer of={source}>
          {(xml) => (
            <Suspense fallback={<Waiting />}>
              <Diagram xml={xml} process={task.process ?? undefined} badges={OVER.has(task.status) ? {} : { [task.element ?? ""]: { active: 1 } }} marks={{ [task.element ?? ""]: ["fl-active"] }} label={t("instance.diagram")} height={300} />
            </Suspense>
          )}
        </Answer>
      </Tabs.Panel>
      <Tabs.Panel value="data" pt="sm">
        <Data instance={task.instance ?? ""} />
      </Tabs.Panel>
      <Tabs.Panel value="history" pt="sm">
        <Happened task={task} events={events} />
      </Tabs.Panel>
    </Tabs>
  );
}

function Data({ instance }: { instance: string }) {
  const q = useQuery({ queryKey: ["instance", instance, "variables"], queryFn: ({ signal }) => get(`/instances/${instance}/variables`, {}, signal) });
  return <Answer of={q}>{(d) => <Json value={d.variables} />}</Answer>;
}

/** The task's own events, and the tasks of this instance that are done. */
function Happened({ task, events }: { task: Task; events: HistoryEvent[] }) {
  const t = useText();
  const before = useQuery({ queryKey: ["task", task.id, "before"], enabled: Boolean(task.instance), queryFn: ({ signal }) => get("/tasks", { instance: task.instance, open: false, limit: 50 }, signal), select: (page) => page.items });
  if (events.length === 0) return <Empty title={t("instance.history.none")} />;
  return (
    <Wide minWidth={480}>
      <Table verticalSpacing={4}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t("col.time")}</Table.Th>
            <Table.Th>{t("col.what")}</Table.Th>
            <Table.Th>{t("col.who")}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {[...events].reverse().map((e) => (
            <Table.Tr key={e.id}>
              <Table.Td>
                <When at={e.time} />
              </Table.Td>
              <Table.Td>
                {t(`event.${e.type}`)}{" "}
                <Text span size="xs" c="dimmed">
                  {String(e.data.reason ?? "") || brief((e.data.details as Record<string, unknown> | null)?.assignee ?? (e.data.variables as unknown) ?? undefined, 80)}
                </Text>
              </Table.Td>
              <Table.Td>{e.actor || "–"}</Table.Td>
            </Table.Tr>
          ))}
          {(before.data ?? [])
            .filter((b) => b.id !== task.id)
            .map((b) => (
              <Table.Tr key={b.id}>
                <Table.Td>
                  <When at={b.completed_at ?? b.updated_at} />
                </Table.Td>
                <Table.Td>
                  <Anchor renderRoot={(props) => <Link to="/tasks/$id" params={{ id: b.id }} {...props} />} size="sm">
                    {b.name || b.element}
                  </Anchor>{" "}
                  <Status of={b.status} />
                </Table.Td>
                <Table.Td>{b.assignee ?? b.worker ?? "–"}</Table.Td>
              </Table.Tr>
            ))}
        </Table.Tbody>
      </Table>
    </Wide>
  );
}

import { Anchor, Code, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment, useMemo, useState } from "react";
import { get } from "~/api/client";
import type { TaskRow } from "~/api/types";
import { useLanguage, useText } from "~/i18n";
import { Json } from "~/shared/Json";
import { Answer, Empty } from "~/shared/states";
import { Status } from "~/shared/Status";
import { duration, When } from "~/shared/time";
import { Wide } from "~/shared/Wide";
import { type Moment, workAt } from "./past";

/** One attempt, as the rows of `results` have it. */
interface Attempt {
  id: string;
  status: string;
  worker: string | null;
  started_at: string | null;
  ended_at: string | null;
  duration_ms: number | null;
  output: unknown;
  errors: unknown;
  logs: unknown;
  artifacts: unknown;
  metrics: Record<string, unknown> | null;
}

/** What workers tell of an attempt by themselves (sdk/measuring.py). */
const FIGURES = ["cpu_percent", "memory_mb", "disk_kb", "network_kb", "api_calls"];

function Took({ metrics }: { metrics: Record<string, unknown> }) {
  const t = useText();
  const { language } = useLanguage();
  const told = FIGURES.filter((name) => typeof metrics[name] === "number").map((name) => t(`work.figure.${name}`, { n: Number(metrics[name]).toLocaleString(language) }));
  const where = Object.values((metrics.environment ?? {}) as Record<string, string>).map(String);
  if (told.length + where.length === 0) return null;
  return (
    <Text size="xs" c="dimmed">
      {[...told, ...where].join(" · ")}
    </Text>
  );
}

const PEOPLE = new Set(["user_task", "human_task", "manual_task"]);

/** Jobs and tasks of the instance, each with its attempts, errors and logs; at a `moment` of the past as they stood. `names`: of elements, by id. */
export function Work({ instance, element, names, moment }: { instance: string; element?: string; names?: Map<string, string>; moment?: Moment }) {
  const t = useText();
  const [open, setOpen] = useState<string>();
  const q = useQuery({ queryKey: ["instance", instance, "tasks"], queryFn: ({ signal }) => get("/tasks", { instance, limit: 500 }, signal), refetchInterval: 3000 });
  const all = q.data?.items;
  const rows = useMemo(() => (all && moment ? workAt(all, moment) : (all ?? [])), [all, moment]);
  const called = (x: TaskRow) => names?.get(x.element ?? "") ?? x.name ?? x.element;
  return (
    <Answer of={q} empty={() => rows.length === 0 && <Empty title={t(moment ? "work.none.then" : "work.none")} />}>
      {() => (
        <Wide minWidth={640}>
          <Table verticalSpacing={4}>
            <Table.Thead>
              <Table.Tr>
                {["col.element", "col.waitsfor", "col.status", "work.attempts", "col.who", "col.took", "col.created"].map((k) => (
                  <Table.Th key={k}>{t(k)}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows
                .filter((x) => !element || x.element === element)
                .map((x) => (
                  <Fragment key={x.id}>
                    <Table.Tr>
                      <Table.Td title={x.element ?? undefined}>
                        {PEOPLE.has(x.type ?? "") ? (
                          <Anchor renderRoot={(props) => <Link to="/tasks/$id" params={{ id: x.id }} {...props} />} size="sm">
                            {called(x)}
                          </Anchor>
                        ) : (
                          <Anchor component="button" type="button" size="sm" aria-expanded={open === x.id} onClick={() => setOpen(open === x.id ? undefined : x.id)}>
                            {open === x.id ? "▾" : "▸"} {called(x)}
                          </Anchor>
                        )}
                      </Table.Td>
                      <Table.Td>{x.job_type || t(`kind.${x.type}`)}</Table.Td>
                      <Table.Td>
                        <Status of={x.incident ? "incident" : x.status} />
                      </Table.Td>
                      <Table.Td>
                        {x.attempts ?? 0} <Text span size="xs" c="dimmed">({t("work.left", { count: x.retries ?? 0 })})</Text>
                      </Table.Td>
                      <Table.Td>{x.assignee ?? x.worker ?? "–"}</Table.Td>
                      <Table.Td>{took(x)}</Table.Td>
                      <Table.Td>
                        <When at={x.created_at} />
                      </Table.Td>
                    </Table.Tr>
                    {open === x.id && (
                      <Table.Tr>
                        <Table.Td colSpan={7}>
                          <Attempts task={x.id} until={moment && momentOf(moment)} />
                        </Table.Td>
                      </Table.Tr>
                    )}
                  </Fragment>
                ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </Answer>
  );
}

const momentOf = ({ events, at }: Moment) => Date.parse(events.find((e) => e.id === at)?.time ?? "");

const took = (x: TaskRow) => (x.completed_at && x.created_at ? duration(Date.parse(x.completed_at) - Date.parse(x.created_at)) : "–");

function Attempts({ task, until }: { task: string; until?: number }) {
  const t = useText();
  const q = useQuery({ queryKey: ["task", task], queryFn: ({ signal }) => get(`/tasks/${task}`, {}, signal) });
  return (
    <Answer of={q}>
      {(x) => {
        const attempts = (x.results as unknown as Attempt[]).filter((a) => until === undefined || Date.parse(a.ended_at ?? a.started_at ?? "") <= until);
        if (attempts.length === 0) return <Text c="dimmed" size="sm">{t("work.noattempt")}</Text>;
        return attempts.map((a, n) => (
          <div key={a.id} style={{ marginBottom: 8 }}>
            <Text size="sm" component="div">
              {n + 1}. <Status of={a.status} /> {a.worker} · <When at={a.ended_at ?? a.started_at} exact /> {a.duration_ms !== null && `· ${duration(a.duration_ms)}`}
            </Text>
            {!!a.metrics && <Took metrics={a.metrics} />}
            {!!a.errors && <Code block>{text(a.errors)}</Code>}
            {!!a.logs && <Code block>{text(a.logs)}</Code>}
            {!!a.artifacts && <Json value={a.artifacts} height={140} />}
            {!!a.output && Object.keys(a.output as object).length > 0 && <Json value={a.output} height={180} />}
          </div>
        ));
      }}
    </Answer>
  );
}

const text = (v: unknown) => (typeof v === "string" ? v : JSON.stringify(v, null, 1));

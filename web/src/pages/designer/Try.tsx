import { Accordion, Alert, Badge, Button, Group, JsonInput, Progress, Select, Stack, Text, TextInput } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { ApiError, send } from "~/api/client";
import type { Finding, Trial, TrialWait } from "~/api/types";
import type { Shown } from "~/designer/editor";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Json } from "~/shared/Json";
import { save } from "~/shared/save";
import { Failed } from "~/shared/states";
import { Status } from "~/shared/Status";
import { FindingList } from "./Findings";
import { answerTo, objectOf, shownOf, words, type Step } from "./trial";

const SETTLE_MS = 600;
/** What a model calls is there as it is deployed, which changes beside it. */
const STALE_MS = 30_000;
const STEPS_MAX = 500;
/** runs by draft, for as long as the page is open */
const runs = new Map<string, Step[]>();

interface Props {
  id: string;
  name: string;
  text: string;
  processes: string[];
  onShow: (shown: Shown | null) => void;
  onPick: (element: string) => void;
}

/** The draft on the real engine, in memory: start it, answer what waits, move the clock, look. A run is its steps, done anew on each change of the model. */
export function Try({ id, name, text, processes, onShow, onPick }: Props) {
  const t = useText();
  const [steps, setSteps] = useState<Step[]>(() => runs.get(id) ?? []);
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const put = (next: Step[]) => {
    runs.set(id, next);
    setSteps(next);
  };
  const q = useQuery({
    queryKey: ["try", name, settled, steps],
    placeholderData: keepPreviousData,
    staleTime: STALE_MS,
    gcTime: 60_000,
    retry: false,
    queryFn: () => send("POST", "/models/try", { models: [{ name, content: settled }], steps: steps as Record<string, never>[] }) as unknown as Promise<Trial>,
  });
  const trial = steps.length ? q.data : undefined;
  const of = processes.join(" ");
  const shown = useMemo(() => shownOf(trial, of.split(" ")), [trial, of]);
  useEffect(() => {
    onShow(shown);
    return () => onShow(null);
  }, [shown, onShow]);
  const problem = q.error instanceof ApiError ? q.error : undefined;
  const full = steps.length >= STEPS_MAX;
  const add = (step: Step) => put([...steps.slice(0, trial?.failed ? trial.done : undefined), step]);
  const variables = Object.fromEntries((trial?.instances ?? []).map((i) => [i.name, i.variables]));
  return (
    <Stack gap="sm" aria-busy={q.isFetching} data-steps={q.isFetching ? undefined : steps.length}>
      <Text size="xs" c="dimmed">
        {t("designer.try.what")}
      </Text>
      {q.error && (problem?.problem.findings ? <FindingList findings={problem.problem.findings as Finding[]} onPick={onPick} /> : <Failed error={q.error} again={() => void q.refetch()} />)}
      {!problem?.problem.findings && <Start processes={processes} go={(step) => add(step)} first={steps.length === 0} full={full} />}
      {steps.length > 0 && (
        <Group gap="xs">
          <Button size="compact-xs" variant="default" leftSection={<Icon name="back" size={12} />} onClick={() => put(steps.slice(0, -1))}>
            {t("designer.try.back")}
          </Button>
          <Button size="compact-xs" variant="default" onClick={() => put([])}>
            {t("designer.try.again")}
          </Button>
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<Icon name="download" size={12} />}
            disabled={!trial}
            onClick={() => save(`${name.replace(/\.[^.]*$/, "")}.flowtest.json`, "application/json", JSON.stringify(trial!.test, null, 2))}
          >
            {t("designer.try.test")}
          </Button>
        </Group>
      )}
      {trial?.failed && (
        <Alert color="red" variant="light" role="alert" title={t("designer.try.failed", { step: trial.failed.step, what: words(steps[trial.failed.step - 1] ?? {}) })}>
          <Text size="sm" style={{ overflowWrap: "anywhere", whiteSpace: "pre-wrap" }}>
            {trial.failed.message}
          </Text>
        </Alert>
      )}
      {trial && (
        <>
          {trial.waiting.length > 0 && (
            <Stack gap="xs" component="section" aria-label={t("designer.try.waits")}>
              <Text fw={600} size="sm">
                {t("designer.try.waits")}
              </Text>
              {trial.waiting.map((w, n) => (
                <Waits key={`${w.kind} ${w.instance} ${w.element} ${w.name} ${n} ${steps.length}`} of={w} add={add} onPick={onPick} full={full} />
              ))}
            </Stack>
          )}
          <Clock now={trial.now} add={add} full={full} />
          {trial.coverage.filter((c) => processes.includes(c.process)).map((c) => (
            <div key={c.process}>
              <Group justify="space-between">
                <Text size="sm">{t("designer.try.coverage", { covered: c.covered, total: c.total })}</Text>
                <Text size="sm">{c.percent} %</Text>
              </Group>
              <Progress value={c.percent} color="teal" aria-label={t("designer.try.coverage", { covered: c.covered, total: c.total })} />
            </div>
          ))}
          <Stack gap="xs">
            {trial.instances.map((i) => (
              <Group key={i.name} gap="xs">
                <Text size="sm" fw={600}>
                  {i.name}
                </Text>
                <Status of={i.status} />
              </Group>
            ))}
          </Stack>
          <Text fw={600} size="sm">
            {t("designer.try.variables")}
          </Text>
          <Json value={trial.instances.length === 1 ? trial.instances[0]!.variables : variables} height={220} />
          <Variables add={add} instances={trial.instances.filter((i) => i.status === "running").map((i) => i.name)} full={full} />
          <div>
            <Text fw={600} size="sm">
              {t("designer.try.steps")}
            </Text>
            <ol style={{ margin: 0, paddingInlineStart: "1.4rem" }}>
              {steps.map((s, n) => (
                <Text component="li" size="sm" key={n} c={n >= trial.done ? "red" : undefined}>
                  {words(s)}
                </Text>
              ))}
            </ol>
          </div>
        </>
      )}
    </Stack>
  );
}

function useObject(first = "") {
  const t = useText();
  const [text, setText] = useState(first);
  const value = objectOf(text);
  return { value, props: { value: text, onChange: setText, autosize: true, minRows: 1, maxRows: 8, size: "xs", placeholder: "{}", error: value ? undefined : t("designer.try.json") } as const };
}

function Start({ processes, go, first, full }: { processes: string[]; go: (step: Step) => void; first: boolean; full: boolean }) {
  const t = useText();
  const [process, setProcess] = useState<string>();
  const which = process && processes.includes(process) ? process : processes[0];
  const given = useObject();
  const start = (
    <Stack gap="xs">
      {processes.length > 1 && <Select size="xs" label={t("col.process")} data={processes} value={which} onChange={(v) => setProcess(v ?? undefined)} allowDeselect={false} />}
      <JsonInput label={t("designer.try.start.variables")} {...given.props} />
      <Button size="xs" leftSection={<Icon name="play" size={13} />} disabled={!which || !given.value || full} onClick={() => go({ start: which, ...(Object.keys(given.value ?? {}).length ? { variables: given.value } : {}) })}>
        {t("designer.try.start")}
      </Button>
    </Stack>
  );
  if (first) return start;
  return (
    <Accordion variant="contained" chevronPosition="left">
      <Accordion.Item value="more">
        <Accordion.Control>{t("designer.try.another")}</Accordion.Control>
        <Accordion.Panel>{start}</Accordion.Panel>
      </Accordion.Item>
    </Accordion>
  );
}

/** One thing that waits, and what can be done with it. */
function Waits({ of: w, add, onPick, full }: { of: TrialWait; add: (step: Step) => void; onPick: (element: string) => void; full: boolean }) {
  const t = useText();
  const given = useObject();
  const [by, setBy] = useState("");
  const [code, setCode] = useState("");
  const work = w.kind === "task" || w.kind === "job";
  const carries = work || w.kind === "message" || w.kind === "signal";
  return (
    <Stack gap={6} p="xs" style={{ border: "1px solid var(--mantine-color-default-border)", borderRadius: 4 }} data-waits={w.element}>
      <Group gap="xs" justify="space-between" wrap="nowrap">
        <Button variant="subtle" size="compact-xs" px={0} onClick={() => onPick(w.element)} style={{ minWidth: 0 }}>
          <span className="fl-cut">{w.title || w.name || w.element}</span>
        </Button>
        <Badge size="sm" variant="light" tt="none" color={w.kind === "incident" ? "red" : "gray"} style={{ flex: "none" }}>
          {t(`designer.try.kind.${w.kind}`)}
        </Badge>
      </Group>
      {(w.who || w.key || w.due || w.message || w.title !== w.name) && (
        <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
          {[w.title !== w.name && w.kind !== "timer" && w.name, w.who, w.key && t("designer.try.key", { key: w.key }), w.due && moment(w.due), w.message].filter(Boolean).join(" · ")}
        </Text>
      )}
      {carries && <JsonInput label={t("designer.try.values")} {...given.props} />}
      {w.kind === "task" && <TextInput size="xs" label={t("designer.try.by")} value={by} onChange={(e) => setBy(e.currentTarget.value)} />}
      <Group gap="xs">
        <Button size="compact-xs" disabled={full || (carries && !given.value)} onClick={() => add(answerTo(w, given.value ?? {}, by.trim()))}>
          {t(`designer.try.do.${w.kind}`)}
        </Button>
        {w.kind === "job" && (
          <Button size="compact-xs" variant="default" disabled={full} onClick={() => add({ fail: w.element, instance: w.instance, message: "tried" })}>
            {t("designer.try.fail")}
          </Button>
        )}
        {work && (
          <>
            <TextInput size="xs" w={110} aria-label={t("designer.try.code")} placeholder={t("designer.try.code")} value={code} onChange={(e) => setCode(e.currentTarget.value)} />
            <Button size="compact-xs" variant="default" disabled={full || !code.trim()} onClick={() => add({ throw: w.element, instance: w.instance, code: code.trim() })}>
              {t("designer.try.throw")}
            </Button>
          </>
        )}
      </Group>
    </Stack>
  );
}

/** Of the run's own clock, which is in UTC wherever one reads it: what a model says of times is tried there, too. */
const moment = (at: string) => at.replace("T", " ").replace(/(:00)?(\.\d+)?Z$/, " UTC");

function Clock({ now, add, full }: { now: string; add: (step: Step) => void; full: boolean }) {
  const t = useText();
  const [by, setBy] = useState("PT1H");
  return (
    <Group gap="xs" align="flex-end">
      <TextInput size="xs" w={110} label={t("designer.try.clock")} description={moment(now)} value={by} onChange={(e) => setBy(e.currentTarget.value)} inputWrapperOrder={["label", "input", "description"]} />
      <Button size="xs" variant="default" leftSection={<Icon name="clock" size={13} />} mb={22} disabled={full || !by.trim()} onClick={() => add({ advance: by.trim() })}>
        {t("designer.try.advance")}
      </Button>
    </Group>
  );
}

function Variables({ add, instances, full }: { add: (step: Step) => void; instances: string[]; full: boolean }) {
  const t = useText();
  const given = useObject();
  const [of, setOf] = useState<string>();
  const which = of && instances.includes(of) ? of : instances[0];
  if (!which) return null;
  return (
    <Stack gap={6}>
      {instances.length > 1 && <Select size="xs" label={t("designer.try.instance")} data={instances} value={which} onChange={(v) => setOf(v ?? undefined)} allowDeselect={false} />}
      <JsonInput label={t("designer.try.set")} {...given.props} />
      <Button size="compact-xs" variant="default" w="fit-content" disabled={full || !given.value || Object.keys(given.value).length === 0} onClick={() => add({ set: given.value, instance: which })}>
        {t("designer.try.set.do")}
      </Button>
    </Stack>
  );
}

import { Alert, Button, Group, JsonInput, Paper, Progress, Select, SimpleGrid, Stack, Text, TextInput, Title } from "@mantine/core";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { send } from "~/api/client";
import { useDiagram } from "~/api/source";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Empty, Failed } from "~/shared/states";
import type { Part } from "./parts";
import { Scenarios } from "./Scenarios";
import { bodyOf, objectIn, read, ready, scenario, SCENARIOS_MAX, sound, tasksOf, type Asked, type Scenario } from "./whatif";

/** the server stops then by itself */
const MOST_S = 60;

/** The process in simulated time, as it was and as it could be: scenarios side by side. What was asked stands in the address. */
export function WhatIf({ search, process, versions, set }: Part) {
  const t = useText();
  const [asked, setAsked] = useState<Asked>(() => read(search.whatif));
  const [error, setError] = useState<unknown>();
  const [told, setTold] = useState<AnswerOf<"POST", "/simulations">>();
  const [stopped, setStopped] = useState(false);
  const [since, setSince] = useState<number>();
  const running = useRef<AbortController>(undefined);
  const definition = versions.find((d) => String(d.version) === search.version) ?? versions[0];
  const xml = useDiagram(definition?.key);
  const tasks = useMemo(() => (xml.data ? tasksOf(xml.data, process) : []), [xml.data, process]);
  useEffect(() => () => running.current?.abort(), []);
  const put = (more: Partial<Asked>) => setAsked((was) => ({ ...was, ...more }));
  const change = (n: number, more: Partial<Scenario>) => put({ scenarios: asked.scenarios.map((s, k) => (k === n ? { ...s, ...more } : s)) });
  const go = async () => {
    const own = new AbortController();
    running.current = own;
    setError(undefined);
    setStopped(false);
    setSince(Date.now());
    set({ whatif: JSON.stringify(asked) });
    try {
      setTold(await send("POST", "/simulations", bodyOf(asked, process, search.version), undefined, undefined, own.signal));
    } catch (e) {
      if (own.signal.aborted) setStopped(true);
      else setError(e);
    } finally {
      setSince(undefined);
    }
  };
  const field = (name: "runs" | "instances" | "seed") => <TextInput size="xs" inputMode="numeric" label={t(`whatif.${name}`)} value={asked[name]} error={!sound[name](asked[name])} onChange={(e) => put({ [name]: e.currentTarget.value })} />;
  const every = (value: string, done: (text: string) => void) => <TextInput size="xs" label={t("whatif.every")} description={t("whatif.every.hint")} value={value} error={sound.every(value) ? undefined : t("alerts.wrong.duration")} onChange={(e) => done(e.currentTarget.value)} />;
  return (
    <>
      <Text size="sm" mb="sm">
        {t("whatif.what")}
      </Text>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm" mb="sm">
        <Box title={t("whatif.base")}>
          <div>
            <Text size="sm" fw={600}>
              {t("whatif.people")}
            </Text>
            <Text size="xs" c="dimmed">
              {t("whatif.people.what")}
            </Text>
          </div>
          {asked.people.map((p, n) => (
            <Group key={n} gap="xs" align="end" wrap="nowrap">
              <Select size="xs" style={{ flex: 1, minWidth: 0 }} label={t("whatif.element")} searchable value={p.element || null} data={tasks} onChange={(element) => put({ people: asked.people.map((q, k) => (k === n ? { ...q, element: element ?? "" } : q)) })} />
              <TextInput size="xs" w={80} inputMode="numeric" label={t("whatif.count")} value={p.count} error={!sound.count(p.count)} onChange={(e) => put({ people: asked.people.map((q, k) => (k === n ? { ...q, count: e.currentTarget.value } : q)) })} />
              <Drop label={`${t("whatif.drop")}: ${p.element || n + 1}`} go={() => put({ people: asked.people.filter((_, k) => k !== n), scenarios: asked.scenarios.map((s) => ({ ...s, counts: s.counts.filter((_, k) => k !== n) })) })} />
            </Group>
          ))}
          <Button size="compact-xs" variant="default" w="fit-content" onClick={() => put({ people: [...asked.people, { element: "", count: "1" }] })}>
            {t("whatif.people.add")}
          </Button>
          {every(asked.every, (text) => put({ every: text }))}
          <SimpleGrid cols={3} spacing="xs">
            {field("runs")}
            {field("instances")}
            {field("seed")}
          </SimpleGrid>
        </Box>
        {asked.scenarios.map((s, n) => (
          <Box key={n} title={`${t("whatif.scenario")} ${n + 1}`} drop={<Drop label={`${t("whatif.drop")}: ${s.name}`} go={() => put({ scenarios: asked.scenarios.filter((_, k) => k !== n) })} />}>
            <Group gap="xs" align="end">
              <TextInput size="xs" style={{ flex: 1 }} label={t("whatif.name")} value={s.name} maxLength={100} error={!s.name.trim()} onChange={(e) => change(n, { name: e.currentTarget.value })} />
              <Select size="xs" w={120} label={t("whatif.version")} clearable placeholder={t("whatif.version.same")} value={s.version || null} data={versions.map((d) => ({ value: String(d.version), label: `v${d.version}` }))} onChange={(version) => change(n, { version: version ?? "" })} />
            </Group>
            {asked.people.map((p, k) => (
              <TextInput key={k} size="xs" inputMode="numeric" label={`${t("whatif.count")}: ${tasks.find((x) => x.value === p.element)?.label ?? p.element}`} placeholder={p.count} value={s.counts[k] ?? ""} error={!!s.counts[k]?.trim() && !sound.count(s.counts[k])} onChange={(e) => change(n, { counts: asked.people.map((_, j) => (j === k ? e.currentTarget.value : (s.counts[j] ?? ""))) })} />
            ))}
            {every(s.every, (text) => change(n, { every: text }))}
            <JsonInput size="xs" label={t("whatif.more")} placeholder='{"branches": {"again": 0.05}}' autosize minRows={1} maxRows={6} value={s.more} error={objectIn(s.more) === null && t("whatif.wrong")} onChange={(more) => change(n, { more })} />
          </Box>
        ))}
      </SimpleGrid>
      <Group gap="xs" mb="sm">
        {asked.scenarios.length < SCENARIOS_MAX && (
          <Button size="xs" variant="default" leftSection={<Icon name="plus" size={13} />} onClick={() => put({ scenarios: [...asked.scenarios, { ...scenario(asked.scenarios.length + 1), name: `${t("whatif.scenario")} ${asked.scenarios.length + 1}` }] })}>
            {t("whatif.scenario.add")}
          </Button>
        )}
        {since === undefined ? (
          <Button size="xs" leftSection={<Icon name="play" size={13} />} disabled={!ready(asked)} onClick={() => void go()}>
            {t("whatif.go")}
          </Button>
        ) : (
          <Button size="xs" color="red" variant="light" leftSection={<Icon name="stop" size={13} />} onClick={() => running.current?.abort()}>
            {t("whatif.stop")}
          </Button>
        )}
      </Group>
      {since !== undefined && <Running since={since} />}
      {stopped && (
        <Alert color="gray" variant="light" role="status">
          {t("whatif.stopped")}
        </Alert>
      )}
      {error !== undefined && <Failed error={error} />}
      {told ? <Scenarios of={told} names={Object.fromEntries(tasks.map((x) => [x.value, x.label]))} /> : since === undefined && !stopped && error === undefined && <Empty title={t("whatif.none")} />}
    </>
  );
}

function Box({ title, drop, children }: { title: string; drop?: ReactNode; children: ReactNode }) {
  return (
    <Paper withBorder p="sm" role="group" aria-label={title}>
      <Group justify="space-between">
        <Title order={2} size="h4">
          {title}
        </Title>
        {drop}
      </Group>
      <Stack gap="xs">{children}</Stack>
    </Paper>
  );
}

function Drop({ label, go }: { label: string; go: () => void }) {
  return (
    <Button size="compact-xs" variant="subtle" color="gray" aria-label={label} onClick={go} px={4}>
      <Icon name="close" size={13} />
    </Button>
  );
}

/** How far it is on the way to the time at which the server stops by itself. */
function Running({ since }: { since: number }) {
  const t = useText();
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.round((now - since) / 1000));
  const text = t("whatif.running", { n: seconds });
  return (
    <div role="status">
      <Text size="sm">{text}</Text>
      <Progress aria-label={text} value={Math.min(100, (seconds / MOST_S) * 100)} striped animated my="xs" />
    </div>
  );
}

import { Badge, Button, Card, Group, List, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { get } from "~/api/client";
import type { HistoryEvent } from "~/api/types";
import { useText } from "~/i18n";
import { brief } from "~/shared/Json";
import { Answer, Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { causesOf, choicesOf, flowsOf, namesOf, spokenOf, type Choice, type Flow } from "./why";

/** Why it went this way: conditions with their values, people chosen or left out, decisions, and what each came of. */
export function Why({ instance, xml, events, element, at, onAt }: { instance: string; xml: string; events: HistoryEvent[]; element?: string; at?: string; onAt: (position: string) => void }) {
  const t = useText();
  const flows = useMemo(() => flowsOf(xml), [xml]);
  const names = useMemo(() => namesOf(xml), [xml]);
  const choices = useMemo(() => choicesOf(events, flows, at), [events, flows, at]);
  const shown = element ? choices.filter((c) => (c.kind === "flow" ? [c.flow.source, c.flow.target, c.flow.id].includes(element) : c.element === element)) : choices;
  if (shown.length === 0) return <Empty title={t("why.none")}>{t("why.none.hint")}</Empty>;
  return (
    <>
      {shown.map((c) => (
        <One key={c.event.id} instance={instance} choice={c} names={names} events={events} onAt={onAt} />
      ))}
    </>
  );
}

function One({ instance, choice: c, names, events, onAt }: { instance: string; choice: Choice; names: Map<string, string>; events: HistoryEvent[]; onAt: (position: string) => void }) {
  const t = useText();
  const [open, setOpen] = useState(false);
  const called = (id: string) => names.get(id) ?? id;
  return (
    <Card withBorder padding="sm" mb="xs">
      <Group gap="xs" justify="space-between">
        <Group gap="xs">
          <Badge variant="light" size="sm" tt="none">
            {t(`why.${c.kind}`)}
          </Badge>
          <Text size="sm" fw={600}>
            {c.kind === "flow" ? `${called(c.flow.source)} → ${called(c.flow.target)}` : called(c.element)}
          </Text>
          <Text size="xs" c="dimmed">
            <When at={c.event.time} exact /> · {c.event.actor}
          </Text>
        </Group>
        <Group gap={4}>
          <Button size="compact-xs" variant="subtle" aria-expanded={open} onClick={() => setOpen(!open)}>
            {t("why.cameof")}
          </Button>
          <Button size="compact-xs" variant="subtle" onClick={() => onAt(c.event.id)}>
            {t("why.goto")}
          </Button>
        </Group>
      </Group>
      {c.kind === "flow" && <TakenFlow instance={instance} event={c.event} flow={c.flow} others={c.others} called={called} />}
      {c.kind === "person" && (
        <>
          <Text size="sm" mt={4}>
            {c.assignment.assignee || t("tasks.nobody")}: {c.assignment.why} {c.assignment.strategy && <span className="fl-mono">({c.assignment.strategy})</span>}
          </Text>
          {Object.entries(c.assignment.behind ?? {}).map(([name, how]) => (
            <Text key={name} size="sm" c="dimmed">
              {t("why.behind", { name })} {how}
            </Text>
          ))}
          {Object.entries(c.assignment.excluded ?? {}).map(([name, reason]) => (
            <Text key={name} size="sm" c="dimmed">
              {t("why.leftout", { name })} {reason}
            </Text>
          ))}
        </>
      )}
      {c.kind === "decision" && (
        <Text size="sm" mt={4}>
          {c.decision} = <span className="fl-mono">{brief(c.result, 200)}</span>
        </Text>
      )}
      {open && <Causes events={events} id={c.event.id} called={called} />}
    </Card>
  );
}

/** The condition, and what its variables were at that moment. */
function TakenFlow({ instance, event, flow, others, called }: { instance: string; event: HistoryEvent; flow: Flow; others: Flow[]; called: (id: string) => string }) {
  const t = useText();
  const then = useQuery({ queryKey: ["instance", instance, "state", event.id], staleTime: Number.POSITIVE_INFINITY, queryFn: ({ signal }) => get(`/instances/${instance}/state`, { at: event.id }, signal) });
  const line = (f: Flow, taken: boolean) => (
    <List.Item key={f.id}>
      <Text size="sm" span fw={taken ? 600 : 400} c={taken ? undefined : "dimmed"}>
        {taken ? "✓" : "✗"} {f.name || called(f.target)}: {f.condition ? <span className="fl-mono">{f.condition}</span> : t(f.isDefault ? (taken ? "why.default.taken" : "why.default") : "why.always")}
      </Text>
    </List.Item>
  );
  return (
    <>
      <List listStyleType="none" mt={4}>
        {line(flow, true)}
        {others.map((f) => line(f, false))}
      </List>
      <Answer of={then}>
        {(state) => {
          const values = spokenOf([flow, ...others].map((f) => f.condition).join(" "), state.variables as Record<string, unknown>);
          return values.length > 0 && <Text size="sm">{t("why.values")} {values.map(([name, value]) => <span key={name} className="fl-mono">{`${name} = ${brief(value, 60)}  `}</span>)}</Text>;
        }}
      </Answer>
    </>
  );
}

function Causes({ events, id, called }: { events: HistoryEvent[]; id: string; called: (id: string) => string }) {
  const t = useText();
  const chain = causesOf(events, id);
  const last = chain.at(-1)?.cause;
  return (
    <List size="sm" mt="xs" type="ordered">
      {chain.map((e) => (
        <List.Item key={e.id}>
          <span className="fl-mono">{e.id}</span> {t(`event.${e.type}`)} {called(String(e.data.element ?? ""))} <Text span size="xs" c="dimmed"><When at={e.time} exact /></Text>
        </List.Item>
      ))}
      {last && (
        <List.Item>
          <span className="fl-mono">{last}</span>
        </List.Item>
      )}
    </List>
  );
}

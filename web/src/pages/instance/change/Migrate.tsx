import { Group, ScrollArea, SegmentedControl, Select, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { get, send } from "~/api/client";
import { useDiagram } from "~/api/source";
import type { Instance } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Failed } from "~/shared/states";
import { useGo } from "./Again";
import { Preview } from "./Preview";
import { nodesOf } from "./steps";
import { usePlan } from "./usePlan";

const TIMERS = ["keep", "restart", "recount"] as const;
const TASKS = ["keep", "renew"] as const;

/** Another version for this instance: a proposal of what becomes what, to be changed where tokens stand; seen before it is done. */
export function Migrate({ instance: i, standing, close }: { instance: Instance; standing: string[]; close: () => void }) {
  const t = useText();
  const [to, setTo] = useState<string | null>(null);
  const [edited, setEdited] = useState<Record<string, string>>({});
  const [timers, setTimers] = useState<string>("keep");
  const [tasks, setTasks] = useState<string>("keep");
  const [force, setForce] = useState(false);
  const versions = useQuery({ queryKey: ["/definitions", "of", i.process], queryFn: ({ signal }) => get("/definitions", { definition_id: i.process, limit: 200 }, signal) });
  const others = (versions.data?.items ?? []).filter((d) => d.key !== i.definition);
  const target = to ?? others[0]?.key ?? null;
  const proposal = useQuery({
    queryKey: ["migration", i.definition, target],
    enabled: target !== null,
    retry: false,
    queryFn: () => send("POST", "/migrations/plan", { from: i.definition!, to: target! }),
  });
  const source = useDiagram(target ?? undefined);
  const nodes = useMemo(() => (source.data ? nodesOf(source.data) : []), [source.data]);
  const wish = useMemo(() => {
    if (!proposal.data) return undefined;
    const mapping = Object.fromEntries(standing.map((element) => [element, edited[element] ?? (proposal.data.mapping as Record<string, string>)[element] ?? (nodes.some((n) => n.id === element) ? element : "")]));
    return { to: target, mapping: Object.fromEntries(Object.entries(mapping).map(([k, v]) => [k, v || null])), timers, tasks, ...(force ? { force } : {}) };
  }, [proposal.data, standing, edited, nodes, target, timers, tasks, force]);
  const asked = usePlan(i.id, "migrate", nodes.length ? wish : undefined);
  const go = useGo(i.id, asked.apply);
  return (
    <Ask title={t("change.migrate")} what={t("change.migrate.what")} ready={Boolean(asked.plan) && !asked.waits} close={close} go={go}>
      {versions.data && others.length === 0 ? (
        <Text size="sm">{t("change.migrate.none")}</Text>
      ) : (
        <>
          <Select label={t("change.migrate.to")} value={target} onChange={(v) => (setTo(v), setEdited({}))} allowDeselect={false} data={others.map((d) => ({ value: d.key, label: `v${d.version}${d.version_tag ? ` (${d.version_tag})` : ""} · ${t(`status.${d.status}`)}` }))} data-autofocus />
          {proposal.error && <Failed error={proposal.error} />}
          <ScrollArea.Autosize mah={260} viewportProps={{ tabIndex: 0 }}>
            <Table verticalSpacing={4} aria-label={t("change.migrate.mapping")}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("change.migrate.stands")}</Table.Th>
                  <Table.Th>{t("change.migrate.becomes")}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {standing.map((element) => (
                  <Table.Tr key={element}>
                    <Table.Td>{element}</Table.Td>
                    <Table.Td>
                      <Select size="xs" searchable aria-label={t("change.migrate.of", { element })} value={(wish?.mapping[element] as string | null | undefined) ?? ""} onChange={(v) => setEdited({ ...edited, [element]: v ?? "" })} allowDeselect={false} data={[{ value: "", label: t("change.migrate.dropped") }, ...nodes.map((n) => ({ value: n.id, label: n.name ? `${n.name} (${n.id})` : n.id }))]} />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </ScrollArea.Autosize>
          <Group>
            <Choice name="timers" value={timers} set={setTimers} of={TIMERS} />
            <Choice name="tasks" value={tasks} set={setTasks} of={TASKS} />
          </Group>
          <Preview of={asked} force={force} setForce={setForce} />
        </>
      )}
    </Ask>
  );
}

function Choice({ name, value, set, of }: { name: string; value: string; set: (v: string) => void; of: readonly string[] }) {
  const t = useText();
  return (
    <div>
      <Text size="sm">{t(`change.${name}`)}</Text>
      <SegmentedControl size="xs" aria-label={t(`change.${name}`)} value={value} onChange={set} data={of.map((v) => ({ value: v, label: t(`change.${name}.${v}`) }))} />
    </div>
  );
}

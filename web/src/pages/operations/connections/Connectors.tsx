import { Anchor, Badge, Button, Group, Paper, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useRef } from "react";
import { get, query } from "~/api/client";
import { useRows } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { RowOf, TaskRow } from "~/api/types";
import { useGathered } from "~/api/useSeveral";
import { useText } from "~/i18n";
import { useConnectorText } from "~/i18n/connectors";
import { Icon } from "~/shared/icons";
import { save } from "~/shared/save";
import { Answer, Empty, Failed } from "~/shared/states";
import { Status } from "~/shared/Status";
import { duration, When } from "~/shared/time";
import { Wide } from "~/shared/Wide";
import { Profiles } from "./Profiles";

type Connector = RowOf<"/connectors">;
interface Use {
  definition: string;
  process: string;
  version: number;
  element: string;
  name: string;
  secrets: string[];
}
const DAY = 86_400_000;
const ofADay = () => ({ group: "job_type", from: new Date(Date.now() - DAY).toISOString(), measure: "started,completed,attempts,errors,incidents,working_time" });
/** Nobody has taken a job for so long: it is said. */
const LEFT_MS = 60_000;
const CALLS = 20;

/** What a model can call without anybody's code: where it is used, which secrets it names, what came of the calls. */
export function Connectors() {
  const t = useText();
  const sees = useMay("insight");
  const search = useSearch({ strict: false }) as Record<string, string>;
  const first = useRef<ReturnType<typeof ofADay>>(undefined); // what is gathered is asked word by word
  useGathered("connectors", () => ["/connectors", "/profiles?limit=100", ...(sees ? [`/measures${query((first.current = ofADay()))}`] : [])]);
  const list = useQuery({ queryKey: ["connectors"], queryFn: ({ signal }) => get("/connectors", {}, signal) });
  const figures = useQuery({
    queryKey: ["connectors", "figures"],
    enabled: sees,
    queryFn: ({ signal }) => {
      const wish = first.current ?? ofADay();
      first.current = undefined;
      return get("/measures", wish, signal);
    },
  });
  useRefreshOn({ type: "task.*" }, [["connectors", "figures"], ["connectors", "calls"]], 2000);
  return (
    <Answer of={list} empty={(p) => p.items.length === 0 && <Empty title={t("connectors.none")} />}>
      {(p) => (
        <>
          <Text size="sm" c="dimmed" mb="sm">
            {t("connectors.what")}
          </Text>
          {p.items.map((c) => (
            <ConnectorCard key={c.name} of={c} open={search.connector === c.name} counted={figures.data?.items.filter((i) => i.job_type === c.job_type || c.aliases.includes(i.job_type ?? ""))} />
          ))}
          <Profiles />
        </>
      )}
    </Answer>
  );
}

interface Counted {
  completed?: number | null;
  errors?: number | null;
  incidents?: number | null;
  attempts?: number | null;
  working_time?: { mean_ms?: number | null } | null;
}

function ConnectorCard({ of: c, open, counted }: { of: Connector; open: boolean; counted?: Counted[] }) {
  const t = useText();
  const say = useConnectorText();
  const navigate = useNavigate();
  const sum = (f: (i: Counted) => number | null | undefined) => (counted ?? []).reduce((all, i) => all + (f(i) ?? 0), 0);
  const attempts = sum((i) => i.attempts);
  const took = counted?.find((i) => i.working_time?.mean_ms != null)?.working_time?.mean_ms;
  const take = async () => save(`${c.name}.element-template.json`, "application/json", JSON.stringify(await get(`/connectors/${c.name}/template`), null, 1));
  return (
    <Paper withBorder p="sm" mb="xs" role="group" aria-label={say(c.title)}>
      <Group gap="xs">
        <Text fw={600}>{say(c.title)}</Text>
        <span className="fl-mono">{c.job_type}</span>
        {c.aliases.map((a) => (
          <Badge key={a} size="sm" variant="light" color="gray" tt="none">
            {a}
          </Badge>
        ))}
      </Group>
      <Text size="sm" c="dimmed">
        {say(c.description)}
      </Text>
      <Group gap="md" mt={4}>
        {attempts > 0 ? (
          <>
            <Text size="sm">{t("connectors.attempts", { count: attempts })}</Text>
            {took != null && <Text size="sm">{t("connectors.took", { time: duration(took) })}</Text>}
            {sum((i) => i.errors) > 0 && <Text size="sm" c="red">{t("connectors.errors", { count: sum((i) => i.errors) })}</Text>}
            {sum((i) => i.incidents) > 0 && <Text size="sm" c="red">{t("connectors.incidents", { count: sum((i) => i.incidents) })}</Text>}
          </>
        ) : (
          counted && <Text size="sm" c="dimmed">{t("connectors.quiet")}</Text>
        )}
      </Group>
      <Group gap="xs" mt="xs">
        <Button size="compact-sm" variant="default" aria-expanded={open} onClick={() => void navigate({ to: ".", search: { tab: "connectors", ...(open ? {} : { connector: c.name }) } as Record<string, string>, replace: true })}>
          {t("connectors.more")}
        </Button>
        <Button size="compact-sm" variant="default" leftSection={<Icon name="download" size={12} />} onClick={() => void take()}>
          {t("connectors.template")}
        </Button>
      </Group>
      {open && <Uses of={c} />}
      {open && <Calls of={c} />}
    </Paper>
  );
}

function Uses({ of: c }: { of: Connector }) {
  const t = useText();
  const list = useRows<Use>(`/connectors/${c.name}/uses`, { limit: "50" });
  const secrets = [...new Set(list.rows.flatMap((u) => u.secrets))].sort();
  if (list.error && !list.data) return <Failed error={list.error} again={() => void list.refetch()} />;
  return (
    <section aria-label={t("connectors.uses")}>
      <Title order={3} mt="sm">
        {t("connectors.uses")}
      </Title>
      {list.data && list.rows.length === 0 && <Text size="sm">{t(list.hasNextPage ? "connectors.uses.notyet" : "connectors.uses.none")}</Text>}
      {list.rows.length > 0 && (
        <Wide minWidth={420}>
          <Table verticalSpacing={3} fz="sm" aria-label={t("connectors.uses")}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t("col.process")}</Table.Th>
                <Table.Th>{t("heat.element")}</Table.Th>
                <Table.Th>{t("connectors.secrets")}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {list.rows.map((u) => (
                <Table.Tr key={`${u.definition} ${u.element}`}>
                  <Table.Td>
                    <Anchor size="sm" renderRoot={(props) => <Link to="/processes/$id" params={{ id: u.process }} {...props} />}>
                      {u.process} v{u.version}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>{u.name}</Table.Td>
                  <Table.Td className="fl-mono">{u.secrets.join(", ") || "–"}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
      {list.hasNextPage && (
        <Button size="xs" variant="default" loading={list.isFetchingNextPage} onClick={list.more}>
          {t("operations.more")}
        </Button>
      )}
      {secrets.length > 0 && (
        <Text size="sm" mt={4}>
          {t("connectors.secrets.what", { names: secrets.join(", ") })}
        </Text>
      )}
    </section>
  );
}

/** The newest of its work, by every name that it has. What waits and is in nobody's hand says that no process serves it. */
function Calls({ of: c }: { of: Connector }) {
  const t = useText();
  const calls = useQuery({
    queryKey: ["connectors", "calls", c.name],
    queryFn: async ({ signal }) => {
      const pages = await Promise.all([c.job_type, ...c.aliases].map((job_type) => get("/tasks", { job_type, limit: CALLS }, signal)));
      return pages.flatMap((p) => p.items as TaskRow[]).sort((a, b) => (a.created_at ?? "") < (b.created_at ?? "") ? 1 : -1).slice(0, CALLS);
    },
  });
  const left = (calls.data ?? []).some((i) => i.status === "created" && !i.incident && !i.attempts && Date.now() - Date.parse(i.created_at ?? "") > LEFT_MS);
  return (
    <section aria-label={t("connectors.calls")}>
      <Title order={3} mt="sm">
        {t("connectors.calls")}
      </Title>
      {left && (
        <Text size="sm" c="red">
          {t("connectors.left")}
        </Text>
      )}
      <Answer of={calls} empty={(rows) => rows.length === 0 && <Text size="sm">{t("connectors.calls.none")}</Text>}>
        {(rows) => (
          <Wide minWidth={560}>
            <Table verticalSpacing={3} fz="sm" aria-label={t("connectors.calls")}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("col.started")}</Table.Th>
                  <Table.Th>{t("heat.element")}</Table.Th>
                  <Table.Th>{t("col.status")}</Table.Th>
                  <Table.Th ta="right">{t("measure.attempts")}</Table.Th>
                  <Table.Th ta="right">{t("col.took")}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((i) => (
                  <Table.Tr key={i.id}>
                    <Table.Td>
                      <When at={i.created_at} />
                    </Table.Td>
                    <Table.Td>
                      <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.instance ?? "" }} search={{ tab: i.incident ? "incidents" : "work" }} {...props} />}>
                        {i.process}: {i.name}
                      </Anchor>
                    </Table.Td>
                    <Table.Td>
                      <Status of={i.incident ? "incident" : i.status} />
                    </Table.Td>
                    <Table.Td ta="right">{i.attempts}</Table.Td>
                    <Table.Td ta="right">{i.duration_ms == null ? "–" : duration(i.duration_ms)}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
        )}
      </Answer>
    </section>
  );
}

import { Button, Group, Select, Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { get, getText, send } from "~/api/client";
import { useDiagram, useSource, versions as versionsOf } from "~/api/source";
import { useMay } from "~/api/me";
import { useSeveral } from "~/api/useSeveral";
import { useRefreshOn } from "~/api/live";
import type { Definition } from "~/api/types";
import { Diagram, type Badge } from "~/diagram/Diagram";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Answer, Empty, Failed, PageHead, Waiting } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Compare } from "./Compare";
import { InService, useInService } from "./InService";
import { StartDialog } from "./StartDialog";

/** One process: its diagram with what runs and what is stuck on it, its versions, its runs. */
export function ProcessPage() {
  const t = useText();
  const { id } = useParams({ strict: false }) as { id: string };
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const may = useMay("start", id);
  const mayDraw = useMay("author");
  const [error, setError] = useState<unknown>();
  /** a draft of this version, as it is drawn here */
  const edit = async (of: Definition) => {
    setError(undefined);
    try {
      const made = await send("POST", "/drafts", { name: of.name || of.definition_id, kind: "process", content: await getText(`/definitions/${of.key}/diagram`), comment: t("process.edit.comment", { version: of.version }) });
      await navigate({ to: "/designer/$id", params: { id: made.id } });
    } catch (e) {
      setError(e);
    }
  };
  const [starting, setStarting] = useState<boolean>(); // undefined: not asked for yet
  useSeveral("processes", id, search);
  const versions = useQuery(versionsOf(id));
  const definition = versions.data?.items.find((d) => String(d.version) === search.version) ?? versions.data?.items[0];
  useRefreshOn({ definition: definition?.key }, [["process", definition?.key ?? ""]], 1000, Boolean(definition));
  if (versions.error && !versions.data) return <Failed error={versions.error} again={() => void versions.refetch()} />;
  if (!versions.data) return <Waiting />;
  if (!definition) return <Empty title={t("process.unknown", { id })} />;
  return (
    <>
      <PageHead
        title={definition.name || definition.definition_id}
        actions={
          <>
            <Select
              aria-label={t("col.version")}
              size="xs"
              w={130}
              allowDeselect={false}
              value={String(definition.version)}
              data={versions.data.items.map((d) => ({ value: String(d.version), label: `v${d.version}${d.version_tag ? ` · ${d.version_tag}` : ""}` }))}
              onChange={(v) => void navigate({ to: ".", search: { ...search, version: v ?? "" } })}
            />
            {mayDraw && (
              <Button size="xs" variant="default" onClick={() => void edit(definition)}>
                {t("process.edit")}
              </Button>
            )}
            <Button size="xs" leftSection={<Icon name="play" size={13} />} onClick={() => setStarting(true)} disabled={!may || definition.status !== "published"}>
              {t("process.start")}
            </Button>
          </>
        }
      >
        <Group gap="xs">
          <span className="fl-mono">{definition.definition_id}</span> <Status of={definition.status} /> <When at={definition.created_at} /> {definition.created_by}
        </Group>
      </PageHead>
      {error !== undefined && <Failed error={error} />}
      {search.tab !== "compare" && <Live definition={definition} />}
      <Tabs mt="md" keepMounted={false} value={search.tab ?? "versions"} onChange={(tab) => void navigate({ to: ".", search: { ...search, tab: tab ?? "" }, replace: true })}>
        <Tabs.List>
          <Tabs.Tab value="versions">{t("process.versions")}</Tabs.Tab>
          <Tabs.Tab value="compare">{t("process.compare")}</Tabs.Tab>
          <Tabs.Tab value="source">{t("process.source")}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="versions" pt="sm">
          <InService id={id} definition={definition.key} />
        </Tabs.Panel>
        <Tabs.Panel value="compare" pt="sm">
          <Compare versions={versions.data.items} shown={definition} />
        </Tabs.Panel>
        <Tabs.Panel value="source" pt="sm">
          <Source of={definition} />
        </Tabs.Panel>
      </Tabs>
      {starting !== undefined && <StartDialog definition={definition} opened={starting} close={() => setStarting(false)} />}
    </>
  );
}

function Source({ of }: { of: Definition }) {
  const q = useSource(of.key);
  return <Answer of={q}>{(text) => <pre className="fl-mono" style={{ overflow: "auto", maxHeight: 480 }} tabIndex={0}>{text}</pre>}</Answer>;
}

/** Where tokens wait now and where they are stuck, by element. */
function Live({ definition }: { definition: Definition }) {
  const t = useText();
  const navigate = useNavigate();
  const source = useDiagram(definition.key);
  const tasks = useQuery({ queryKey: ["process", definition.key, "tasks"], queryFn: ({ signal }) => get("/tasks", { definition: definition.key, open: true, limit: 500 }, signal) });
  const incidents = useQuery({ queryKey: ["process", definition.key, "incidents"], queryFn: ({ signal }) => get("/incidents", { definition: definition.key, status: "open", limit: 500 }, signal) });
  const runs = useInService(definition.key).data?.items?.find((v) => v.version === definition.version)?.instances;
  const badges = useMemo(() => {
    const found: Record<string, Badge> = {};
    const at = (element: string | null) => (found[element ?? ""] ??= {});
    for (const task of tasks.data?.items ?? []) at(task.element).active = (at(task.element).active ?? 0) + 1;
    for (const i of incidents.data?.items ?? []) at(i.element).incidents = (at(i.element).incidents ?? 0) + 1;
    return found;
  }, [tasks.data, incidents.data]);
  return (
    <>
      <Answer of={source}>
        {(xml) => (
          <Diagram xml={xml} process={definition.definition_id} badges={badges} label={t("process.diagram", { name: definition.name || definition.definition_id })} onSelect={(element) => element && badges[element]?.incidents && void navigate({ to: "/instances", search: { definition: definition.definition_id, has_incident: "true" } })} />
        )}
      </Answer>
      {runs && !runs.running && (
        <Text size="sm" c="dimmed" mt={4}>
          {t("process.norun")}
        </Text>
      )}
    </>
  );
}

import { Anchor, Button, Group, Text, TextInput } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import type { Definition } from "~/api/types";
import { useText } from "~/i18n";
import { useNarrow } from "~/shared/Folded";
import { Icon } from "~/shared/icons";
import { RowList, type Column } from "~/shared/RowList";
import { Empty, Listed, PageHead } from "~/shared/states";
import { Status } from "~/shared/Status";
import { TwoLines } from "~/shared/TwoLines";
import { When } from "~/shared/time";

/** Deployed processes, newest version each; a click opens the diagram with what runs on it. */
export function ProcessesPage() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const narrow = useNarrow();
  useRefreshOn({ type: "definition.*" }, [["/definitions"]]);
  const list = useList("/definitions", { kind: "process", latest: "true", name: search.name });
  const name: Column<Definition> = {
    key: "name",
    head: t("col.process"),
    width: "minmax(10rem, 3fr)",
    cell: (d) => (
      <Anchor renderRoot={(props) => <Link to="/processes/$id" params={{ id: d.definition_id }} {...props} />}>
        {d.name || d.definition_id}
      </Anchor>
    ),
  };
  return (
    <>
      <PageHead
        title={t("processes.title")}
      >
        {t("processes.what")}
      </PageHead>
      <Group mb="sm">
        <TextInput
          aria-label={t("processes.search")}
          placeholder={t("processes.search")}
          leftSection={<Icon name="search" size={15} />}
          value={search.name ?? ""}
          onChange={(e) => void navigate({ to: ".", search: { name: e.currentTarget.value }, replace: true })}
          w={280}
        />
      </Group>
      <Listed
        list={list}
        none={
          <Empty
            title={t(search.name ? "list.nothing" : "processes.none")}
            action={
              search.name ? (
                <Button size="xs" variant="light" onClick={() => void navigate({ to: ".", search: {} })}>
                  {t("list.clear")}
                </Button>
              ) : undefined
            }
          >
            {!search.name && <code>flowledger deploy model.bpmn</code>}
          </Empty>
        }
      >
        <RowList
          label={t("processes.title")}
          rows={list.rows}
          rowKey={(d) => d.key}
          onOpen={(d) => void navigate({ to: "/processes/$id", params: { id: d.definition_id } })}
          more={list.more}
          hasMore={list.hasNextPage}
          rowHeight={narrow ? 56 : undefined}
          columns={narrow ? [
            { ...name, width: "minmax(8rem, 1fr)", cell: (d) => <TwoLines status={<Status of={d.status} />} more={`${d.definition_id} · v${d.version}${d.version_tag ? ` (${d.version_tag})` : ""}`} aside={<When at={d.created_at} />}>{name.cell(d)}</TwoLines> },
          ] : [
            name,
            { key: "id", head: t("col.id"), width: "minmax(8rem, 2fr)", cell: (d) => <Text size="sm">{d.definition_id}</Text> },
            { key: "version", head: t("col.version"), width: "5rem", cell: (d) => `v${d.version}${d.version_tag ? ` (${d.version_tag})` : ""}` },
            { key: "status", head: t("col.status"), width: "8rem", cell: (d) => <Status of={d.status} /> },
            { key: "at", head: t("col.deployed"), width: "9rem", cell: (d) => <When at={d.created_at} /> },
          ]}
        />
      </Listed>
    </>
  );
}

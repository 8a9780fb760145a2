import { Anchor, Button, Group, Select, Switch, TextInput } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import type { InstanceRow } from "~/api/types";
import { useText } from "~/i18n";
import { Folded, useNarrow } from "~/shared/Folded";
import { Icon } from "~/shared/icons";
import { RowList, type Column } from "~/shared/RowList";
import { Empty, Listed, PageHead } from "~/shared/states";
import { SavedViews } from "~/shared/SavedViews";
import { useChosen } from "~/shared/Selected";
import { Status } from "~/shared/Status";
import { TwoLines } from "~/shared/TwoLines";
import { duration, When } from "~/shared/time";
import { Selected } from "./Selected";
import { Where } from "./Where";

const STATUSES = ["pending", "running", "suspended", "completed", "failed", "cancelled", "terminated"];

/** All runs. The address holds the whole filter: copy it, and another sees the same. */
export function InstancesPage() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const set = (more: Record<string, string | undefined>) => void navigate({ to: ".", search: { ...search, ...more } as Record<string, string>, replace: true });
  useRefreshOn({ type: "workflow.*" }, [["/instances", "list"]], 2000);
  const list = useList("/instances", search);
  const narrow = useNarrow();
  const filtered = Object.keys(search).length > 0;
  const choice = useChosen(list.rows);
  const variables = Object.entries(search).filter(([k]) => k.startsWith("var."));
  const status = (i: InstanceRow) => <Status of={i.has_incident && i.status === "running" ? "incident" : i.status} paused={i.paused} />;
  const name: Column<InstanceRow> = {
    key: "name",
    head: t("col.process"),
    width: "minmax(9rem, 2fr)",
    cell: (i) => (
      <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.id }} {...props} />}>
        {i.name || i.process} <small>v{i.version}</small>
      </Anchor>
    ),
  };
  return (
    <>
      <PageHead title={t("instances.title")} actions={<SavedViews page="instances" search={search} />}>{t("instances.what")}</PageHead>
      <Folded label={t("list.filter")} says={filtered}>
      <Group mb="sm" gap="xs" align="end">
        <TextInput label={t("instances.text")} placeholder={t("instances.text.hint")} type="search" size="xs" w={230} maxLength={200} defaultValue={search.text ?? ""} key={`t${search.text}`} onKeyDown={(e) => e.key === "Enter" && set({ text: e.currentTarget.value.trim() })} onBlur={(e) => e.currentTarget.value.trim() !== (search.text ?? "") && set({ text: e.currentTarget.value.trim() })} />
        <TextInput label={t("col.process")} size="xs" w={170} defaultValue={search.definition ?? ""} key={`d${search.definition}`} onKeyDown={(e) => e.key === "Enter" && set({ definition: e.currentTarget.value })} onBlur={(e) => e.currentTarget.value !== (search.definition ?? "") && set({ definition: e.currentTarget.value })} />
        <Select label={t("col.status")} size="xs" w={150} clearable data={STATUSES.map((s) => ({ value: s, label: t(`status.${s}`) }))} value={search.status ?? null} onChange={(v) => set({ status: v ?? undefined })} />
        <TextInput label={t("col.key")} size="xs" w={150} defaultValue={search.business_key ?? ""} key={`b${search.business_key}`} onKeyDown={(e) => e.key === "Enter" && set({ business_key: e.currentTarget.value })} onBlur={(e) => e.currentTarget.value !== (search.business_key ?? "") && set({ business_key: e.currentTarget.value })} />
        <Switch label={t("instances.stuck")} size="sm" mb={6} checked={search.has_incident === "true"} onChange={(e) => set({ has_incident: e.currentTarget.checked ? "true" : undefined })} />
        {filtered && (
          <Button size="xs" variant="subtle" onClick={() => void navigate({ to: ".", search: {} })}>
            {t("list.clear")}
          </Button>
        )}
      </Group>
      <Where where={search.where ?? ""} set={(where) => set({ where })} />
      </Folded>
      {variables.length > 0 && (
        <Group gap={6} mb="sm">
          {variables.map(([k, v]) => (
            <Button key={k} size="compact-xs" variant="light" rightSection={<Icon name="close" size={11} />} onClick={() => set({ [k]: undefined })} aria-label={t("instances.dropvar", { name: k })}>
              {k.slice(4)} = {v}
            </Button>
          ))}
        </Group>
      )}
      <Listed
        list={list}
        none={
          <Empty
            title={t(filtered ? "list.nothing" : "instances.none")}
            action={
              filtered ? (
                <Button size="xs" variant="light" onClick={() => void navigate({ to: ".", search: {} })}>
                  {t("list.clear")}
                </Button>
              ) : (
                <Button size="xs" variant="light" component={Link} to="/processes">
                  {t("home.runs.start")}
                </Button>
              )
            }
          />
        }
      >
        <>
        {(!narrow || filtered || choice.ids.length > 0) && <Selected ids={choice.ids} filter={search} clear={choice.clear} />}
        <RowList
          label={t("instances.title")}
          rows={list.rows}
          rowKey={(i) => i.id}
          onOpen={(i) => void navigate({ to: "/instances/$id", params: { id: i.id } })}
          more={list.more}
          hasMore={list.hasNextPage}
          rowHeight={narrow ? 56 : undefined}
          columns={narrow ? [
            choice.column,
            { ...name, width: "minmax(8rem, 1fr)", cell: (i) => <TwoLines status={status(i)} more={i.business_key || i.id} aside={<When at={i.started_at ?? i.created_at} />}>{name.cell(i)}</TwoLines> },
          ] : [
            choice.column,
            name,
            { key: "key", head: t("col.key"), width: "minmax(7rem, 1.5fr)", cell: (i) => i.business_key || "–" },
            { key: "status", head: t("col.status"), width: "9rem", cell: status },
            { key: "at", head: t("col.started"), width: "8rem", cell: (i) => <When at={i.started_at ?? i.created_at} /> },
            { key: "took", head: t("col.took"), width: "7rem", cell: (i) => <Took of={i} /> },
            { key: "id", head: t("col.id"), width: "minmax(8rem, 1fr)", cell: (i) => <span className="fl-mono">{i.id}</span> },
          ]}
        />
        </>
      </Listed>
    </>
  );
}

function Took({ of: i }: { of: InstanceRow }) {
  const end = i.completed_at ?? i.cancelled_at;
  if (!i.started_at) return <>–</>;
  return <>{duration((end ? Date.parse(end) : Date.now()) - Date.parse(i.started_at))}</>;
}

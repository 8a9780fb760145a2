import { Anchor, Button, Group, SegmentedControl, Select, Switch, Text, TextInput } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ApiError, get } from "~/api/client";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMe } from "~/api/me";
import type { TaskRow } from "~/api/types";
import { Folded, useNarrow } from "~/shared/Folded";
import { NameForm } from "~/shared/NameForm";
import { useText } from "~/i18n";
import { RowList, type Column } from "~/shared/RowList";
import { SavedViews } from "~/shared/SavedViews";
import { useChosen } from "~/shared/Selected";
import { Empty, Failed, Listed, PageHead, Waiting } from "~/shared/states";
import { Priority, Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Due } from "./due";
import { Selected } from "./Selected";
import { TellMe } from "./TellMe";

const PEOPLE = ["user_task", "human_task", "manual_task"];
const VIEWS = ["mine", "groups", "all"] as const;
type View = (typeof VIEWS)[number];

/** The groups of a person by the directory; null: the directory doesn't know the person. */
function useGroups(actor: string) {
  return useQuery({
    queryKey: ["directory", "users", actor],
    enabled: actor !== "",
    staleTime: 30_000,
    queryFn: async ({ signal }) => {
      try {
        const found = (await get(`/directory/${"users" as string}/${encodeURIComponent(actor)}`, {}, signal)) as { groups?: unknown };
        return Array.isArray(found.groups) ? (found.groups as string[]) : [];
      } catch (e) {
        if (e instanceof ApiError && e.status === 404) return null;
        throw e;
      }
    },
  });
}

/** What people have to do. The address holds view, filter and order. */
export function TasksPage() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const { actor } = useMe();
  const wide = useMediaQuery("(min-width: 62em)") ?? true; // below, the columns leave no room for when it is due
  const narrow = useNarrow();
  const set = (more: Record<string, string | undefined>) => void navigate({ to: ".", search: { ...search, ...more } as Record<string, string>, replace: true });
  const view: View = VIEWS.includes(search.view as View) ? (search.view as View) : actor ? "mine" : "all";
  const groups = useGroups(actor);
  const { view: _, ...filters } = search;
  const asked: Record<string, string | string[] | undefined> = { type: PEOPLE, open: search.open ?? "true", sort: search.sort ?? "due", ...filters };
  if (view === "mine") asked.assignee = actor;
  if (view === "groups") asked.any_group = groups.data ?? [];
  const ready = view === "all" || (actor !== "" && (view === "mine" || (groups.data?.length ?? 0) > 0));
  useRefreshOn({ type: "task.*" }, [["/tasks", "list"]], 1000);
  const filtered = Object.keys(filters).some((k) => k !== "sort" && k !== "open");
  const clear = () => void navigate({ to: ".", search: { view } });
  const field = (name: string, label: string, w: number) => (
    <TextInput label={label} size="xs" w={w} defaultValue={search[name] ?? ""} key={`${name}${search[name]}`} onKeyDown={(e) => e.key === "Enter" && set({ [name]: e.currentTarget.value })} onBlur={(e) => e.currentTarget.value !== (search[name] ?? "") && set({ [name]: e.currentTarget.value })} />
  );
  const views = <SegmentedControl size="xs" aria-label={t("tasks.view")} value={view} onChange={(v) => set({ view: v })} data={VIEWS.map((v) => ({ value: v, label: t(`tasks.${v}`) }))} />;
  return (
    <>
      <PageHead title={t("tasks.title")} actions={
        <>
          {actor !== "" && <TellMe />}
          <SavedViews page="tasks" search={search} />
        </>
      }>{t("tasks.what")}</PageHead>
      {narrow && <Group mb="sm">{views}</Group>}
      <Folded label={t("list.filter")} says={filtered}>
      <Group mb="sm" gap="xs" align="end">
        {!narrow && views}
        <Select label={t("tasks.sort")} size="xs" w={150} allowDeselect={false} value={search.sort ?? "due"} onChange={(v) => set({ sort: v ?? undefined })} data={["due", "priority", "created"].map((v) => ({ value: v, label: t(`tasks.sort.${v}`) }))} />
        {field("reference_starts", t("col.about"), 130)}
        {field("definition", t("col.process"), 150)}
        {view === "all" && field("assignee", t("col.who"), 110)}
        {view === "all" && field("candidate_group", t("tasks.group"), 110)}
        <Switch label={t("tasks.overdue")} size="sm" mb={6} checked={search.overdue === "true"} onChange={(e) => set({ overdue: e.currentTarget.checked ? "true" : undefined })} />
        <Switch label={t("tasks.done")} size="sm" mb={6} checked={search.open === "false"} onChange={(e) => set({ open: e.currentTarget.checked ? "false" : undefined })} />
        {filtered && (
          <Button size="xs" variant="subtle" onClick={clear}>
            {t("list.clear")}
          </Button>
        )}
      </Group>
      </Folded>
      {view !== "all" && actor === "" ? (
        <Empty title={t("tasks.who")} action={<NameForm button={(toggle) => <Button size="xs" onClick={toggle}>{t("shell.person.change")}</Button>} />}>
          {t("tasks.who.hint")}
        </Empty>
      ) : view === "groups" && groups.error ? (
        <Failed error={groups.error} again={() => void groups.refetch()} />
      ) : view === "groups" && groups.data !== undefined && !groups.data?.length ? (
        <Empty title={t(groups.data === null ? "tasks.unknown" : "tasks.nogroups", { name: actor })}>
          <code>{`PUT /v1/directory/users/${actor} {"groups": ["clerks"]}`}</code>
        </Empty>
      ) : ready ? (
        <Rows asked={asked} filtered={filtered} view={view} wide={wide} search={search} clear={clear} />
      ) : (
        <Waiting />
      )}
    </>
  );
}

function Rows({ asked, filtered, view, wide, search, clear }: { asked: Record<string, string | string[] | undefined>; filtered: boolean; view: View; wide: boolean; search: Record<string, string>; clear: () => void }) {
  const t = useText();
  const navigate = useNavigate();
  const list = useList("/tasks", asked);
  const done = asked.open === "false";
  const choice = useChosen(list.rows);
  const name: Column<TaskRow> = {
    key: "name",
    head: t("col.task"),
    width: wide ? "minmax(10rem, 2fr)" : "minmax(8rem, 1fr)",
    cell: (task) => (
      <>
        <Anchor renderRoot={(props) => <Link to="/tasks/$id" params={{ id: task.id }} search={search} {...props} />} className="fl-cut" display="block">
          {task.name || task.element}
        </Anchor>
        {!wide && (
          <Group gap="xs" wrap="nowrap" justify="space-between">
            <Text size="xs" c="dimmed" className="fl-cut">
              {[task.reference || task.process, task.assignee ?? t("tasks.nobody")].join(" · ")}
              {!task.reference && !task.due_at && (
                <>
                  {" · "}
                  <When at={task.created_at} />
                </>
              )}
            </Text>
            {task.due_at && (
              <div style={{ flex: "none" }}>
                <Due at={task.due_at} done={done} />
              </div>
            )}
          </Group>
        )}
      </>
    ),
  };
  const columns: Column<TaskRow>[] = wide
    ? [
        name,
        { key: "about", head: t("col.about"), width: "minmax(6rem, 1.2fr)", cell: (task) => <span className="fl-cut">{task.reference || "–"}</span> },
        { key: "process", head: t("col.process"), width: "minmax(8rem, 1.3fr)", cell: (task) => task.process ?? "–" },
        { key: "who", head: t("col.who"), width: "minmax(6rem, 1fr)", cell: (task) => task.assignee ?? <Text span size="sm" c="dimmed">{(task.candidate_groups ?? []).join(", ") || t("tasks.nobody")}</Text> },
        { key: "status", head: t("col.status"), width: "8rem", cell: (task) => <Status of={task.incident ? "incident" : task.status} /> },
        { key: "priority", head: t("col.priority"), width: "6rem", cell: (task) => <Priority of={task.priority} /> },
        { key: "due", head: t("col.due"), width: "9.75rem", cell: (task) => <Due at={task.due_at} done={done} /> },
        { key: "at", head: t("col.created"), width: "7rem", cell: (task) => <When at={task.created_at} /> },
      ]
    : [name];
  const none = (
    <Empty
      title={t(filtered ? "list.nothing" : `tasks.none.${view}`)}
      action={
        filtered ? (
          <Button size="xs" variant="light" onClick={clear}>
            {t("list.clear")}
          </Button>
        ) : view !== "all" ? (
          <Button size="xs" variant="light" onClick={() => void navigate({ to: ".", search: { view: view === "mine" ? "groups" : "all" } })}>
            {t(view === "mine" ? "tasks.togroups" : "tasks.toall")}
          </Button>
        ) : undefined
      }
    >
      {t("home.mine.hint")}
    </Empty>
  );
  return (
    <Listed list={list} none={none}>
      <>
        {!done && <Selected ids={choice.ids} clear={choice.clear} />}
        <RowList label={t("tasks.title")} rows={list.rows} rowKey={(task) => task.id} rowHeight={wide ? 40 : 56} onOpen={(task) => void navigate({ to: "/tasks/$id", params: { id: task.id }, search })} more={list.more} hasMore={list.hasNextPage} columns={done ? columns : [choice.column, ...columns]} />
      </>
    </Listed>
  );
}

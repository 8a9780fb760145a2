import { Button, Group, SegmentedControl, TextInput } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { query } from "~/api/client";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useText } from "~/i18n";
import { Cards } from "~/shared/Cards";
import { IncidentCard } from "~/shared/IncidentCard";
import { SavedViews } from "~/shared/SavedViews";
import { Empty } from "~/shared/states";
import { Causes } from "./Causes";

/** The list that this part shows at first, as it is asked for. */
export function firstOf({ by, status = "open", definition, code, group }: Record<string, string | undefined>): string[] {
  return [by === "each" ? `/incidents${query({ limit: 100, status, definition, code, group })}` : `/incidents/groups${query({ limit: 100, status, definition, code })}`];
}

/** Incidents of all instances, each with its way out. */
export function OpenIncidents() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const set = (more: Record<string, string | undefined>) => void navigate({ to: ".", search: { ...search, ...more } as Record<string, string>, replace: true });
  const status = search.status ?? "open";
  const byCause = search.by !== "each";
  const filtered = Boolean(search.definition || search.code || search.group);
  const field = (name: string, label: string) => (
    <TextInput label={label} size="xs" w={190} defaultValue={search[name] ?? ""} key={`${name}${search[name]}`} onKeyDown={(e) => e.key === "Enter" && set({ [name]: e.currentTarget.value })} onBlur={(e) => e.currentTarget.value !== (search[name] ?? "") && set({ [name]: e.currentTarget.value })} />
  );
  return (
    <>
      <Group mb="sm" align="end" gap="xs">
        <SegmentedControl size="xs" aria-label={t("causes.by")} value={byCause ? "cause" : "each"} onChange={(v) => set({ by: v, group: undefined })} data={["cause", "each"].map((v) => ({ value: v, label: t(`causes.by.${v}`) }))} />
        <SegmentedControl size="xs" aria-label={t("col.status")} value={status} onChange={(v) => set({ status: v })} data={["open", "resolved"].map((s) => ({ value: s, label: t(`status.${s}`) }))} />
        {field("definition", t("col.process"))}
        {field("code", t("operations.code"))}
        <SavedViews page="incidents" search={search} />
      </Group>
      {byCause ? (
        <Causes definition={search.definition} code={search.code} status={status} />
      ) : (
        <Each asked={{ status, definition: search.definition, code: search.code, group: search.group }} clear={filtered ? () => set({ definition: undefined, code: undefined, group: undefined }) : undefined} />
      )}
    </>
  );
}

/** One by one; `clear`: takes the filters away. */
function Each({ asked, clear }: { asked: Record<string, string | undefined>; clear?: () => void }) {
  const t = useText();
  const list = useList("/incidents", asked);
  useRefreshOn({ type: "incident.*" }, [["/incidents", "list"]], 1000);
  return (
    <Cards
      of={list}
      empty={
        <Empty
          title={t(clear ? "list.nothing" : "home.stuck.none")}
          action={
            clear && (
              <Button size="xs" variant="light" onClick={clear}>
                {t("list.clear")}
              </Button>
            )
          }
        />
      }
    >
      {(i) => <IncidentCard of={i} linked />}
    </Cards>
  );
}

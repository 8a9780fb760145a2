import { Badge, Button, Group, Paper, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Cards } from "~/shared/Cards";
import { Json } from "~/shared/Json";
import { Empty } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Parked } from "./Parked";
import { Runs } from "./Runs";
import { Try } from "./Try";

export type Trigger = RowOf<"/triggers">;
const PARTS = { runs: Runs, parked: Parked } as const;
type Part = keyof typeof PARTS;

/** What lets the world begin something: how each is, what it did, what it could not use; tried, paused, resumed. */
export function Triggers() {
  const t = useText();
  const list = useList("/triggers", {});
  useRefreshOn({ type: "trigger.*" }, [["/triggers", "list"]], 500);
  return (
    <Cards of={{ ...list, rows: list.rows.filter((row) => row.status !== "deleted") }} empty={<Empty title={t("triggers.none")}>{t("triggers.none.hint")}</Empty>}>
      {(trigger) => <TriggerCard of={trigger} />}
    </Cards>
  );
}

function TriggerCard({ of: trigger }: { of: Trigger }) {
  const t = useText();
  const may = useMay("trigger", trigger);
  const client = useQueryClient();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const [asked, setAsked] = useState<"pause" | "resume" | "try">();
  const open = search.trigger === trigger.name ? ((search.part ?? "runs") as Part) : undefined;
  const show = (part: Part) => void navigate({ to: ".", search: { tab: "triggers", ...(open === part ? {} : { trigger: trigger.name, part }) } as Record<string, string>, replace: true });
  const move = trigger.status === "paused" ? "resume" : "pause";
  const Shown = open && PARTS[open];
  const go = async (reason: string) => {
    await send("POST", `/triggers/${encodeURIComponent(trigger.name)}/${move}` as `/triggers/${string}/pause`, { reason });
    await client.invalidateQueries({ queryKey: ["/triggers"] });
  };
  const counts = (["ran", "seen", "filtered"] as const).filter((k) => trigger[k] > 0 || k === "ran");
  return (
    <Paper withBorder p="sm" mb="xs" role="group" aria-label={trigger.name}>
      <Group gap="xs">
        <Text fw={600}>{trigger.name}</Text>
        <Status of={trigger.status} />
        {trigger.source && <Badge size="sm" variant="light" color="gray" tt="none">{trigger.source}</Badge>}
      </Group>
      <Group gap="md" mt={4}>
        {counts.map((k) => (
          <Text key={k} size="sm">
            {t(`triggers.${k}`, { n: trigger[k] })}
          </Text>
        ))}
        {trigger.parked > 0 && <Text size="sm" c="red">{t("triggers.parked.count", { n: trigger.parked })}</Text>}
        {trigger.rate > 0 && <Text size="sm">{t("triggers.rate", { n: trigger.rate })}</Text>}
        {trigger.lag != null && <Text size="sm">{t("triggers.lag", { n: trigger.lag })}</Text>}
        {trigger.last_at && (
          <Text size="sm">
            {t("triggers.last")} <When at={trigger.last_at} />
          </Text>
        )}
        {trigger.next_at && (
          <Text size="sm">
            {t("triggers.next")} <When at={trigger.next_at} />
          </Text>
        )}
        {trigger.node && <Text size="sm">{t("triggers.node", { node: trigger.node })}</Text>}
      </Group>
      {trigger.error && (
        <Text size="sm" c="red" style={{ overflowWrap: "anywhere" }}>
          {t("triggers.error", { error: trigger.error })}
        </Text>
      )}
      {trigger.skipped_from && (
        <Text size="sm">
          {t("triggers.skipped")} <When at={trigger.skipped_from} />
        </Text>
      )}
      {trigger.status === "paused" && (trigger.reason || trigger.changed_by) && <Text size="sm">{[trigger.changed_by, trigger.reason].filter(Boolean).join(": ")}</Text>}
      {trigger.sample != null && (
        <details>
          <Text component="summary" size="sm" style={{ cursor: "pointer" }}>
            {t("triggers.sample")}
          </Text>
          <Json value={trigger.sample} />
        </details>
      )}
      <Group gap="xs" mt="xs">
        {(Object.keys(PARTS) as Part[]).map((part) => (
          <Button key={part} size="compact-sm" variant="default" aria-expanded={open === part} onClick={() => show(part)}>
            {t(`triggers.show.${part}`)}
          </Button>
        ))}
        {trigger.definition && (
          <Button size="compact-sm" variant="default" onClick={() => setAsked("try")}>
            {t("triggers.try")}
          </Button>
        )}
        {may && trigger.status !== "inactive" && (
          <Button size="compact-sm" variant="default" onClick={() => setAsked(move)}>
            {t(`triggers.${move}`)}
          </Button>
        )}
      </Group>
      {Shown && <Shown of={trigger} />}
      {asked === "try" && <Try of={trigger} close={() => setAsked(undefined)} />}
      {asked && asked !== "try" && <Ask title={t(`triggers.${asked}`)} what={t(`triggers.${asked}.what`)} close={() => setAsked(undefined)} go={go} />}
    </Paper>
  );
}

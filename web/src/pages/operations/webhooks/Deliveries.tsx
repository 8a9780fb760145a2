import { Anchor, Button, Group, SegmentedControl, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useRows } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { WebhookDelivery } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { RowList } from "~/shared/RowList";
import { Status } from "~/shared/Status";
import { Listed } from "~/shared/states";
import { duration, When } from "~/shared/time";
import type { Webhook } from "./wish";

const OUTCOMES = ["", "delivered", "waits", "dead", "failed"];
const TEST = "webhook.test";

/** Each attempt, the newest first; any event can be sent again. */
export function Deliveries({ of: hook }: { of: Webhook }) {
  const t = useText();
  const may = useMay("hook");
  const client = useQueryClient();
  const [outcome, setOutcome] = useState("");
  const [event, setEvent] = useState("");
  const [again, setAgain] = useState<string>();
  const path = `/webhooks/${encodeURIComponent(hook.name)}`;
  const list = useRows<WebhookDelivery>(`${path}/deliveries`, { outcome: outcome || undefined, event: event.trim() || undefined });
  useRefreshOn({ type: "webhook.*" }, [[`${path}/deliveries`, "list"]], 700);
  return (
    <>
      <Group my="xs" gap="xs" align="end">
        <SegmentedControl size="xs" aria-label={t("hooks.outcome")} value={outcome} onChange={setOutcome} data={OUTCOMES.map((v) => ({ value: v, label: v ? t(`status.${v}`) : t("hooks.outcome.all") }))} />
        <TextInput size="xs" w={140} aria-label={t("hooks.event")} placeholder={t("hooks.event")} value={event} onChange={(e) => setEvent(e.currentTarget.value)} />
      </Group>
      <Listed list={list} none={<Text size="sm">{t(outcome || event ? "list.nothing" : "hooks.deliveries.none")}</Text>}>
        <RowList
          label={t("hooks.show.deliveries")}
          rows={list.rows}
          rowKey={(d) => d.id}
          more={list.more}
          hasMore={list.hasNextPage}
          height="360px"
          columns={[
            { key: "at", phone: "aside", head: t("triggers.col.at"), width: "9rem", cell: (d) => <When at={d.created_at ?? null} /> },
            { key: "outcome", phone: "status", head: t("hooks.outcome"), width: "8rem", cell: (d) => <Status of={d.outcome} /> },
            { key: "code", phone: "more", head: t("hooks.code"), width: "8rem", cell: (d) => <span className="fl-mono">{d.code || d.status || "–"}</span> },
            { key: "type", phone: "title", head: t("hooks.type"), width: "minmax(10rem, 2fr)", cell: (d) => d.type },
            { key: "event", head: t("hooks.event"), width: "7rem", cell: (d) => <span className="fl-mono">{d.event}</span> },
            { key: "instance", phone: "more", head: t("triggers.col.instance"), width: "11rem", cell: (d) => (d.instance ? <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: d.instance! }} {...props} />}>{d.instance}</Anchor> : "–") },
            { key: "attempt", head: t("hooks.attempt"), width: "5rem", cell: (d) => d.attempt },
            { key: "ms", head: t("col.took"), width: "5rem", cell: (d) => (d.ms == null ? "–" : duration(d.ms)) },
            { key: "next", head: t("hooks.next"), width: "9rem", cell: (d) => (d.next_at ? <When at={d.next_at} /> : "–") },
            {
              key: "again",
              phone: "act",
              head: "",
              width: "8.5rem",
              cell: (d) =>
                may &&
                d.type !== TEST && (
                  <Button size="compact-xs" variant="default" aria-label={t("hooks.again.of", { event: d.event })} onClick={() => setAgain(d.event)}>
                    {t("hooks.again")}
                  </Button>
                ),
            },
          ]}
        />
      </Listed>
      {again && (
        <Ask
          title={t("hooks.again")}
          what={t("hooks.again.what", { event: again })}
          close={() => setAgain(undefined)}
          go={async (reason) => {
            const { outcomes } = await send("POST", `${path}/redeliver` as `/webhooks/${string}/redeliver`, { ids: [again], reason });
            const came = outcomes[again];
            notifications.show({ message: t(`hooks.came.${came === "redelivered" || came === "no_room" ? came : "not_found"}`), color: came === "redelivered" ? "teal" : "yellow" });
            await client.invalidateQueries({ queryKey: [`${path}/deliveries`] });
          }}
        />
      )}
    </>
  );
}

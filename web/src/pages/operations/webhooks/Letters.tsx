import { Anchor, Button, Group, SegmentedControl, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useRows } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { WebhookLetter } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Cards, TroubleCard } from "~/shared/Cards";
import type { Webhook } from "./wish";

const SHOWN = ["open", "redelivered", "discarded"];
type Way = "redeliver" | "discard";

/** What nobody took: sent again, or discarded; one, or all that are open. */
export function Letters({ of: hook }: { of: Webhook }) {
  const t = useText();
  const may = useMay("hook");
  const client = useQueryClient();
  const [status, setStatus] = useState("open");
  /** no id: all */
  const [asked, setAsked] = useState<{ way: Way; id?: string }>();
  const path = `/webhooks/${encodeURIComponent(hook.name)}`;
  const list = useRows<WebhookLetter>(`${path}/dead-letters`, { status });
  useRefreshOn({ type: "webhook.*" }, [[`${path}/dead-letters`, "list"]], 700);
  const go = async (reason: string) => {
    const { way, id } = asked!;
    const { outcomes } = await send("POST", `${path}/${way}` as `/webhooks/${string}/redeliver`, id ? { ids: [id], reason } : { dead: true, reason });
    const left = Object.values(outcomes).filter((o) => o === "no_room").length;
    notifications.show({ message: left ? t("hooks.came.left", { n: left }) : t(`hooks.${way}.done`), color: left ? "yellow" : "teal" });
    await client.invalidateQueries({ queryKey: [`${path}/dead-letters`] });
    await client.invalidateQueries({ queryKey: ["/webhooks"] });
  };
  const ways = (id?: string) =>
    may &&
    (["redeliver", "discard"] as const).map((way) => (
      <Button key={way} size="compact-sm" variant={way === "redeliver" && id ? "filled" : "default"} onClick={() => setAsked({ way, id })}>
        {t(id ? `hooks.${way}` : `hooks.${way}.all`)}
      </Button>
    ));
  return (
    <>
      <Group my="xs" gap="xs">
        <SegmentedControl size="xs" aria-label={t("col.status")} value={status} onChange={setStatus} data={SHOWN.map((s) => ({ value: s, label: t(`status.${s}`) }))} />
        {status === "open" && list.rows.length > 1 && ways()}
      </Group>
      <Cards of={list} empty={<Text size="sm">{t("hooks.letters.none")}</Text>}>
        {(letter) => (
          <TroubleCard
            title={`${letter.type} · ${letter.event}`}
            status={letter.status}
            since={letter.created_at ?? null}
            ended={letter.closed_at}
            by={letter.closed_by}
            message={t("hooks.letter", { code: letter.code, n: letter.attempt })}
            about={
              letter.instance ? (
                <Anchor size="xs" renderRoot={(props) => <Link to="/instances/$id" params={{ id: letter.instance! }} {...props} />}>
                  {letter.process} {letter.instance}
                </Anchor>
              ) : undefined
            }
          >
            {letter.reason && <Text size="sm">{t("letters.reason", { reason: letter.reason })}</Text>}
            {letter.status === "open" && (
              <Group gap="xs" mt="xs">
                {ways(letter.event)}
              </Group>
            )}
          </TroubleCard>
        )}
      </Cards>
      {asked && <Ask title={t(`hooks.${asked.way}`)} what={t(`hooks.${asked.way}.what.${asked.id ? "one" : "all"}`, { event: asked.id ?? "" })} danger={asked.way === "discard"} close={() => setAsked(undefined)} go={go} />}
    </>
  );
}

import { Button, Code, Group, SegmentedControl, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "~/api/client";
import { useRows } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { TriggerLetter } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Cards, TroubleCard } from "~/shared/Cards";
import type { Trigger } from "./Triggers";

const SHOWN = ["open", "replayed", "discarded"];
type Way = "replay" | "discard";
/** Items that one request settles at most (`SettleBody`). */
const AT_ONCE = 100;

/** What it could not use, and why: replayed after a change, or discarded; one, or all that are shown. */
export function Parked({ of: trigger }: { of: Trigger }) {
  const t = useText();
  const may = useMay("trigger", trigger);
  const client = useQueryClient();
  const [status, setStatus] = useState("open");
  const [asked, setAsked] = useState<{ way: Way; ids: string[] }>();
  const path = `/triggers/${encodeURIComponent(trigger.name)}/dead-letters`;
  const list = useRows<TriggerLetter>(path, { status });
  useRefreshOn({ type: "trigger.*" }, [[path, "list"]], 500);
  const all = list.rows.slice(0, AT_ONCE).map((r) => r.id);
  const go = async (reason: string) => {
    const { way, ids } = asked!;
    const { outcomes } = (await send("POST", `${path}/${way}` as `/triggers/${string}/dead-letters/replay`, { ids, reason })) as { outcomes: Record<string, { outcome?: string } | string> };
    const still = Object.values(outcomes).filter((o) => (typeof o === "string" ? o : o.outcome) === "parked").length;
    notifications.show({ message: still ? t("triggers.still", { n: still }) : t(`triggers.${way}.done`), color: still ? "yellow" : "teal" });
    await client.invalidateQueries({ queryKey: [path] });
    await client.invalidateQueries({ queryKey: ["/triggers"] });
  };
  const ways = (ids: string[], several = false) =>
    may &&
    ids.length > 0 &&
    (["replay", "discard"] as const).map((way) => (
      <Button key={way} size="compact-sm" variant={way === "replay" && !several ? "filled" : "default"} onClick={() => setAsked({ way, ids })}>
        {t(several ? `triggers.${way}.all` : `triggers.${way}`, { n: ids.length })}
      </Button>
    ));
  return (
    <>
      <Group my="xs" gap="xs">
        <SegmentedControl size="xs" aria-label={t("col.status")} value={status} onChange={setStatus} data={SHOWN.map((s) => ({ value: s, label: t(`status.${s}`) }))} />
        {status === "open" && all.length > 1 && ways(all, true)}
      </Group>
      <Cards of={list} empty={<Text size="sm">{t("triggers.parked.none")}</Text>}>
        {(letter) => (
          <TroubleCard title={letter.code} status={letter.status} since={letter.created_at ?? null} ended={letter.closed_at} by={letter.closed_by} message={letter.message} about={letter.item ? <Text size="xs" className="fl-mono">{letter.item}</Text> : undefined}>
            {letter.reason && <Text size="sm">{t("letters.reason", { reason: letter.reason })}</Text>}
            <Code block mt={4} tabIndex={0} style={{ maxHeight: 160, overflow: "auto", whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
              {letter.context == null ? t("triggers.parked.large") : JSON.stringify(letter.context, null, 2)}
            </Code>
            {letter.status === "open" && (
              <Group gap="xs" mt="xs">
                {ways([letter.id])}
              </Group>
            )}
          </TroubleCard>
        )}
      </Cards>
      {asked && <Ask title={t(`triggers.${asked.way}`)} what={t(`triggers.${asked.way}.what`, { n: asked.ids.length })} danger={asked.way === "discard"} close={() => setAsked(undefined)} go={go} />}
    </>
  );
}

import { Badge } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get } from "~/api/client";
import type { HistoryEvent } from "~/api/types";
import { useText } from "~/i18n";
import { brief, Json } from "~/shared/Json";
import { saidIn } from "~/shared/Comments";
import { RowList } from "~/shared/RowList";
import { Empty, Failed } from "~/shared/states";
import { When } from "~/shared/time";

/** All events of one instance, in the order of the log; what is known is kept, only newer ones are asked for. */
export function useHistory(id: string) {
  const [kept] = useState<{ id: string; events: HistoryEvent[] }>({ id, events: [] });
  const q = useQuery({
    queryKey: ["instance", id, "events"],
    queryFn: async ({ signal }) => {
      if (kept.id !== id) Object.assign(kept, { id, events: [] });
      const events = [...kept.events];
      const seen = new Set(events.map((e) => e.id));
      for (;;) {
        const page = await get(`/instances/${id}/events`, { after: events.at(-1)?.id, limit: 1000 }, signal);
        for (const e of page.items) if (!seen.has(e.id)) events.push(e);
        if (page.items.length >= 1000) continue;
        kept.events = events;
        return { events, position: page.position };
      }
    },
  });
  return { events: q.data?.events ?? [], error: q.error, refetch: q.refetch };
}

/** What the engine does by itself: no act of anybody, though it carries the name of whom it came of. */
const INNER = new Set(["flow.taken", "element.activated", "element.completed", "element.gateway_reached", "element.noted", "timer.scheduled", "timer.cancelled", "subscription.opened", "subscription.closed", "task.created", "task.leased", "loop.started", "loop.item_completed", "decision.evaluated", "compensation.recorded", "message.awaited", "message.unawaited"]);

/** All events; `audit`: who did what, with the reasons given; `names`: of elements and flows, by id. */
export function History({ events, element, at, onAt, error, names, audit = false }: { audit?: boolean; names?: Map<string, string>; events: HistoryEvent[]; element?: string; at?: string; onAt: (position: string) => void; error: unknown }) {
  const t = useText();
  const [open, setOpen] = useState<HistoryEvent>();
  if (error && events.length === 0) return <Failed error={error} />;
  const of = audit ? events.filter((e) => !INNER.has(e.type) && (e.data.reason || e.actor)) : events;
  const rows = element ? of.filter((e) => [e.data.element, e.data.source, e.data.target].includes(element)) : of;
  if (rows.length === 0) return <Empty title={t("instance.history.none")} />;
  return (
    <>
      <RowList
        label={t("instance.history")}
        rows={rows}
        rowKey={(e) => e.id}
        height="40dvh"
        rowHeight={32}
        onOpen={(e) => {
          setOpen(e);
          onAt(e.id);
        }}
        columns={[
          { key: "id", phone: "more", head: t("col.position"), width: "6rem", cell: (e) => <span className="fl-mono">{e.id === at ? `▸ ${e.id}` : e.id}</span> },
          { key: "at", phone: "aside", head: t("col.time"), width: "11rem", cell: (e) => <When at={e.time} exact /> },
          {
            key: "type",
              phone: "title",
            head: t("col.event"),
            width: "12rem",
            cell: (e) => (
              <Badge variant="light" size="sm" tt="none" color={e.type.includes("incident") || e.type.includes("failed") ? "red" : e.type.startsWith("task") ? "blue" : "gray"}>
                <span title={e.type}>{t(`event.${e.type}`)}</span>
              </Badge>
            ),
          },
          { key: "what", phone: "more", head: t("col.what"), width: "minmax(8rem, 1fr)", cell: (e) => <span className="fl-cut">{(audit && (e.data.reason || e.type.endsWith(".commented")) ? saidIn(e) : [e.data.element, e.data.flow].filter(Boolean).map((x) => names?.get(String(x)) ?? String(x)).join(" ")) || brief(e.data, 90)}</span> },
          { key: "who", phone: "status", head: t("col.who"), width: "7rem", cell: (e) => e.actor || "–" },
        ]}
      />
      {open && <Json value={open} height={240} />}
    </>
  );
}

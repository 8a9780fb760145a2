import { Anchor, Button, Group, Paper, Progress, SegmentedControl, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useList, useRows } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { BatchItem, RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { useServerText } from "~/i18n/refusals";
import { Ask } from "~/shared/Ask";
import { Cards } from "~/shared/Cards";
import { RowList } from "~/shared/RowList";
import { Empty, Listed } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";

type Batch = RowOf<"/batches">;
const MOVES = { pause: ["running"], resume: ["paused"], abort: ["collecting", "running", "paused"] } as const;
type Move = keyof typeof MOVES;

/** What is done to many things at once: how far each is, and what came of each item. */
export function Batches() {
  const t = useText();
  const list = useList("/batches", {});
  useRefreshOn({ type: "batch.*" }, [["/batches", "list"]], 500);
  return (
    <Cards of={list} empty={<Empty title={t("batches.none")}>{t("batches.none.hint")}</Empty>}>
      {(batch) => <BatchCard of={batch} />}
    </Cards>
  );
}

function BatchCard({ of: batch }: { of: Batch }) {
  const t = useText();
  const may = useMay("batches", batch);
  const client = useQueryClient();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const [move, setMove] = useState<Move>();
  const open = search.batch === batch.id;
  const done = batch.succeeded + batch.failed + batch.skipped;
  const share = (n: number) => (batch.total ? (100 * n) / batch.total : 100);
  const go = async (reason: string) => {
    await send("POST", `/batches/${batch.id}/${move!}` as `/batches/${string}/pause`, { reason });
    await client.invalidateQueries({ queryKey: ["/batches"] });
  };
  const filter = Object.entries((batch.filter ?? {}) as Record<string, unknown>);
  return (
    <Paper withBorder p="sm" mb="xs" role="group" aria-label={t("batches.name", { action: t(`batch.${batch.action}`), id: batch.id })}>
      <Text fw={600}>{t(`batch.${batch.action}`)}</Text>
      <Group gap="xs">
        <Status of={batch.status} />
        <Text size="sm">{t("batches.done", { done, total: batch.total })}</Text>
        {batch.failed > 0 && <Text size="sm" c="red">{t("batches.failed", { n: batch.failed })}</Text>}
        {batch.skipped > 0 && <Text size="sm">{t("batches.skipped", { n: batch.skipped })}</Text>}
        <Text size="sm">
          <When at={batch.created_at} /> {batch.created_by}
        </Text>
      </Group>
      <Progress.Root size="lg" mt={6} mb={6}>
        <Progress.Section value={share(batch.succeeded)} color="teal" aria-label={t("status.succeeded")} />
        <Progress.Section value={share(batch.failed)} color="red" aria-label={t("status.failed")} />
        <Progress.Section value={share(batch.skipped)} color="gray" aria-label={t("status.skipped")} />
      </Progress.Root>
      {filter.length > 0 && <Text size="sm">{filter.map(([k, v]) => `${k}=${String(v)}`).join(", ")}</Text>}
      {batch.reason && <Text size="sm">{batch.reason}</Text>}
      {batch.note && <Text size="sm">{[batch.controlled_by, batch.note].filter(Boolean).join(": ")}</Text>}
      <Group gap="xs" mt="xs">
        <Button size="compact-sm" variant="default" aria-expanded={open} onClick={() => void navigate({ to: ".", search: { tab: "batches", ...(open ? {} : { batch: batch.id }) } as Record<string, string>, replace: true })}>
          {t("batches.items")}
        </Button>
        {may &&
          (Object.keys(MOVES) as Move[])
            .filter((m) => (MOVES[m] as readonly string[]).includes(batch.status))
            .map((m) => (
              <Button key={m} size="compact-sm" variant="default" onClick={() => setMove(m)}>
                {t(`batches.${m}`)}
              </Button>
            ))}
      </Group>
      {open && <Items of={batch} />}
      {move && <Ask title={t(`batches.${move}`)} what={t(`batches.${move}.what`)} danger={move === "abort"} close={() => setMove(undefined)} go={go} />}
    </Paper>
  );
}

const SHOWN = ["all", "succeeded", "failed", "skipped", "pending"];

function Items({ of: batch }: { of: Batch }) {
  const t = useText();
  const say = useServerText();
  const [status, setStatus] = useState("all");
  const list = useRows<BatchItem>(`/batches/${batch.id}/items`, { status: status === "all" ? undefined : status });
  useRefreshOn({ type: "batch.*" }, [[`/batches/${batch.id}/items`, "list"]], 1000);
  return (
    <>
      <SegmentedControl size="xs" my="xs" aria-label={t("col.status")} value={status} onChange={setStatus} data={SHOWN.map((s) => ({ value: s, label: s === "all" ? t("batches.all") : t(`status.${s}`) }))} />
      <Listed list={list} none={<Text size="sm">{t("list.nothing")}</Text>}>
        <RowList
          label={t("batches.items")}
          rows={list.rows}
          rowKey={(i) => String(i.number)}
          more={list.more}
          hasMore={list.hasNextPage}
          height="360px"
          columns={[
            { key: "id", phone: "title", head: t("col.id"), width: "minmax(9rem, 1fr)", cell: (i) => (batch.list === "instances" ? <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.id }} {...props} />}>{i.id}</Anchor> : <span className="fl-mono">{i.id}</span>) },
            { key: "status", phone: "status", head: t("col.status"), width: "9rem", cell: (i) => <Status of={i.status} /> },
            { key: "why", phone: "more", head: t("batches.why"), width: "minmax(12rem, 3fr)", cell: (i) => [i.code, i.message && say(i.message)].filter(Boolean).join(": ") || "–" },
          ]}
        />
      </Listed>
    </>
  );
}

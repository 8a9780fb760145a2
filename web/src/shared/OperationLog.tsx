import { Anchor, Badge, Group, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import type { RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { useServerText } from "~/i18n/refusals";
import { Json } from "./Json";
import { RowList } from "./RowList";
import { Answer, Empty } from "./states";
import { When } from "./time";

type Operation = RowOf<"/operations">;
interface Props {
  /** Filters of `GET /operations`. */
  filters: Record<string, string | undefined>;
  /** Where one instance is shown: to look at it as it was at a position. */
  onAt?: (position: string) => void;
  height?: string;
}

/** Who asked for what, granted and refused, newest first; a row opens with all that is known of it. */
export function OperationLog({ filters, onAt, height }: Props) {
  const t = useText();
  const say = useServerText();
  const [open, setOpen] = useState<Operation>();
  const list = useList("/operations", filters);
  useRefreshOn({ type: "operation.*" }, [["/operations", "list"]], 500);
  return (
    <>
      <Answer of={list} empty={() => list.rows.length === 0 && <Empty title={t("log.none")}>{t("log.none.hint")}</Empty>}>
        {() => (
          <RowList
            label={t("operations.log")}
            rows={list.rows}
            rowKey={(o) => o.id}
            height={height ?? "50dvh"}
            rowHeight={36}
            more={list.more}
            hasMore={list.hasNextPage}
            onOpen={setOpen}
            columns={[
              { key: "time", phone: "aside", head: t("col.time"), width: "11rem", cell: (o) => <When at={o.time} exact /> },
              { key: "who", phone: "more", head: t("col.who"), width: "8rem", cell: (o) => o.actor || "–" },
              { key: "what", phone: "title", head: t("col.what"), width: "12rem", cell: (o) => <span className="fl-mono fl-cut">{o.operation}</span> },
              { key: "about", phone: "more", head: t("log.about"), width: "minmax(10rem, 1fr)", cell: (o) => <span className="fl-cut">{about(o)}</span> },
              { key: "outcome", phone: "status", head: t("log.outcome"), width: "7rem", cell: (o) => <Outcome of={o} /> },
              { key: "why", head: t("log.why"), width: "minmax(10rem, 1fr)", cell: (o) => <span className="fl-cut">{o.outcome === "refused" ? (o.message && say(o.message)) || o.code : o.reason}</span> },
              { key: "from", head: t("log.from"), width: "9rem", cell: (o) => <span className="fl-cut">{[o.door, o.address].filter(Boolean).join(" ") || "–"}</span> },
            ]}
          />
        )}
      </Answer>
      {open && <Shown of={open} onAt={onAt} />}
    </>
  );
}

const about = (o: Operation) => [o.kind, o.subject, o.names?.join(", ")].filter(Boolean).join(" ");

function Outcome({ of: o }: { of: Operation }) {
  const t = useText();
  const refused = o.outcome === "refused";
  return (
    <Badge size="sm" variant="light" tt="none" color={refused ? "red" : "teal"}>
      {t(refused ? "log.refused" : "log.granted")}
    </Badge>
  );
}

function Shown({ of: o, onAt }: { of: Operation; onAt?: (position: string) => void }) {
  const t = useText();
  return (
    <section aria-label={t("log.shown")}>
      <Group gap="md" my="xs">
        <Text size="sm" fw={600}>
          {o.operation} {o.subject}
        </Text>
        {o.instance &&
          (["before", "after"] as const).map((word) => {
            const at = o[word];
            if (!at) return null;
            return onAt ? (
              <Anchor key={word} component="button" size="sm" onClick={() => onAt(at)}>
                {t(`log.${word}`)}
              </Anchor>
            ) : (
              <Anchor key={word} size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: o.instance! }} search={{ at } as never} {...props} />}>
                {t(`log.${word}`)}
              </Anchor>
            );
          })}
      </Group>
      <Json value={o} height={240} />
    </section>
  );
}

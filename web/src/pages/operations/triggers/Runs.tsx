import { Anchor, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useRows } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import type { TriggerRun } from "~/api/types";
import { useText } from "~/i18n";
import { RowList } from "~/shared/RowList";
import { Listed } from "~/shared/states";
import { When } from "~/shared/time";
import type { Trigger } from "./Triggers";

/** What each of its items did, the newest first. */
export function Runs({ of: trigger }: { of: Trigger }) {
  const t = useText();
  const path = `/triggers/${encodeURIComponent(trigger.name)}/runs`;
  const list = useRows<TriggerRun>(path, {});
  useRefreshOn({ type: "trigger.ran" }, [[path, "list"]], 1000);
  return (
    <div style={{ marginTop: 8 }}>
      <Listed list={list} none={<Text size="sm">{t("triggers.runs.none")}</Text>}>
        <RowList
          label={t("triggers.show.runs")}
          rows={list.rows}
          rowKey={(r) => r.id}
          more={list.more}
          hasMore={list.hasNextPage}
          height="360px"
          columns={[
            { key: "at", phone: "aside", head: t("triggers.col.at"), width: "10rem", cell: (r) => <When at={r.created_at} /> },
            { key: "did", phone: "title", head: t("triggers.col.did"), width: "minmax(12rem, 2fr)", cell: (r) => t(`triggers.did.${r.action}`, { subject: r.subject }) },
            { key: "instance", phone: "more", head: t("triggers.col.instance"), width: "12rem", cell: (r) => (r.instance ? <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: r.instance! }} {...props} />}>{r.instance}</Anchor> : "–") },
            { key: "item", phone: "more", head: t("triggers.col.item"), width: "minmax(8rem, 2fr)", cell: (r) => <span className="fl-mono">{r.item || "–"}</span> },
            { key: "meant", head: t("triggers.col.meant"), width: "10rem", cell: (r) => (r.nominal_at ? <When at={r.nominal_at} /> : r.letter ? t("triggers.again") : "–") },
          ]}
        />
      </Listed>
    </div>
  );
}

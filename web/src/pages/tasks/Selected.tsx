import { useState } from "react";
import { useMay, useMe } from "~/api/me";
import { useText } from "~/i18n";
import { People } from "~/shared/People";
import { Selected as Many, type ManyAction } from "~/shared/Selected";

/** What can be done to the chosen tasks at once. One with a form is completed by itself. */
export function Selected({ ids, clear }: { ids: string[]; clear: () => void }) {
  const t = useText();
  const may = useMay("batches");
  const works = useMay("task");
  const manages = useMay("manage");
  const { actor } = useMe();
  const [who, setWho] = useState("");
  const actions: ManyAction[] = [
    ...(works && actor ? ([{ action: "claim", params: { assignee: actor } }] satisfies ManyAction[]) : []),
    ...(works ? ([{ action: "release" }, { action: "complete", what: t("bulk.tasks.complete") }] satisfies ManyAction[]) : []),
    ...(manages
      ? ([{ action: "assign", params: { assignee: who.trim() }, ready: who.trim() !== "", fields: <People label={t("move.to")} value={who} onChange={setWho} data-autofocus /> }] satisfies ManyAction[])
      : []),
  ];
  return may ? <Many title={t("bulk.tasks.title")} of="tasks" ids={ids} clear={clear} actions={actions} onAsk={() => setWho("")} /> : null;
}

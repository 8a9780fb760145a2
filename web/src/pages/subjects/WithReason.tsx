import { Textarea } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";

/** characters of a reason; it stands on the ledger for ever */
const REASON_MAX = 2_000;

/** A question before an act that isn't done without a reason. */
export function WithReason({ title, what, danger, ready = true, close, go, children }: { title: string; what: string; danger?: boolean; ready?: boolean; close: () => void; go: (reason: string) => Promise<unknown>; children?: ReactNode }) {
  const t = useText();
  const [reason, setReason] = useState("");
  // a reason is one line for the ledger
  const told = reason.replace(/[\u0000-\u001f\u007f]+/g, " ").trim(); // eslint-disable-line no-control-regex
  return (
    <Ask title={title} what={what} danger={danger} reason={false} ready={ready && told !== ""} close={close} go={() => go(told)}>
      <Textarea label={t("act.reason")} description={t("subjects.reason.hint")} required value={reason} maxLength={REASON_MAX} onChange={(e) => setReason(e.currentTarget.value)} data-autofocus />
      {children}
    </Ask>
  );
}

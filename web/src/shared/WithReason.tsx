import { Textarea } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { useText } from "~/i18n";
import { Ask } from "./Ask";

/** characters of a reason; it stands on the ledger for ever */
const REASON_MAX = 2_000;

/** A question before an act with a reason for the ledger; without one it isn't done, unless none is `needed`. */
export function WithReason({ title, what, hint, needed = true, danger, ready = true, close, go, children }: { title: string; what: string; hint?: string; needed?: boolean; danger?: boolean; ready?: boolean; close: () => void; go: (reason: string) => Promise<unknown>; children?: ReactNode }) {
  const t = useText();
  const [reason, setReason] = useState("");
  // a reason is one line for the ledger
  const told = reason.replace(/[\u0000-\u001f\u007f]+/g, " ").trim(); // eslint-disable-line no-control-regex
  return (
    <Ask title={title} what={what} danger={danger} reason={false} ready={ready && (told !== "" || !needed)} close={close} go={() => go(told)}>
      <Textarea label={t("act.reason")} description={hint ?? t("subjects.reason.hint")} required={needed} value={reason} maxLength={REASON_MAX} onChange={(e) => setReason(e.currentTarget.value)} data-autofocus />
      {children}
    </Ask>
  );
}

import { List, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useState } from "react";
import { send } from "~/api/client";
import { useText } from "~/i18n";
import type { Known } from "./Subject";
import { WithReason } from "~/shared/WithReason";

/** It can't be taken back: what it does is said, and the reference is typed once more. */
export function Erase({ of: ref, known, done, close }: { of: string; known: Known; done: () => Promise<unknown>; close: () => void }) {
  const t = useText();
  const [typed, setTyped] = useState("");
  const running = (known.places ?? []).filter((p) => ["running", "suspended", "pending"].includes(p.status)).length;
  return (
    <WithReason
      title={t("subjects.erase")}
      what={t("subjects.erase.what", { ref, count: known.keys ?? 0 })}
      danger
      ready={typed === ref}
      close={close}
      go={async (reason) => {
        await send("POST", `/subjects/${encodeURIComponent(ref)}/erase`, { reason });
        notifications.show({ message: t("subjects.erase.done"), color: "teal" });
        await done();
      }}
    >
      <List size="sm">
        <List.Item>{t("subjects.erase.where", { count: (known.places ?? []).length, more: known.more ? "+" : "" })}</List.Item>
        <List.Item>{t("subjects.erase.stays")}</List.Item>
        {running > 0 && <List.Item>{t("subjects.erase.running", { count: running })}</List.Item>}
        <List.Item>{t("subjects.erase.never")}</List.Item>
      </List>
      <TextInput label={t("subjects.erase.type", { ref })} value={typed} autoComplete="off" onChange={(e) => setTyped(e.currentTarget.value)} />
    </WithReason>
  );
}

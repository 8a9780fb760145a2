import { Alert, Checkbox, List, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Answer } from "~/shared/states";
import { pathOf, type Tenant } from "./wish";

export type MoveName = "suspend" | "resume" | "remove";
const HAS = ["instances", "tasks", "definitions"] as const;

/** Suspend, resume, remove: what it has, and what will happen to it, before it is done. */
export function Move({ of, move, close, done }: { of: Tenant; move: MoveName; close: () => void; done: () => Promise<unknown> }) {
  const t = useText();
  const whole = useQuery({ queryKey: ["/tenants", "one", of.name], gcTime: 0, queryFn: ({ signal }) => get(pathOf(of.name), {}, signal) });
  const [leave, setLeave] = useState(false);
  const [said, setSaid] = useState("");
  const has = whole.data?.has;
  const some = HAS.some((k) => (has?.[k] ?? 0) > 0);
  const ready = whole.isSuccess && (move !== "remove" || !some || leave) && (move !== "suspend" || Boolean(said.trim()));
  return (
    <Ask
      title={t(`tenants.${move}`)}
      what={t(`tenants.${move}.what`, { name: of.title || of.name })}
      danger={move !== "resume"}
      reason={move !== "suspend"}
      ready={ready}
      close={close}
      go={async (reason) => {
        if (move === "remove") await send("DELETE", pathOf(of.name), undefined, { leave: leave || undefined, reason: reason || undefined });
        else if (move === "suspend") await send("POST", `${pathOf(of.name)}/suspend`, { reason: said.trim() });
        else await send("POST", `${pathOf(of.name)}/resume`, { reason });
        await done();
      }}
    >
      <Answer of={whole}>
        {() => (
          <Alert variant="light" color={some && move !== "resume" ? "yellow" : "gray"} title={t(some ? `tenants.${move}.has` : "tenants.empty")}>
            {some && (
              <List size="sm">
                {HAS.map((k) => (has?.[k] ?? 0) > 0 && <List.Item key={k}>{t(`tenants.has.${k}`, { count: has![k] })}</List.Item>)}
              </List>
            )}
          </Alert>
        )}
      </Answer>
      {move === "remove" && some && <Checkbox label={t("tenants.leave")} checked={leave} onChange={(e) => setLeave(e.currentTarget.checked)} />}
      {move === "suspend" && <Reason value={said} set={setSaid} />}
    </Ask>
  );
}

function Reason({ value, set }: { value: string; set: (text: string) => void }) {
  const t = useText();
  return <Textarea required label={t("act.reason")} description={t("tenants.reason.hint")} value={value} maxLength={1000} onChange={(e) => set(e.currentTarget.value)} data-autofocus />;
}

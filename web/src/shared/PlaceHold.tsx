import { Checkbox, SegmentedControl, Select, Text, Textarea, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useText } from "~/i18n";
import { useServerText } from "~/i18n/refusals";
import { Ask } from "./Ask";

const SCOPES = ["definition", "version", "element", "job_type", "target", "tenant", "instance"] as const;
type Scope = (typeof SCOPES)[number];
/** Holds over these say what becomes of new starts. */
export const WITH_STARTS = new Set<string>(["definition", "version", "tenant"]);

/** A new hold, with how much it would be over. `over`: what is meant already. */
export function PlaceHold({ over: meant, close }: { over?: { scope: Scope; key: string }; close: () => void }) {
  const t = useText();
  const say = useServerText();
  const client = useQueryClient();
  const [scope, setScope] = useState<Scope>(meant?.scope ?? "definition");
  const [key, setKey] = useState(meant?.key ?? "");
  const [mode, setMode] = useState<"pause" | "suspend">("suspend");
  const [starts, setStarts] = useState<"hold" | "refuse">("hold");
  const [children, setChildren] = useState(true);
  const [why, setWhy] = useState("");
  const [until, setUntil] = useState("");
  const complete = key !== "" || scope === "tenant";
  const over = useQuery({ queryKey: ["/holds", "preview", scope, key], queryFn: ({ signal }) => get("/holds/preview", { scope, key }, signal), enabled: complete, retry: false });
  return (
    <Ask
      title={t("holds.place")}
      what={t(`holds.${mode}.what`)}
      danger
      reason={false}
      ready={complete && why.trim() !== ""}
      close={close}
      go={async () => {
        await send("POST", "/holds", {
          scope,
          key,
          mode,
          reason: why.trim(),
          children,
          ...(WITH_STARTS.has(scope) ? { starts } : {}),
          ...(until ? { until: new Date(until).toISOString() } : {}),
        });
        notifications.show({ message: t("holds.place.done"), color: "teal" });
        for (const changed of ["/holds", "instance"]) void client.invalidateQueries({ queryKey: [changed] });
      }}
    >
      <Select label={t("holds.scope")} value={scope} onChange={(v) => v && setScope(v as Scope)} data={SCOPES.map((s) => ({ value: s, label: t(`holds.scope.${s}`) }))} allowDeselect={false} data-autofocus />
      <TextInput label={t("holds.key")} description={t(`holds.key.${scope}`)} value={key} maxLength={512} onChange={(e) => setKey(e.currentTarget.value.trim())} />
      <SegmentedControl aria-label={t("holds.mode")} value={mode} onChange={(v) => setMode(v as typeof mode)} data={["suspend", "pause"].map((m) => ({ value: m, label: t(`holds.mode.${m}`) }))} />
      {WITH_STARTS.has(scope) && <SegmentedControl aria-label={t("holds.starts")} value={starts} onChange={(v) => setStarts(v as typeof starts)} data={["hold", "refuse"].map((s) => ({ value: s, label: t(`holds.starts.${s}`) }))} />}
      <Checkbox label={t("holds.children")} checked={children} onChange={(e) => setChildren(e.currentTarget.checked)} />
      <TextInput type="datetime-local" label={t("holds.end")} value={until} onChange={(e) => setUntil(e.currentTarget.value)} />
      <Textarea label={t("act.reason")} required value={why} maxLength={2000} onChange={(e) => setWhy(e.currentTarget.value)} />
      <Text size="sm" aria-live="polite">
        {over.data ? t("holds.over", { instances: over.data.instances, tasks: over.data.tasks }) : complete && over.error ? say(over.error.message) : " "}
      </Text>
    </Ask>
  );
}

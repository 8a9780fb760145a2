import { Select, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Gone } from "./Gone";
import { isSpan, keptFor } from "./kept";
import type { Rule } from "./RetentionPage";

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const CLASS = /^([a-z][a-z0-9_-]{0,39})?$/;
const SETTLED_MS = 500;

/** A rule, with what would go by it at once shown before it is one. */
export function Edit({ of, close, done }: { of?: Rule; close: () => void; done: () => Promise<void> }) {
  const t = useText();
  const [name, setName] = useState(of?.name ?? "");
  const [after, setAfter] = useState(of?.after ?? "P1Y");
  const [definition, setDefinition] = useState(of?.definition ?? "");
  const [cls, setCls] = useState(of?.class ?? "");
  const [reason, setReason] = useState(of?.reason ?? "");
  const known = useQuery({ queryKey: ["/definitions", "newest"], queryFn: ({ signal }) => get("/definitions", { kind: "process", latest: true, limit: 500 }, signal) });
  const ids = [...new Set([...(known.data?.items ?? []).map((d) => d.definition_id), ...(definition ? [definition] : [])])];
  const span = after.trim().toUpperCase();
  const told = reason.replace(/[\u0000-\u001f\u007f]+/g, " ").trim(); // eslint-disable-line no-control-regex
  const wrong = { name: !NAME.test(name), after: !isSpan(span), cls: !CLASS.test(cls) };
  const ready = !wrong.name && !wrong.after && !wrong.cls;
  const [look] = useDebouncedValue(JSON.stringify({ name, after: span, definition, class: cls, ready }), SETTLED_MS);
  const seen = JSON.parse(look) as { name: string; after: string; definition: string; class: string; ready: boolean };
  return (
    <Ask
      title={t(of ? "retention.change" : "retention.make")}
      what={t("retention.make.what")}
      danger
      reason={false}
      ready={ready && told !== ""}
      close={close}
      go={async () => {
        await send("PUT", `/retention/${name}`, { after: span, reason: told, definition, class: cls });
        notifications.show({ message: t("retention.made"), color: "teal" });
        await done();
      }}
    >
      <TextInput label={t("retention.name")} description={t("retention.name.hint")} value={name} disabled={Boolean(of)} maxLength={100} error={name !== "" && wrong.name && t("retention.name.wrong")} onChange={(e) => setName(e.currentTarget.value)} data-autofocus={of ? undefined : true} />
      <TextInput label={t("retention.after")} description={wrong.after ? t("retention.after.hint") : keptFor(span, t)} value={after} maxLength={60} error={wrong.after && t("retention.after.wrong")} onChange={(e) => setAfter(e.currentTarget.value)} data-autofocus={of ? true : undefined} />
      <Select label={t("col.process")} placeholder={t("insight.all")} clearable searchable value={definition || null} data={ids} onChange={(v) => setDefinition(v ?? "")} />
      <TextInput label={t("retention.class")} description={t("retention.class.hint")} value={cls} maxLength={40} error={wrong.cls && t("retention.class.wrong")} onChange={(e) => setCls(e.currentTarget.value)} />
      <Textarea label={t("act.reason")} description={t("retention.reason.hint")} required value={reason} maxLength={2000} onChange={(e) => setReason(e.currentTarget.value)} />
      {seen.ready && <Gone name={seen.name} wish={{ after: seen.after, definition: seen.definition, class: seen.class, reason: t("retention.look") }} />}
    </Ask>
  );
}

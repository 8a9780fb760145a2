import { Select, SimpleGrid, Switch, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { FIELDS, KINDS, recordOf, wishOf, wrongs, type Kpi, type Wish } from "./kpi";

const CHOICES: Partial<Record<keyof Wish, string[]>> = { of: ["cycle", "waiting", "working"], at: ["end", "start", "work"] };

/** A KPI, made or changed; it counts from now on. */
export function Edit({ of, close }: { of?: Kpi; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const [wish, setWish] = useState<Wish>(() => wishOf(of));
  const known = useQuery({ queryKey: ["/definitions", "newest"], queryFn: ({ signal }) => get("/definitions", { kind: "process", latest: true, limit: 500 }, signal) });
  const ids = [...new Set([...(known.data?.items ?? []).map((d) => d.definition_id), ...(wish.process ? [wish.process] : [])])];
  const wrong = wrongs(wish);
  const set = (field: keyof Wish, value: string | boolean) => setWish((was) => ({ ...was, [field]: value }));
  const field = (name: keyof Wish) => {
    const choices = CHOICES[name];
    const common = { label: t(`kpis.field.${name}`), value: String(wish[name]) };
    if (choices) return <Select key={name} {...common} allowDeselect={false} data={choices.map((value) => ({ value, label: t(`kpis.${name}.${value}`) }))} onChange={(v) => v && set(name, v)} />;
    return <TextInput key={name} {...common} description={t(`kpis.hint.${name}`)} maxLength={2000} error={wish[name] !== "" && wrong[name] ? t(wrong[name]) : undefined} onChange={(e) => set(name, e.currentTarget.value)} />;
  };
  return (
    <Ask
      title={t(of ? "retention.change" : "kpis.new")}
      what={t("kpis.new.what")}
      reason={false}
      ready={Object.keys(wrong).length === 0}
      close={close}
      go={async () => {
        await send("PUT", `/kpis/${encodeURIComponent(wish.name.trim())}` as `/kpis/${string}`, recordOf(wish, of) as never);
        notifications.show({ message: t("kpis.saved"), color: "teal" });
        await Promise.all(["/kpis", "insight"].map((key) => client.invalidateQueries({ queryKey: [key] })));
      }}
    >
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="xs">
        <TextInput label={t("kpis.field.name")} value={wish.name} disabled={Boolean(of)} maxLength={100} error={wish.name !== "" && wrong.name && t(wrong.name)} onChange={(e) => set("name", e.currentTarget.value)} data-autofocus={of ? undefined : true} />
        <TextInput label={t("kpis.field.title")} value={wish.title} maxLength={255} onChange={(e) => set("title", e.currentTarget.value)} data-autofocus={of ? true : undefined} />
        <Select label={t("kpis.field.kind")} allowDeselect={false} value={wish.kind} data={KINDS.map((value) => ({ value, label: t(`kpis.kind.${value}`) }))} onChange={(v) => v && set("kind", v)} />
        <Select label={t("col.process")} clearable searchable placeholder={t("insight.all")} value={wish.process || null} data={ids} onChange={(v) => set("process", v ?? "")} />
        {FIELDS[wish.kind].map(field)}
        {field("when")}
      </SimpleGrid>
      <Switch label={t("kpis.field.enabled")} checked={wish.enabled} onChange={(e) => set("enabled", e.currentTarget.checked)} />
    </Ask>
  );
}

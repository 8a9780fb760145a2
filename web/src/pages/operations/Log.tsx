import { Group, Select, Switch, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useText } from "~/i18n";
import { Folded } from "~/shared/Folded";
import { OperationLog } from "~/shared/OperationLog";

const TEXTS = ["actor", "operation", "instance", "variable"] as const;

/** Who asked for what: the filters stand in the address. */
export function Log() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const set = (name: string, value: string | null) => {
    const { [name]: _, ...rest } = search;
    void navigate({ to: ".", search: (value ? { ...rest, [name]: value } : rest) as Record<string, string>, replace: true });
  };
  const later = useDebouncedCallback(set, 300);
  const instance = search.instance && /^\d{1,19}$/.test(search.instance) ? search.instance : undefined;
  const filters = { actor: search.actor, operation: search.operation, instance, variable: search.variable, outcome: search.outcome, services: instance ? search.services : undefined };
  return (
    <>
      <Folded label={t("list.filter")} says={[...TEXTS, "outcome"].some((name) => search[name])}>
      <Group gap="xs" mb="sm" align="end">
        {TEXTS.map((name) => (
          <TextInput key={name} size="xs" label={t(`log.by.${name}`)} defaultValue={search[name] ?? ""} onChange={(e) => later(name, e.currentTarget.value.trim())} />
        ))}
        <Select size="xs" label={t("log.outcome")} clearable value={search.outcome ?? null} onChange={(v) => set("outcome", v)} data={["granted", "refused"].map((s) => ({ value: s, label: t(`log.${s}` as "log.granted") }))} />
        <Switch size="sm" mb={4} label={t("log.services")} disabled={!instance} checked={search.services === "true"} onChange={(e) => set("services", e.currentTarget.checked ? "true" : null)} />
      </Group>
      </Folded>
      <OperationLog filters={filters} />
    </>
  );
}

import { Badge, Button, Group, Menu, Paper, SegmentedControl, Text, Title } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useRows } from "~/api/lists";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Empty, Listed } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Edit } from "./Edit";
import { Move, type MoveName } from "./Move";
import { DEFAULT, NUMBERS, pathOf, quotasOf, type Tenant } from "./wish";

const SHOWN = ["there", "active", "suspended", "removed"] as const;
type Step = { do: "make" } | { do: "change" | MoveName; of: Tenant };

/** Who shares this installation: each tenant with its quotas; made, changed, suspended, resumed, removed. */
export function Tenants() {
  const t = useText();
  const may = useMay("tenantsWrite");
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const client = useQueryClient();
  const [step, setStep] = useState<Step>();
  const shown = SHOWN.find((s) => s === search.status) ?? "there";
  const list = useRows<Tenant>("/tenants", { status: shown === "there" ? undefined : shown }, 10_000);
  const again = () => client.invalidateQueries({ queryKey: ["/tenants"] });
  const close = () => setStep(undefined);
  return (
    <>
      <Group justify="space-between" mb="xs" gap="xs">
        <Title order={2}>{t("operations.tenants")}</Title>
        {may && (
          <Button size="xs" onClick={() => setStep({ do: "make" })}>
            {t("tenants.make")}
          </Button>
        )}
      </Group>
      <Text size="sm" c="dimmed" mb="xs">
        {t("tenants.what")}
      </Text>
      <SegmentedControl size="xs" mb="sm" aria-label={t("tenants.shown")} value={shown} onChange={(status) => void navigate({ to: ".", search: { tab: "tenants", ...(status === "there" ? {} : { status }) } as Record<string, string>, replace: true })} data={SHOWN.map((s) => ({ value: s, label: t(`tenants.shown.${s}`) }))} />
      <Listed list={list} none={<Empty title={t("list.nothing")} />}>
        <>
          {list.rows.map((row) => (
            <Card key={row.name} of={row} may={may} choose={setStep} again={again} />
          ))}
          {list.hasNextPage && (
            <Button size="xs" variant="default" loading={list.isFetchingNextPage} onClick={list.more}>
              {t("operations.more")}
            </Button>
          )}
        </>
      </Listed>
      {step?.do === "make" && <Edit close={close} done={again} />}
      {step?.do === "change" && <Edit of={step.of} close={close} done={again} />}
      {step && step.do !== "make" && step.do !== "change" && <Move of={step.of} move={step.do} close={close} done={again} />}
    </>
  );
}

function Card({ of, may, choose, again }: { of: Tenant; may: boolean; choose: (step: Step) => void; again: () => Promise<unknown> }) {
  const t = useText();
  const quotas = quotasOf(of);
  const steps: ("change" | MoveName)[] = of.name === DEFAULT ? [] : of.status === "removed" ? [] : of.status === "suspended" ? ["change", "resume", "remove"] : ["change", "suspend"];
  return (
    <Paper withBorder p="sm" mb="xs" role="group" aria-label={of.name}>
      <Group gap="xs" justify="space-between">
        <Group gap="xs">
          <Text fw={600}>{of.title || (of.name === DEFAULT ? t("tenants.default") : of.name)}</Text>
          <span className="fl-mono">{of.name}</span>
          <Status of={of.status} />
          {of.name === DEFAULT && (
            <Badge size="sm" variant="light" color={of.unknown === "refuse" ? "yellow" : "gray"} tt="none">
              {t(`tenants.unknown.${of.unknown ?? "accept"}`)}
            </Badge>
          )}
        </Group>
        {may && of.name === DEFAULT && (
          <Button
            size="compact-sm"
            variant="default"
            onClick={async () => {
              await send("PATCH", pathOf(of.name), { unknown: of.unknown === "refuse" ? "accept" : "refuse" });
              await again();
            }}
          >
            {t(of.unknown === "refuse" ? "tenants.unknown.do.accept" : "tenants.unknown.do.refuse")}
          </Button>
        )}
        {may && steps.length > 0 && (
          <Menu position="bottom-end">
            <Menu.Target>
              <Button size="compact-sm" variant="default" aria-label={t("users.actions", { name: of.name })}>
                {t("users.do")}
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              {steps.map((s) => (
                <Menu.Item key={s} color={s === "remove" ? "red" : undefined} onClick={() => choose({ do: s, of })}>
                  {t(`tenants.${s}`)}
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        )}
      </Group>
      <Group gap="md" mt={4}>
        {NUMBERS.map((k) => quotas[k] !== undefined && (
          <Text key={k} size="sm">
            {t(`tenants.quota.${k}.is`, { n: quotas[k], per: quotas[`${k}_ms`] === undefined ? "" : perText(quotas[`${k}_ms`]!) })}
          </Text>
        ))}
        {Object.keys(quotas).length === 0 && of.name !== DEFAULT && of.status !== "removed" && (
          <Text size="sm" c="dimmed">
            {t("tenants.noquota")}
          </Text>
        )}
        {of.created_at && (
          <Text size="sm" c="dimmed">
            {t("tenants.made")} <When at={of.created_at} />
          </Text>
        )}
      </Group>
      {of.status === "suspended" && of.reason && (
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {t("tenants.why", { reason: of.reason })}
        </Text>
      )}
    </Paper>
  );
}

const perText = (ms: number) => (ms === 1000 ? "s" : ms === 60_000 ? "min" : ms === 3_600_000 ? "h" : `${ms} ms`);

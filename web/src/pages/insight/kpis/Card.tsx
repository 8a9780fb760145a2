import { Badge, Button, Group, Paper, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "~/api/client";
import { useLanguage, useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Icon, type IconName } from "~/shared/icons";
import type { Search } from "../asked";
import { long, percent } from "../parts";
import { Edit } from "./Edit";
import { Figures } from "./Figures";
import { type Kpi, type Promise_, stateOf, type State } from "./kpi";
import { Promised, WHICH, type Which } from "./Promised";

const LOOKS: Record<State, { color: string; icon: IconName }> = { late: { color: "red", icon: "warn" }, at_risk: { color: "yellow", icon: "clock" }, ok: { color: "teal", icon: "check" }, none: { color: "gray", icon: "pause" } };

/** One KPI: how it stands, in words and colour, and from there to the instances behind it. */
export function Card({ of: kpi, promise: p, search, set, writes }: { of: Kpi; promise?: Promise_; search: Search; set: (more: Record<string, string | undefined>) => void; writes: boolean }) {
  const t = useText();
  const { language } = useLanguage();
  const client = useQueryClient();
  const [asked, setAsked] = useState<"edit" | "remove">();
  const state = stateOf(p);
  const open = search.kpi === kpi.name;
  const which = open ? WHICH.find((w) => w === search.which) : undefined;
  const show = (next: Which) => set(which === next ? { kpi: undefined, which: undefined } : { kpi: kpi.name, which: next });
  const where = [kpi.process, kpi.element].filter(Boolean).join(" / ");
  const record = kpi.name !== "due";
  const title = record ? kpi.title || kpi.name : t("kpis.due");
  return (
    <Paper withBorder p="sm" mb="xs" role="group" aria-label={title}>
      <Group justify="space-between" gap="xs">
        <Group gap="xs">
          <Text fw={600}>{title}</Text>
          {kpi.kind === "sla" && (
            <Badge variant="light" tt="none" color={LOOKS[state].color} leftSection={<Icon name={LOOKS[state].icon} size={11} />}>
              {t(`kpis.state.${state}`)}
            </Badge>
          )}
          {p?.met != null && (
            <Badge variant="light" tt="none" color={p.met ? "teal" : "red"}>
              {t(p.met ? "kpis.met" : "kpis.missed", { goal: percent(p.goal, language) })}
            </Badge>
          )}
          {kpi.enabled === false && (
            <Badge variant="light" color="gray" tt="none">
              {t("kpis.off")}
            </Badge>
          )}
        </Group>
        {writes && record && (
          <Group gap="xs">
            <Button size="compact-xs" variant="default" onClick={() => setAsked("edit")}>
              {t("retention.change")}
            </Button>
            <Button size="compact-xs" variant="default" c="red" onClick={() => setAsked("remove")}>
              {t("retention.remove")}
            </Button>
          </Group>
        )}
      </Group>
      <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
        {[record && title !== kpi.name && kpi.name, t(`kpis.kind.${kpi.kind}`), p?.within_ms != null && t("kpis.within", { time: long(p.within_ms) }), where || (record && t("insight.all"))].filter(Boolean).join(" · ")}
      </Text>
      {p && (
        <Group gap="xs" mt={4}>
          <Text size="sm">
            {p.count > 0 ? t("kpis.kept", { share: percent(p.kept_share, language), kept: p.kept, n: p.count }) : t("kpis.kept.none")}
            {p.open != null && ` · ${t("kpis.open", { n: p.open })}`}
          </Text>
          {WHICH.map((w) => {
            const n = p[w] ?? 0;
            return n > 0 && record ? (
              <Button key={w} size="compact-xs" variant={which === w ? "filled" : "light"} color={w === "at_risk" ? "yellow.9" : "red"} aria-expanded={which === w} onClick={() => show(w)}>
                {t(`kpis.${w}`, { n })}
              </Button>
            ) : null;
          })}
        </Group>
      )}
      <Button size="compact-xs" variant="subtle" mt={4} aria-expanded={open && !which} onClick={() => set(open && !which ? { kpi: undefined } : { kpi: kpi.name, which: undefined })}>
        {t("kpis.figures")}
      </Button>
      {which && <Promised name={kpi.name} which={which} search={search} />}
      {open && !which && <Figures of={kpi} search={search} />}
      {asked === "edit" && <Edit of={kpi} close={() => setAsked(undefined)} />}
      {asked === "remove" && (
        <Ask
          title={t("retention.remove")}
          what={t("kpis.remove.what", { name: title })}
          danger
          reason={false}
          close={() => setAsked(undefined)}
          go={async () => {
            await send("DELETE", `/kpis/${encodeURIComponent(kpi.name)}` as `/kpis/${string}`);
            notifications.show({ message: t("kpis.removed"), color: "teal" });
            await Promise.all(["/kpis", "insight"].map((key) => client.invalidateQueries({ queryKey: [key] })));
          }}
        />
      )}
    </Paper>
  );
}

import "~/i18n/for-insight";
import { Anchor, Badge, Button, Group, Paper, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Cards } from "~/shared/Cards";
import { Icon } from "~/shared/icons";
import { Empty, PageHead } from "~/shared/states";
import { Status } from "~/shared/Status";
import { duration, When } from "~/shared/time";
import { Edit } from "./Edit";
import { Firings } from "./Firings";
import { type Alert, spanOf } from "./rule";
import { Trial } from "./Trial";

const SILENCE_MIN = 60;

/** Rules on figures: which fire by now, and which have. */
export function AlertsPage() {
  const t = useText();
  return useMay("alerts") ? <Rules /> : <Empty title={t("alerts.maynot")}>{t("insight.maynot.hint")}</Empty>;
}

function Rules() {
  const t = useText();
  const may = useMay("alertWrite");
  const [making, setMaking] = useState(false);
  const list = useList("/alerts", {});
  useRefreshOn({ type: "alert.*" }, [["/alerts", "list"], ["/alerts", "firings"]], 500);
  const make = may && (
    <Button size="xs" leftSection={<Icon name="plus" size={13} />} onClick={() => setMaking(true)}>
      {t("alerts.new")}
    </Button>
  );
  // what fires stands first
  const rows = [...list.rows].sort((a, b) => Number(b.firing > 0) - Number(a.firing > 0));
  return (
    <>
      <PageHead title={t("alerts.title")} actions={make}>
        {t("alerts.what")}{" "}
        <Anchor component={Link} to="/insight" size="sm" underline="always">
          {t("alerts.figures")}
        </Anchor>
      </PageHead>
      <Cards of={{ ...list, rows }} empty={<Empty title={t("alerts.none")}>{t("alerts.none.hint")}</Empty>}>
        {(alert) => <AlertCard of={alert} />}
      </Cards>
      {making && <Edit close={() => setMaking(false)} />}
    </>
  );
}

function AlertCard({ of: alert }: { of: Alert }) {
  const t = useText();
  const may = useMay("alertWrite");
  const client = useQueryClient();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const [asked, setAsked] = useState<"silence" | "unsilence" | "delete" | "edit">();
  const [trying, setTrying] = useState(false);
  const open = search.alert === alert.name;
  const path = `/alerts/${encodeURIComponent(alert.name)}`;
  const silent = alert.silenced_until !== null && Date.parse(alert.silenced_until) > Date.now();
  const go = async (reason: string) => {
    if (asked === "delete") await send("DELETE", path as `/alerts/${string}`, undefined, { reason });
    else if (asked === "silence") await send("POST", `${path}/silence` as `/alerts/${string}/silence`, { minutes: SILENCE_MIN, reason });
    else await send("POST", `${path}/unsilence` as `/alerts/${string}/unsilence`, { reason });
    await client.invalidateQueries({ queryKey: ["/alerts"] });
  };
  const small = (label: string, onClick: () => void, expanded?: boolean) => (
    <Button size="compact-sm" variant="default" aria-expanded={expanded} onClick={onClick}>
      {label}
    </Button>
  );
  return (
    <Paper withBorder p="sm" mb="xs" role="group" aria-label={alert.name}>
      <Group gap="xs">
        <Text fw={600}>{alert.title}</Text>
        {alert.firing > 0 ? <Status of="firing" /> : <Status of={alert.status} />}
        <Severity of={alert.severity} />
        {silent && (
          <Badge size="sm" variant="light" color="yellow" tt="none">
            {t("alerts.silent")} <When at={alert.silenced_until} />
          </Badge>
        )}
      </Group>
      <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
        {alert.title !== alert.name && `${alert.name} · `}
        <Words of={alert.rule} />
      </Text>
      <Group gap="md" mt={4}>
        {alert.firing > 0 && <Text size="sm">{t("alerts.firing", { n: alert.firing })}</Text>}
        <Text size="sm">{t("alerts.fired", { n: alert.fired })}</Text>
        {alert.last_at && (
          <Text size="sm">
            {t("alerts.last")} <When at={alert.last_at} />
          </Text>
        )}
      </Group>
      {alert.error && (
        <Text size="sm" c="red" style={{ overflowWrap: "anywhere" }}>
          {t("alerts.error", { error: alert.error })}
        </Text>
      )}
      <Group gap="xs" mt="xs">
        {small(t("alerts.show"), () => void navigate({ to: ".", search: (open ? {} : { alert: alert.name }) as Record<string, string>, replace: true }), open)}
        {alert.rule.measure !== "lag" && small(t("alerts.try"), () => setTrying((x) => !x), trying)}
        {may && small(t(silent ? "alerts.unsilence" : "alerts.silence"), () => setAsked(silent ? "unsilence" : "silence"))}
        {may && small(t("hooks.edit"), () => setAsked("edit"))}
        {may && (
          <Button size="compact-sm" variant="subtle" color="red" onClick={() => setAsked("delete")}>
            {t("hooks.delete")}
          </Button>
        )}
      </Group>
      {trying && <Trial name={alert.name} measure={alert.rule.measure} />}
      {open && <Firings of={alert} />}
      {asked === "edit" && <Edit of={alert} close={() => setAsked(undefined)} />}
      {asked && asked !== "edit" && <Ask title={t(asked === "delete" ? "hooks.delete" : `alerts.${asked}`)} what={t(`alerts.${asked}.what`, { name: alert.name })} danger={asked === "delete"} close={() => setAsked(undefined)} go={go} />}
    </Paper>
  );
}

export function Severity({ of }: { of: string }) {
  const t = useText();
  return (
    <Badge size="sm" variant="light" color={of === "critical" ? "red" : of === "warning" ? "yellow" : "gray"} tt="none">
      {t(`alerts.severity.${of}`)}
    </Badge>
  );
}

const told = (value: unknown) => {
  const span = spanOf(value);
  return span === null ? String(value) : duration(span);
};

/** The rule in a line. */
function Words({ of: rule }: { of: Record<string, unknown> }) {
  const t = useText();
  const side = "below" in rule ? "below" : "above";
  const of = ["process", "version", "element", "job_type"].filter((k) => rule[k] !== undefined).map((k) => String(rule[k]));
  const group = rule.group === undefined ? [] : ([] as string[]).concat(rule.group as string[]);
  return (
    <>
      {[
        `${t(`alerts.measure.${String(rule.measure)}`)}${rule.figure ? ` (${String(rule.figure)})` : ""} ${t(`alerts.${side}`)} ${told(rule.above ?? rule.below)}`,
        of.length > 0 && t("hooks.of", { list: of.join(" / ") }),
        group.length > 0 && t("alerts.each", { list: group.map((g) => t(`alerts.group.${g}`)).join(", ") }),
        rule.measure !== "lag" && t("alerts.within", { window: told(rule.window ?? "PT1H") }),
        Boolean(spanOf(rule.for)) && t("alerts.holding", { time: told(rule.for) }),
      ]
        .filter(Boolean)
        .join(" · ")}
    </>
  );
}

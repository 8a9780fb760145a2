import { Badge, Group } from "@mantine/core";
import { useText } from "~/i18n";
import { Icon, type IconName } from "./icons";

const looks: Record<string, { color: string; icon?: IconName }> = {
  pending: { color: "gray", icon: "clock" },
  running: { color: "blue", icon: "play" },
  removed: { color: "gray", icon: "close" },
  suspended: { color: "yellow", icon: "pause" },
  completed: { color: "teal", icon: "check" },
  failed: { color: "red", icon: "warn" },
  cancelled: { color: "gray", icon: "close" },
  terminated: { color: "gray", icon: "stop" },
  quarantined: { color: "red", icon: "warn" },
  incident: { color: "red", icon: "warn" },
  created: { color: "gray" },
  assigned: { color: "blue", icon: "person" },
  started: { color: "blue", icon: "play" },
  in_progress: { color: "blue", icon: "play" },
  timed_out: { color: "red", icon: "clock" },
  skipped: { color: "gray", icon: "forward" },
  published: { color: "teal" },
  draft: { color: "gray" },
  validated: { color: "blue" },
  deprecated: { color: "yellow" },
  archived: { color: "gray" },
  active: { color: "teal", icon: "play" },
  inactive: { color: "gray" },
  open: { color: "red", icon: "warn" },
  waiting: { color: "yellow", icon: "clock" },
  approved: { color: "teal", icon: "check" },
  refused: { color: "red", icon: "close" },
  used: { color: "gray", icon: "check" },
  expired: { color: "gray", icon: "clock" },
  success: { color: "teal", icon: "check" },
  partial_success: { color: "yellow", icon: "check" },
  failure: { color: "red", icon: "warn" },
  timeout: { color: "red", icon: "clock" },
  resolved: { color: "teal", icon: "check" },
  replayed: { color: "teal", icon: "check" },
  redelivered: { color: "teal", icon: "check" },
  discarded: { color: "gray", icon: "close" },
  any: { color: "gray" },
  held: { color: "yellow", icon: "pause" },
  released: { color: "teal", icon: "check" },
  resuming: { color: "blue", icon: "play" },
  collecting: { color: "gray", icon: "clock" },
  paused: { color: "yellow", icon: "pause" },
  aborting: { color: "yellow", icon: "stop" },
  aborted: { color: "gray", icon: "stop" },
  disabled: { color: "red", icon: "stop" },
  full: { color: "red", icon: "warn" },
  delivered: { color: "teal", icon: "check" },
  waits: { color: "yellow", icon: "clock" },
  dead: { color: "red", icon: "warn" },
  firing: { color: "red", icon: "warn" },
  off: { color: "gray", icon: "pause" },
  partial: { color: "orange", icon: "warn" },
  succeeded: { color: "teal", icon: "check" },
};

/** A status by colour, sign and word. */
export function Status({ of: status, paused }: { of: string | null; paused?: boolean | null }) {
  const t = useText();
  const of = status ?? "";
  const look = looks[of] ?? { color: "gray" };
  const word = t(`status.${of}`);
  return (
    <Group gap={4} wrap="nowrap" component="span" display="inline-flex">
      <Badge color={look.color} variant="light" size="sm" leftSection={look.icon && <Icon name={look.icon} size={11} />} tt="none">
        {word === `status.${of}` ? of : word}
      </Badge>
      {paused && (
        <Badge color="yellow" variant="light" size="sm" leftSection={<Icon name="pause" size={11} />} tt="none">
          {t("status.paused")}
        </Badge>
      )}
    </Group>
  );
}

const urgent: Record<string, string> = { critical: "red", urgent: "red", high: "orange", low: "gray" };

/** How urgent; what is normal needs no word. */
export function Priority({ of }: { of: string | null }) {
  const t = useText();
  if (!of || of === "normal" || of === "medium") return null;
  return (
    <Badge color={urgent[of] ?? "gray"} variant="light" size="sm" tt="none">
      {t(`priority.${of}`)}
    </Badge>
  );
}

import { Button, Menu } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useMay } from "~/api/me";
import type { Instance } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Icon, type IconName } from "~/shared/icons";
import { useNameOf } from "~/shared/names";
import { CHANGES, type Change } from "./change/begun";

type Verb = "suspend" | "resume" | "pause" | "unpause" | "cancel" | "terminate" | "release" | "delete";
const ended = new Set(["completed", "failed", "cancelled", "terminated"]);

/** Only what can be done in this state is offered; each asks for a reason that stands in the record. */
function offered(i: Instance): { verb: Verb; icon: IconName; danger?: boolean }[] {
  if (ended.has(i.status)) return [{ verb: "delete", icon: "close", danger: true }];
  if (i.status === "quarantined") return [{ verb: "release", icon: "play" }, { verb: "terminate", icon: "stop", danger: true }];
  return [
    i.status === "suspended" ? { verb: "resume", icon: "play" } : { verb: "suspend", icon: "pause" },
    ...(i.status === "suspended" ? [] : [i.paused ? { verb: "unpause" as const, icon: "play" as const } : { verb: "pause" as const, icon: "pause" as const }]),
    { verb: "cancel", icon: "close", danger: true },
    { verb: "terminate", icon: "stop", danger: true },
  ];
}

interface Props {
  instance: Instance;
  /** a moment of the past is shown: there one can only go back to it */
  past: boolean;
  element?: string;
  onChange: (change: Change) => void;
}

export function Actions({ instance, past, element, onChange }: Props) {
  const t = useText();
  const nameOf = useNameOf();
  const steers = useMay("control", instance);
  const deletes = useMay("remove", instance);
  const may = ended.has(instance.status) ? deletes : steers;
  const client = useQueryClient();
  const navigate = useNavigate();
  const [asked, setAsked] = useState<ReturnType<typeof offered>[number]>();
  const verbs = offered(instance);
  const changes = instance.status === "running" || instance.status === "suspended" ? (Object.keys(CHANGES) as Change[]).filter((c) => (past ? c === "rollback" : c !== "rerun" || element)) : [];
  if (!may || verbs.length === 0) return null;
  const go = async (verb: Verb, reason: string) => {
    if (verb === "delete") {
      await send("DELETE", `/instances/${instance.id}`, undefined, reason ? { reason } : undefined);
      notifications.show({ message: t("act.delete.done"), color: "teal" });
      await navigate({ to: "/instances" });
      return;
    }
    const path: string = verb === "terminate" ? "cancel" : verb;
    await send("POST", `/instances/${instance.id}/${path}` as `/instances/${string}/cancel`, { ...(reason ? { reason } : {}), ...(verb === "terminate" ? { force: true } : {}) });
    notifications.show({ message: t(`act.${verb}.done`), color: "teal" });
    await client.invalidateQueries({ queryKey: ["instance", instance.id] });
  };
  return (
    <>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <Button size="xs" variant="default" disabled={past && changes.length === 0} rightSection={<Icon name="more" size={14} />}>
            {t("act.title")}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {changes.map((c) => (
            <Menu.Item key={c} leftSection={<Icon name={CHANGES[c]} size={14} />} onClick={() => onChange(c)}>
              {t(`change.${c}`)}
              {c === "rerun" ? `: ${nameOf(element ?? "")}` : "…"}
            </Menu.Item>
          ))}
          {changes.length > 0 && !past && <Menu.Divider />}
          {(past ? [] : verbs).map((v) => (
            <Menu.Item key={v.verb} className={v.danger ? "fl-danger" : undefined} leftSection={<Icon name={v.icon} size={14} />} onClick={() => setAsked(v)}>
              {t(`act.${v.verb}`)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {asked && <Ask title={t(`act.${asked.verb}`)} what={t(`act.${asked.verb}.what`)} danger={asked.danger} close={() => setAsked(undefined)} go={(reason) => go(asked.verb, reason)} />}
    </>
  );
}

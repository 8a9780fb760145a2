import { Button, Group, Menu, Modal, Stack, Text, Textarea } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "~/api/client";
import { useMay } from "~/api/me";
import type { Instance } from "~/api/types";
import { useText } from "~/i18n";
import { Icon, type IconName } from "~/shared/icons";
import { Failed } from "~/shared/states";

type Verb = "suspend" | "resume" | "pause" | "unpause" | "cancel" | "terminate";
const ended = new Set(["completed", "failed", "cancelled", "terminated"]);

/** Only what can be done in this state is offered; each asks for a reason that stands in the record. */
function offered(i: Instance): { verb: Verb; icon: IconName; danger?: boolean }[] {
  if (ended.has(i.status)) return [];
  return [
    i.status === "suspended" ? { verb: "resume", icon: "play" } : { verb: "suspend", icon: "pause" },
    ...(i.status === "suspended" ? [] : [i.paused ? { verb: "unpause" as const, icon: "play" as const } : { verb: "pause" as const, icon: "pause" as const }]),
    { verb: "cancel", icon: "close", danger: true },
    { verb: "terminate", icon: "stop", danger: true },
  ];
}

export function Actions({ instance, disabled }: { instance: Instance; disabled: boolean }) {
  const t = useText();
  const may = useMay("control", instance);
  const client = useQueryClient();
  const [verb, setVerb] = useState<Verb>();
  const [reason, setReason] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const verbs = offered(instance);
  if (!may || verbs.length === 0) return null;
  const go = async () => {
    if (!verb) return;
    setBusy(true);
    setError(undefined);
    try {
      const path = verb === "terminate" ? "cancel" : verb;
      await send("POST", `/instances/${instance.id}/${path}`, { ...(reason ? { reason } : {}), ...(verb === "terminate" ? { force: true } : {}) });
      notifications.show({ message: t(`act.${verb}.done`), color: "teal" });
      setVerb(undefined);
      await client.invalidateQueries({ queryKey: ["instance", instance.id] });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <Button size="xs" variant="default" disabled={disabled} rightSection={<Icon name="more" size={14} />}>
            {t("act.title")}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {verbs.map((v) => (
            <Menu.Item
              key={v.verb}
              color={v.danger ? "red" : undefined}
              leftSection={<Icon name={v.icon} size={14} />}
              onClick={() => {
                setReason("");
                setError(undefined);
                setVerb(v.verb);
              }}
            >
              {t(`act.${v.verb}`)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <Modal opened={verb !== undefined} onClose={() => setVerb(undefined)} title={verb && t(`act.${verb}`)}>
        <Stack>
          <Text size="sm">{verb && t(`act.${verb}.what`)}</Text>
          <Textarea label={t("act.reason")} value={reason} onChange={(e) => setReason(e.currentTarget.value)} data-autofocus maxLength={1000} />
          {error !== undefined && <Failed error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => setVerb(undefined)}>
              {t("cancel")}
            </Button>
            <Button color={verb === "cancel" || verb === "terminate" ? "red" : undefined} loading={busy} onClick={() => void go()}>
              {verb && t(`act.${verb}`)}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

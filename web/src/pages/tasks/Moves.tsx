import { Button, Menu, Select, Stack } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, send } from "~/api/client";
import { useMay, useMe } from "~/api/me";
import type { Task, TaskMove } from "~/api/types";
import { useText } from "~/i18n";
import { sentenceOf, useServerText } from "~/i18n/refusals";
import { Ask } from "~/shared/Ask";
import { Icon } from "~/shared/icons";
import { People } from "~/shared/People";
import { Recommended } from "./Recommended";

const OPEN = ["created", "assigned", "started", "in_progress"];
const BUSY = OPEN.slice(1);
const ALL = [...OPEN, "suspended", "failed", "timed_out"];
/** move -> statuses it starts from (docs/tasks.md), and what it asks for */
const MOVES: { move: TaskMove; from: string[]; to?: "person"; danger?: boolean }[] = [
  { move: "assign", from: ["created", "assigned"], to: "person" },
  { move: "delegate", from: BUSY, to: "person" },
  { move: "transfer", from: OPEN, to: "person" },
  { move: "recall", from: [...OPEN, "suspended"] },
  { move: "escalate", from: [...OPEN, "failed", "timed_out"], to: "person" },
  { move: "update", from: ALL },
  { move: "suspend", from: OPEN },
  { move: "resume", from: ["suspended"] },
  { move: "skip", from: ALL, danger: true },
  { move: "cancel", from: ALL, danger: true },
];

/** moves that need the right tasks:manage (api/access/operations.py) */
const MANAGED: ReadonlySet<TaskMove> = new Set<TaskMove>(["assign", "cancel", "skip"]);

/** What can be done with the task in its status, and by whom; the server has the last word. */
export function Moves({ task }: { task: Task }) {
  const t = useText();
  const say = useServerText();
  const { actor } = useMe();
  const may = useMay("task", task);
  const manages = useMay("manage", task);
  const client = useQueryClient();
  const [asked, setAsked] = useState<(typeof MOVES)[number]>();
  const [who, setWho] = useState("");
  const [priority, setPriority] = useState<string | null>(null);
  const [advised, setAdvised] = useState<string>();
  const [failed, setFailed] = useState<unknown>();
  const delegated = ((task.assignments ?? []) as { assignee?: string }[]).some((a) => a.assignee === actor) && task.assignee !== actor;
  const offered = MOVES.filter((m) => m.from.includes(task.status) && (m.move !== "recall" || delegated) && (manages || !MANAGED.has(m.move)));
  if (!may || !ALL.includes(task.status)) return null;
  const move = async (name: string, body: Record<string, unknown>) => {
    await send("POST", `/tasks/${task.id}/${name}`, { ...body, row_version: task.row_version });
    notifications.show({ message: t(`move.${name}.done`), color: "teal" });
    await client.invalidateQueries({ queryKey: ["task", task.id] });
  };
  const quick = (name: "claim" | "release") => {
    setFailed(undefined);
    move(name, name === "claim" ? { assignee: actor } : {}).catch((e: unknown) => {
      setFailed(e);
      const waits = e instanceof ApiError && e.problem.approval;
      notifications.show({ title: t(waits ? "second.waits" : `move.${name}.failed`), message: waits ? t("second.note") : say(sentenceOf(e)), color: waits ? "yellow" : "red", autoClose: 10_000 });
    });
  };
  return (
    <>
      {task.assignee === actor && actor && BUSY.includes(task.status) ? (
        <Button size="xs" variant="default" onClick={() => quick("release")}>
          {t("move.release")}
        </Button>
      ) : (
        !task.assignee &&
        task.status === "created" && (
          <Button size="xs" disabled={!actor} title={actor ? undefined : t("tasks.who")} onClick={() => quick("claim")} color={failed ? "red" : undefined}>
            {t("move.claim")}
          </Button>
        )
      )}
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <Button size="xs" variant="default" rightSection={<Icon name="more" size={14} />}>
            {t("act.title")}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {offered.map((m) => (
            <Menu.Item
              key={m.move}
              color={m.danger ? "red" : undefined}
              onClick={() => {
                setWho("");
                setAdvised(undefined);
                setPriority(task.priority);
                setAsked(m);
              }}
            >
              {t(`move.${m.move}`)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {asked && (
        <Ask
          title={t(`move.${asked.move}`)}
          what={t(`move.${asked.move}.what`)}
          danger={asked.danger}
          ready={asked.to !== "person" || who.trim() !== ""}
          close={() => setAsked(undefined)}
          go={(reason) => move(asked.move, { ...(reason ? { reason } : {}), ...(asked.to === "person" ? { assignee: who.trim() } : {}), ...(asked.move === "assign" && advised ? { advised } : {}), ...(asked.move === "update" && priority ? { priority } : {}) })}
        >
          {asked.to === "person" && (
            <Stack>
              <People label={t("move.to")} value={who} onChange={setWho} data-autofocus />
              {asked.move === "assign" && <Recommended task={task.id} who={who} choose={setWho} first={setAdvised} />}
            </Stack>
          )}
          {asked.move === "update" && <Select label={t("col.priority")} value={priority} onChange={setPriority} allowDeselect={false} data={["low", "normal", "high", "critical"].map((p) => ({ value: p, label: t(`priority.${p}`) }))} />}
        </Ask>
      )}
    </>
  );
}

import { Menu } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { get } from "~/api/client";
import { useMay } from "~/api/me";
import type { Incident, Instance, InstanceState } from "~/api/types";
import { useText } from "~/i18n";
import { Icon, type IconName } from "~/shared/icons";
import { PlaceHold } from "~/shared/PlaceHold";
import { WayOut, waysOf, type Way } from "~/shared/WayOut";
import { beganWith, type Begun, type Change } from "./change/begun";
import type { Node } from "./change/steps";

interface Props {
  /** undefined: not there yet */
  instance: Instance | undefined;
  state: InstanceState | undefined;
  nodes: Node[];
  /** elements that were done already */
  done: Set<string>;
  names: Map<string, string> | undefined;
  past: boolean;
  onChange: (change: Change, begun?: Begun) => void;
  onTab: (tab: string) => void;
}

const PEOPLE = new Set(["user_task", "human_task", "manual_task"]);
const LOOKS: [tab: string, icon: IconName][] = [["now", "clock"], ["variables", "instances"], ["work", "tasks"], ["why", "search"], ["comments", "person"]]; // prettier-ignore
const CHANGEABLE = new Set(["running", "suspended"]);

/** What can be done at one element: the entries of a menu on the drawing, and the dialogs that they open, which are those of the control pages. */
export function useElementMenu({ instance, state, nodes, done, names, past, onChange, onTab }: Props): { menu: (element: string) => ReactNode; dialog: ReactNode } {
  const t = useText();
  const navigate = useNavigate();
  const steers = useMay("control", instance);
  const holds = useMay("hold", instance);
  const repairs = useMay("repair", instance);
  const [way, setWay] = useState<{ way: Way; of: Incident }>();
  const [held, setHeld] = useState<string>();
  const stuck = useQuery({
    queryKey: ["incidents", instance?.id],
    queryFn: ({ signal }) => get("/incidents", { instance: instance!.id, limit: 500 }, signal),
    enabled: Boolean(instance) && !past && repairs && (state?.incidents.length ?? 0) > 0,
  });
  const item = (key: string, icon: IconName, text: string, go: () => void, danger?: boolean) => (
    <Menu.Item key={key} className={danger ? "fl-danger" : undefined} leftSection={<Icon name={icon} size={14} />} onClick={go}>
      {text}
    </Menu.Item>
  );
  const menu = (element: string): ReactNode => {
    const node = nodes.find((n) => n.id === element);
    if (!node || !instance) return null;
    const name = names?.get(element) ?? element;
    const here = (state?.tokens ?? []).some((token) => token.element === element);
    const changes = steers && CHANGEABLE.has(instance.status) ? beganWith(node, { here, past, done: done.has(element) }) : [];
    const open = past || !repairs ? [] : (stuck.data?.items ?? []).filter((i) => i.element === element && i.status === "open");
    const [only] = open;
    const tasks = past ? [] : (state?.tasks as { task: string; element: string; type: string }[] | undefined ?? []).filter((x) => x.element === element && PEOPLE.has(x.type));
    return (
      <>
        <Menu.Label>{name}</Menu.Label>
        {open.length === 1 && waysOf(only!).map((w) => item(w, w === "repair" ? "designer" : "play", t(`incident.${w}`), () => setWay({ way: w, of: only! })))}
        {open.length > 1 && item("incidents", "warn", t("at.incidents", { count: open.length }), () => onTab("incidents"))}
        {tasks.length === 1 && item("task", "person", t("at.task"), () => void navigate({ to: "/tasks/$id", params: { id: tasks[0]!.task } }))}
        {changes.map((c) => item(c.key, c.icon, t(`at.${c.key}`), () => onChange(c.change, c.begun), c.key === "cancel"))}
        {!past && holds && CHANGEABLE.has(instance.status) && item("hold", "pause", t("at.hold"), () => setHeld(element))}
        <Menu.Divider />
        {LOOKS.map(([tab, icon]) => item(tab, icon, t(`at.look.${tab}`), () => onTab(tab)))}
      </>
    );
  };
  const dialog = (
    <>
      {way && <WayOut of={way.of} way={way.way} close={() => setWay(undefined)} />}
      {held && instance && <PlaceHold over={{ scope: "element", key: `${instance.process}/${held}` }} close={() => setHeld(undefined)} />}
    </>
  );
  return { menu, dialog };
}

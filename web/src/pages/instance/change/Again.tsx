import { NumberInput, Checkbox, SegmentedControl } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Preview } from "./Preview";
import { usePlan } from "./usePlan";

interface Props {
  instance: string;
  /** what is chosen on the drawing */
  element?: string;
  close: () => void;
}

/** One step once more, with what follows from it. */
export function Rerun({ instance, element, close }: Props & { element: string }) {
  const t = useText();
  const [force, setForce] = useState(false);
  const wish = useMemo(() => ({ element, ...(force ? { force } : {}) }), [element, force]);
  const asked = usePlan(instance, "rerun", wish);
  const go = useGo(instance, asked.apply);
  return (
    <Ask title={t("change.rerun")} what={t("change.rerun.what", { element })} ready={Boolean(asked.plan) && !asked.waits} close={close} go={go}>
      <Preview of={asked} force={force} setForce={setForce} />
    </Ask>
  );
}

/** The instance as it was: some steps back, before an element was left, at a moment of its history, or before the last change by hand. */
export function Rollback({ instance, element, at, close }: Props & { at?: string }) {
  const t = useText();
  const ways = [...(at ? ["moment"] : []), ...(element ? ["element"] : []), "steps", "undo"];
  const [way, setWay] = useState(ways[0]!);
  const [steps, setSteps] = useState<number | string>(1);
  const [compensate, setCompensate] = useState(false);
  const [force, setForce] = useState(false);
  const wish = useMemo(() => {
    const more = { ...(compensate && way !== "undo" ? { compensate } : {}), ...(force ? { force } : {}) };
    if (way === "undo") return { undo: true, ...more };
    if (way === "steps") return typeof steps === "number" ? { steps, ...more } : undefined;
    return { to: way === "moment" ? at : element, ...more };
  }, [way, steps, compensate, force, at, element]);
  const asked = usePlan(instance, "rollback", wish);
  const go = useGo(instance, asked.apply);
  return (
    <Ask title={t("change.rollback")} what={t("change.rollback.what")} danger ready={Boolean(asked.plan) && !asked.waits} close={close} go={go}>
      <SegmentedControl fullWidth size="xs" aria-label={t("change.rollback.to")} value={way} onChange={setWay} data={ways.map((w) => ({ value: w, label: t(`change.rollback.${w}`, { element: element ?? "" }) }))} />
      {way === "steps" && <NumberInput label={t("change.rollback.n")} min={1} max={1_000_000} allowDecimal={false} value={steps} onChange={setSteps} data-autofocus />}
      {way !== "undo" && <Checkbox label={t("change.compensate")} checked={compensate} onChange={(e) => setCompensate(e.currentTarget.checked)} />}
      <Preview of={asked} force={force} setForce={setForce} />
    </Ask>
  );
}

export function useGo(instance: string, apply: (reason: string) => Promise<unknown>) {
  const t = useText();
  const client = useQueryClient();
  return async (reason: string) => {
    await apply(reason);
    notifications.show({ message: t("change.done"), color: "teal" });
    await client.invalidateQueries({ queryKey: ["instance", instance] });
  };
}

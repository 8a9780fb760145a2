import { Button, Group, NumberInput, Text } from "@mantine/core";
import { useState } from "react";
import { send } from "~/api/client";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Bulk } from "~/shared/Bulk";

const ACTIONS = ["suspend", "resume", "retry", "roll_back", "cancel", "delete"] as const;
type Action = (typeof ACTIONS)[number];
const DANGER: readonly Action[] = ["cancel", "delete"];

/** What can be done to the chosen instances, or, where none is chosen, to all that the filter finds. */
export function Selected({ ids, filter, clear }: { ids: string[]; filter: Record<string, string>; clear: () => void }) {
  const t = useText();
  const may = useMay("batches") && true;
  const control = useMay("control");
  const remove = useMay("remove");
  const [action, setAction] = useState<Action>();
  const [steps, setSteps] = useState<number | string>(1);
  const params = action === "roll_back" ? { params: { steps: Number(steps) || 1 } } : {};
  const mine = ACTIONS.filter((a) => (a === "delete" ? remove : control));
  if (!may || mine.length === 0) return null;
  return (
    <Group mb="sm" gap="xs" role="group" aria-label={t("bulk.title")}>
      <Text size="sm">{ids.length ? t("bulk.chosen", { n: ids.length }) : t("bulk.found")}</Text>
      {mine.map((a) => (
        <Button key={a} size="compact-sm" variant="default" color={DANGER.includes(a) ? "red" : undefined} onClick={() => setAction(a)}>
          {t(`batch.${a}`)}
        </Button>
      ))}
      {ids.length > 0 && (
        <Button size="compact-sm" variant="subtle" onClick={clear}>
          {t("bulk.clear")}
        </Button>
      )}
      {action && (
        <Bulk
          title={t(`batch.${action}`)}
          what={`${t(ids.length ? "bulk.what.chosen" : "bulk.what.found")}${action === "delete" ? ` ${t("act.delete.what")}` : ""}`}
          danger={DANGER.includes(action)}
          listed={ids.length > 0}
          close={() => setAction(undefined)}
          ask={(more) => send("POST", "/batches", { action, ...params, ...(ids.length ? { ids } : { filter }), ...more })}
        >
          {action === "roll_back" && <NumberInput label={t("bulk.steps")} value={steps} onChange={setSteps} min={1} max={1000} clampBehavior="strict" allowDecimal={false} />}
        </Bulk>
      )}
    </Group>
  );
}

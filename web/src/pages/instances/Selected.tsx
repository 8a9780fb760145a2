import { NumberInput } from "@mantine/core";
import { useState } from "react";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Selected as Many, type ManyAction } from "~/shared/Selected";

/** What can be done to the chosen instances, or, where none is chosen, to all that the filter finds. */
export function Selected({ ids, filter, clear }: { ids: string[]; filter: Record<string, string>; clear: () => void }) {
  const t = useText();
  const may = useMay("batches");
  const control = useMay("control");
  const remove = useMay("remove");
  const [steps, setSteps] = useState<number | string>(1);
  const actions: ManyAction[] = [
    ...(control
      ? ([
          { action: "suspend" },
          { action: "resume" },
          { action: "retry" },
          {
            action: "roll_back",
            params: { steps: Number(steps) || 1 },
            fields: <NumberInput label={t("bulk.steps")} value={steps} onChange={setSteps} min={1} max={1000} clampBehavior="strict" allowDecimal={false} />,
          },
          { action: "cancel", danger: true },
        ] satisfies ManyAction[])
      : []),
    ...(remove ? ([{ action: "delete", danger: true, what: t("act.delete.what") }] satisfies ManyAction[]) : []),
  ];
  return may ? <Many title={t("bulk.title")} of="instances" ids={ids} filter={filter} clear={clear} actions={actions} /> : null;
}

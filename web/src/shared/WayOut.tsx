import { JsonInput, NumberInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "~/api/client";
import type { Incident } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "./Ask";
import { objectOf } from "./Json";

export type Way = "retry" | "resolve" | "repair" | "release";

/** The ways out of an incident, the nearest first: try again, repair the data and go on, release from quarantine. */
export const waysOf = (i: Incident): Way[] => (i.code === "QUARANTINED" ? ["release"] : i.task ? ["retry", "repair"] : ["resolve", "repair"]);

/** One of them, asked for. */
export function WayOut({ of: i, way, close }: { of: Incident; way: Way; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const [retries, setRetries] = useState<number | string>(1);
  const [variables, setVariables] = useState("{\n}");
  const go = async (reason: string) => {
    if (way === "release") await send("POST", `/instances/${i.instance}/release`, reason ? { reason } : {});
    else {
      if (way === "repair") await send("PATCH", `/instances/${i.instance}/variables`, { variables: objectOf(variables)! });
      if (i.task) await send("POST", `/jobs/${i.task}/retries`, { retries: Number(retries) });
      await send("POST", `/incidents/${i.id}/resolve`);
    }
    notifications.show({ message: t("incident.asked"), color: "teal" });
    for (const key of ["incidents", "instance", "/incidents"]) void client.invalidateQueries({ queryKey: [key] });
  };
  return (
    <Ask title={t(`incident.${way}`)} what={t(`incident.${way}.what`)} reason={way === "release"} ready={way !== "repair" || objectOf(variables) !== null} close={close} go={go}>
      {way === "repair" && <JsonInput label={t("process.start.variables")} value={variables} onChange={setVariables} autosize minRows={4} maxRows={14} validationError={t("process.start.invalid")} data-autofocus />}
      {way !== "release" && i.task && <NumberInput label={t("incident.attempts")} value={retries} onChange={setRetries} min={1} max={100} clampBehavior="strict" allowDecimal={false} />}
    </Ask>
  );
}

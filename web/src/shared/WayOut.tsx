import { JsonInput, NumberInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { send } from "~/api/client";
import type { Incident, Plan } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "./Ask";
import { objectOf } from "./Json";
import { PlanShown } from "./PlanShown";
import { Failed, Waiting } from "./states";

export type Way = "retry" | "resolve" | "repair" | "release";

/** The ways out of an incident, the nearest first: try again, repair the data and go on, release from quarantine. */
export const waysOf = (i: Incident): Way[] => (i.code === "QUARANTINED" ? ["release"] : i.task ? ["retry", "repair"] : ["resolve", "repair"]);

/** One of them, asked for. */
export function WayOut({ of: i, way, close }: { of: Incident; way: Way; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const [retries, setRetries] = useState<number | string>(1);
  const [variables, setVariables] = useState("{\n}");
  // one attempt comes with the way out itself; more are granted before
  const granted = i.task && !(i.code === "JOB_NO_RETRIES" && Number(retries) === 1);
  const previewed = way === "retry" || way === "resolve";
  const seen = useQuery({
    queryKey: ["incident", i.id, "plan"],
    queryFn: async () => (await send("POST", `/incidents/${i.id}/resolve`, undefined, { dry_run: true })) as unknown as Plan,
    enabled: previewed,
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    refetchOnWindowFocus: false,
  });
  // a step may be refused, or wait for a second person: those before it aren't done again
  const done = useRef(new Set<string>());
  const once: typeof send = async (method, path, body) => {
    const step = JSON.stringify([method, path, body]);
    if (done.current.has(step)) return undefined as never;
    const said = await send(method, path, body);
    done.current.add(step);
    return said;
  };
  const go = async (reason: string) => {
    if (way === "release") await send("POST", `/instances/${i.instance}/release`, reason ? { reason } : {});
    else {
      if (way === "repair") await once("PATCH", `/instances/${i.instance}/variables`, { variables: objectOf(variables)! });
      if (granted) await once("POST", `/jobs/${i.task}/retries`, { retries: Number(retries) });
      const exactly = previewed && !granted && seen.data; // what was shown, or it is refused
      await send("POST", `/incidents/${i.id}/resolve`, undefined, exactly ? { plan: exactly.plan } : undefined);
    }
    notifications.show({ message: t("incident.asked"), color: "teal" });
    for (const key of ["incidents", "instance", "/incidents"]) void client.invalidateQueries({ queryKey: [key] });
  };
  return (
    <Ask title={t(`incident.${way}`)} what={t(`incident.${way}.what`)} reason={way === "release"} ready={way !== "repair" || objectOf(variables) !== null} close={close} go={go}>
      {way === "repair" && <JsonInput label={t("process.start.variables")} value={variables} onChange={setVariables} autosize minRows={4} maxRows={14} validationError={t("process.start.invalid")} data-autofocus />}
      {way !== "release" && i.task && <NumberInput label={t("incident.attempts")} value={retries} onChange={setRetries} min={1} max={100} clampBehavior="strict" allowDecimal={false} />}
      {previewed && (
        <div aria-live="polite" aria-busy={seen.isFetching}>
          {seen.error ? <Failed error={seen.error} again={() => void seen.refetch()} /> : seen.data ? <PlanShown plan={seen.data} /> : <Waiting />}
        </div>
      )}
    </Ask>
  );
}

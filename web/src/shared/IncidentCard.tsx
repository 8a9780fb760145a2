import { Anchor, Button, Group, JsonInput, NumberInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useMay } from "~/api/me";
import type { Incident } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "./Ask";
import { TroubleCard } from "./Cards";
import { objectOf } from "./Json";

type Way = "retry" | "resolve" | "repair" | "release";

/** What stands in the way, and the ways out: try again, repair the data and go on, release from quarantine. */
export function IncidentCard({ of: i, linked = false, disabled = false }: { of: Incident; linked?: boolean; disabled?: boolean }) {
  const t = useText();
  const may = useMay("repair", i);
  const client = useQueryClient();
  const [way, setWay] = useState<Way>();
  const [retries, setRetries] = useState<number | string>(1);
  const [variables, setVariables] = useState("{\n}");
  const open = i.status === "open";
  const ways: Way[] = i.code === "QUARANTINED" ? ["release"] : i.task ? ["retry", "repair"] : ["resolve", "repair"];
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
    <TroubleCard
      title={`${i.element ?? "–"} · ${i.code}`}
      status={i.status}
      since={i.created_at}
      ended={i.resolved_at}
      by={i.resolved_by}
      message={i.message}
      about={
        linked &&
        i.instance && (
          <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.instance! }} search={{ tab: "incidents", element: i.element ?? "" }} {...props} />} size="sm">
            {i.process} · {i.instance}
          </Anchor>
        )
      }
    >
      {open && may && (
        <Group gap="xs" mt="xs">
          {ways.map((w) => (
            <Button key={w} size="compact-sm" variant={w === ways[0] ? "filled" : "default"} color="red" disabled={disabled} onClick={() => setWay(w)}>
              {t(`incident.${w}`)}
            </Button>
          ))}
        </Group>
      )}
      {way && (
        <Ask title={t(`incident.${way}`)} what={t(`incident.${way}.what`)} reason={way === "release"} ready={way !== "repair" || objectOf(variables) !== null} close={() => setWay(undefined)} go={go}>
          {way === "repair" && <JsonInput label={t("process.start.variables")} value={variables} onChange={setVariables} autosize minRows={4} maxRows={14} validationError={t("process.start.invalid")} data-autofocus />}
          {way !== "release" && i.task && <NumberInput label={t("incident.attempts")} value={retries} onChange={setRetries} min={1} max={100} clampBehavior="strict" allowDecimal={false} />}
        </Ask>
      )}
    </TroubleCard>
  );
}

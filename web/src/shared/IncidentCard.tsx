import { Anchor, Button, Group } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useMay } from "~/api/me";
import type { Incident } from "~/api/types";
import { useText } from "~/i18n";
import { TroubleCard } from "./Cards";
import { WayOut, waysOf, type Way } from "./WayOut";

/** What stands in the way, and the ways out: try again, repair the data and go on, release from quarantine. `name`: of its element, where the page has its drawing; else as the server tells it. */
export function IncidentCard({ of: i, linked = false, disabled = false, name }: { of: Incident; linked?: boolean; disabled?: boolean; name?: string }) {
  const t = useText();
  const may = useMay("repair", i);
  const [way, setWay] = useState<Way>();
  const open = i.status === "open";
  const ways = waysOf(i);
  return (
    <TroubleCard
      title={`${name ?? i.element_name ?? i.element ?? "–"} · ${i.code}`}
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
      {way && <WayOut of={i} way={way} close={() => setWay(undefined)} />}
    </TroubleCard>
  );
}

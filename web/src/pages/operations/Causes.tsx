import { Button, Group, JsonInput, NumberInput, Text } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useRows } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { IncidentGroup } from "~/api/types";
import { useText } from "~/i18n";
import { Bulk } from "~/shared/Bulk";
import { Cards, TroubleCard } from "~/shared/Cards";
import { objectOf } from "~/shared/Json";
import { Empty } from "~/shared/states";

/** Incidents by what they have in common; all of one cause are resolved at once. */
export function Causes({ definition, code, status }: { definition?: string; code?: string; status: string }) {
  const t = useText();
  const list = useRows<IncidentGroup>("/incidents/groups", { status, definition, code });
  useRefreshOn({ type: "incident.*" }, [["/incidents/groups", "list"]], 1000);
  return (
    <Cards of={list} empty={<Empty title={t("home.stuck.none")} />}>
      {(group) => <CauseCard of={group} />}
    </Cards>
  );
}

function CauseCard({ of: group }: { of: IncidentGroup }) {
  const t = useText();
  const may = useMay("repair", group);
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const [asked, setAsked] = useState(false);
  const [variables, setVariables] = useState("{\n}");
  const [retries, setRetries] = useState<number | string>(1);
  return (
    <TroubleCard
      title={`${group.process} · ${group.element_name ?? group.element} · ${group.code}`}
      status={group.open > 0 ? "open" : "resolved"}
      since={group.first_at}
      ended={group.last_at}
      by={null}
      message={group.cause}
      about={<Text size="sm">{t("causes.count", { n: group.count, instances: group.instances })}</Text>}
    >
      <Group gap="xs" mt="xs">
        {group.open > 0 && may && (
          <Button size="compact-sm" color="red" onClick={() => setAsked(true)}>
            {t("causes.resolve")}
          </Button>
        )}
        <Button size="compact-sm" variant="default" onClick={() => void navigate({ to: ".", search: { ...search, by: "each", group: group.id } as Record<string, string> })}>
          {t("causes.show")}
        </Button>
      </Group>
      {asked && (
        <Bulk
          title={t("causes.resolve")}
          what={t("causes.resolve.what")}
          ready={objectOf(variables) !== null}
          close={() => setAsked(false)}
          ask={(more) => send("POST", `/incidents/groups/${group.id}/resolve`, { ...more, variables: objectOf(variables) ?? {}, retries: Number(retries) || 1 })}
        >
          <JsonInput label={t("process.start.variables")} value={variables} onChange={setVariables} autosize minRows={3} maxRows={10} validationError={t("process.start.invalid")} />
          <NumberInput label={t("incident.attempts")} value={retries} onChange={setRetries} min={1} max={100} clampBehavior="strict" allowDecimal={false} />
        </Bulk>
      )}
    </TroubleCard>
  );
}

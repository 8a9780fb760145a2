import { Anchor, Badge, Button, Group, List, NumberInput, Table, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import type { Plan, VersionInService as Version } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Answer, Failed } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { useNarrow } from "~/shared/Folded";
import { Wide } from "~/shared/Wide";

type Act = "default" | "share" | "stop" | "open";
interface Asked {
  act: Act;
  version: number;
}

/** How much runs on which version; one question for all parts of the page. */
export const useInService = (definition: string) => useQuery({ queryKey: ["process", definition, "in service"], queryFn: ({ signal }) => get(`/definitions/${definition}/versions`, {}, signal) });

/** The versions of a process: what runs on each, its share of new starts, how far it is from running dry; and which one new work is for. */
export function InService({ id, definition }: { id: string; definition: string }) {
  const t = useText();
  const may = useMay("rollout");
  const [asked, setAsked] = useState<Asked>();
  const found = useInService(definition);
  useRefreshOn({ type: "definition.*" }, [["/definitions"], ["process"]], 500);
  return (
    <Answer of={found}>
      {(told) => (
        <>
          <Wide minWidth={980} type="native">
            <Table verticalSpacing={4} aria-label={t("process.versions")}>
              <Table.Thead>
                <Table.Tr>
                  {["col.version", "col.status", "rollout.share", "rollout.running", "rollout.waiting", "rollout.made"].map((name) => (
                    <Table.Th key={name}>{t(name)}</Table.Th>
                  ))}
                  <Table.Th>{t("rollout.act")}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {(told.items ?? []).map((v) => (
                  <Row key={v.id} of={v} id={id} act={may && v.status === "published" ? (act) => setAsked({ act, version: v.version }) : undefined} />
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
          {told.changed_at && (
            <Text size="sm" c="dimmed" mt={4}>
              {t("rollout.changed", { by: told.changed_by ?? "" })} <When at={told.changed_at} />
              {told.reason && `: ${told.reason}`}
            </Text>
          )}
          {asked && <Change of={asked} definition={definition} share={told.ramp?.version === asked.version ? told.ramp.share : 5} close={() => setAsked(undefined)} />}
        </>
      )}
    </Answer>
  );
}

function Row({ of: v, id, act }: { of: Version; id: string; act?: (act: Act) => void }) {
  const t = useText();
  const narrow = useNarrow();
  const waiting = v.drain?.waiting ?? [];
  return (
    <Table.Tr>
      <Table.Td>
        <Anchor renderRoot={(props) => <Link to="/processes/$id" params={{ id }} search={{ version: String(v.version) }} {...props} />} size="sm" underline="always">
          v{v.version}
        </Anchor>{" "}
        {v.version_tag}
      </Table.Td>
      <Table.Td>
        <Group gap={4}>
          <Status of={v.status} />
          {v.default && <Badge variant="light" tt="none">{t("rollout.isdefault")}</Badge>}
          {v.stopped && (
            <Badge variant="light" color="yellow" tt="none">
              {t("rollout.stopped")}
            </Badge>
          )}
        </Group>
      </Table.Td>
      <Table.Td>{t("rollout.percent", { n: v.share })}</Table.Td>
      <Table.Td>
        <Anchor renderRoot={(props) => <Link to="/instances" search={{ definition: id, version: String(v.version) }} {...props} />} size="sm" underline="always" aria-label={t("rollout.instances", { n: v.drain?.open ?? 0, version: v.version })}>
          {v.drain?.open ?? 0}
        </Anchor>
        {" · "}
        {t(`rollout.drain.${v.drain?.status ?? "drained"}`)}
        {v.drain?.oldest && (
          <>
            {" · "}
            {t("rollout.oldest")} <When at={v.drain.oldest} />
          </>
        )}
      </Table.Td>
      <Table.Td>
        {waiting
          .slice(0, 4)
          .map((w) => `${w.element ?? t("rollout.event")} ${w.instances}`)
          .join(", ")}
        {waiting.length > 4 && " …"}
      </Table.Td>
      <Table.Td>
        <When at={v.created_at} />
      </Table.Td>
      <Table.Td>
        {act && (
          <Group gap={4} wrap={narrow ? "wrap" : "nowrap"}>
            {(["default", "share", v.stopped ? "open" : "stop"] as const).map((name) => (
              <Button key={name} size="compact-xs" variant="default" aria-label={`${t(`rollout.${name}`)}: v${v.version}`} onClick={() => act(name)}>
                {t(`rollout.${name}`)}
              </Button>
            ))}
          </Group>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

/** What would follow is asked first; what was shown is what is done. */
function Change({ of: { act, version }, definition, share: before, close }: { of: Asked; definition: string; share: number; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const [share, setShare] = useState<number | string>(before);
  const wish = { version, ...(act === "default" ? { default: true } : act === "share" ? { share: Number(share) } : { stop_starts: act === "stop" }) };
  const path = `/definitions/${definition}/rollout` as const;
  const plan = useQuery({
    queryKey: ["rollout", "preview", definition, wish],
    queryFn: async () => (await send("POST", path, { ...wish, dry_run: true })) as unknown as Plan,
    enabled: act !== "share" || typeof share === "number",
    gcTime: 0,
    staleTime: Infinity,
    retry: false,
    refetchOnWindowFocus: false,
  });
  return (
    <Ask
      title={t(`rollout.${act}`)}
      what={t(`rollout.${act}.what`, { version })}
      danger={act === "stop"}
      ready={Boolean(plan.data)}
      close={close}
      go={async (reason) => {
        await send("POST", path, { ...wish, reason, plan: plan.data?.plan });
        notifications.show({ message: t("rollout.done"), color: "teal" });
        await client.invalidateQueries({ queryKey: ["process"] });
      }}
    >
      {act === "share" && <NumberInput label={t("rollout.share")} min={0} max={100} decimalScale={2} suffix=" %" value={share} onChange={setShare} data-autofocus />}
      <div aria-live="polite">
        {plan.error ? <Failed error={plan.error} /> : (
          <List size="sm">
            {(plan.data?.warnings ?? []).map((text) => (
              <List.Item key={text}>{text}</List.Item>
            ))}
            {plan.data?.warnings?.length === 0 && <List.Item>{t("rollout.same")}</List.Item>}
          </List>
        )}
      </div>
    </Ask>
  );
}

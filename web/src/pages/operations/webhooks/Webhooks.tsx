import { Anchor, Badge, Button, Group, Paper, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useList } from "~/api/lists";
import { useRefreshOn } from "~/api/live";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Cards } from "~/shared/Cards";
import { Icon } from "~/shared/icons";
import { Empty, Failed } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Deliveries } from "./Deliveries";
import { Edit } from "./Edit";
import { Letters } from "./Letters";
import { Rotate } from "./Rotate";
import { Tried } from "./Tried";
import { secretName, type Webhook } from "./wish";

const PARTS = { deliveries: Deliveries, letters: Letters } as const;
type Part = keyof typeof PARTS;

/** Where events are sent: how each is, what it has sent, what nobody took. */
export function Webhooks() {
  const t = useText();
  const may = useMay("hookWrite");
  const [making, setMaking] = useState(false);
  const list = useList("/webhooks", {});
  useRefreshOn({ type: "webhook.*" }, [["/webhooks", "list"]], 500);
  const make = may && (
    <Button size="xs" leftSection={<Icon name="plus" size={13} />} onClick={() => setMaking(true)}>
      {t("hooks.new")}
    </Button>
  );
  const rows = list.rows.filter((row) => row.status !== "deleted");
  return (
    <>
      {rows.length > 0 && (
        <Group justify="space-between" mb="sm" gap="xs">
          <Text size="sm" c="dimmed">
            {t("hooks.what")}
          </Text>
          {make}
        </Group>
      )}
      <Cards
        of={{ ...list, rows }}
        empty={
          <Empty title={t("hooks.none")} action={make}>
            {t("hooks.what")}
          </Empty>
        }
      >
        {(hook) => <WebhookCard of={hook} />}
      </Cards>
      {making && <Edit close={() => setMaking(false)} />}
    </>
  );
}

function WebhookCard({ of: hook }: { of: Webhook }) {
  const t = useText();
  const may = useMay("hook");
  const mayWrite = useMay("hookWrite");
  const client = useQueryClient();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const [asked, setAsked] = useState<"pause" | "resume" | "delete" | "edit" | "rotate">();
  const [tested, setTested] = useState<{ event: string } | { error: unknown }>();
  const [busy, setBusy] = useState(false);
  const open = search.webhook === hook.name ? ((search.part ?? "deliveries") as Part) : undefined;
  const show = (part: Part) => void navigate({ to: ".", search: { tab: "webhooks", ...(open === part ? {} : { webhook: hook.name, part }) } as Record<string, string>, replace: true });
  const move = hook.status === "active" ? "pause" : "resume";
  const Shown = open && PARTS[open];
  const path = `/webhooks/${encodeURIComponent(hook.name)}`;
  const test = async () => {
    setBusy(true);
    try {
      const { event } = (await send("POST", `${path}/test` as `/webhooks/${string}/test`)) as { event: string };
      setTested({ event });
    } catch (error) {
      setTested({ error });
    } finally {
      setBusy(false);
    }
  };
  const go = async (reason: string) => {
    if (asked === "delete") await send("DELETE", path as `/webhooks/${string}`, undefined, { reason });
    else await send("POST", `${path}/${move}` as `/webhooks/${string}/pause`, { reason });
    await client.invalidateQueries({ queryKey: ["/webhooks"] });
  };
  const small = (label: string, onClick: () => void, more: { color?: string; loading?: boolean } = {}) => (
    <Button size="compact-sm" variant="default" onClick={onClick} {...more}>
      {label}
    </Button>
  );
  return (
    <Paper withBorder p="sm" mb="xs" role="group" aria-label={hook.name}>
      <Group gap="xs">
        <Text fw={600}>{hook.name}</Text>
        <Status of={hook.status} />
        {hook.order === "instance" && (
          <Badge size="sm" variant="light" color="gray" tt="none">
            {t("hooks.ordered")}
          </Badge>
        )}
      </Group>
      <Text size="sm" className="fl-mono" style={{ overflowWrap: "anywhere" }}>
        {hook.url}
      </Text>
      <Group gap="md" mt={4}>
        <Text size="sm">{t("hooks.delivered", { n: hook.delivered })}</Text>
        {hook.failed > 0 && <Text size="sm">{t("hooks.failed", { n: hook.failed })}</Text>}
        {hook.dead > 0 && (
          <Anchor component="button" size="sm" c="red" onClick={() => show("letters")}>
            {t("hooks.dead", { n: hook.dead })}
          </Anchor>
        )}
        {hook.last_at && (
          <Text size="sm">
            {t("triggers.last")} <When at={hook.last_at} />
          </Text>
        )}
        {hook.node && <Text size="sm">{t("hooks.node", { node: hook.node })}</Text>}
      </Group>
      <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
        {[
          hook.types.length > 0 ? hook.types.join(", ") : t("hooks.alltypes"),
          hook.definitions.length > 0 && t("hooks.of", { list: hook.definitions.join(", ") }),
          hook.filter && t("hooks.if", { filter: hook.filter }),
          t("hooks.signs", { list: hook.secrets.map(secretName).join(", ") }),
        ]
          .filter(Boolean)
          .join(" · ")}
      </Text>
      {hook.error && (
        <Text size="sm" c="red" style={{ overflowWrap: "anywhere" }}>
          {t("hooks.error", { error: hook.error })}
        </Text>
      )}
      {(hook.status === "disabled" || hook.status === "full") && (
        <Text size="sm" c="red">
          {t(`hooks.why.${hook.status}`)}
        </Text>
      )}
      {hook.status === "paused" && (hook.reason || hook.changed_by) && <Text size="sm">{[hook.changed_by, hook.reason].filter(Boolean).join(": ")}</Text>}
      <Group gap="xs" mt="xs">
        {(Object.keys(PARTS) as Part[]).map((part) => (
          <Button key={part} size="compact-sm" variant="default" aria-expanded={open === part} onClick={() => show(part)}>
            {t(`hooks.show.${part}`)}
          </Button>
        ))}
        {may && small(t("hooks.test"), () => void test(), { loading: busy })}
        {may && small(t(`hooks.${move}`), () => setAsked(move))}
        {mayWrite && small(t("hooks.edit"), () => setAsked("edit"))}
        {mayWrite && small(t("hooks.rotate"), () => setAsked("rotate"))}
        {mayWrite && (
          <Button size="compact-sm" variant="subtle" color="red" onClick={() => setAsked("delete")}>
            {t("hooks.delete")}
          </Button>
        )}
      </Group>
      {tested && ("event" in tested ? <Tried name={hook.name} event={tested.event} /> : <Failed error={tested.error} />)}
      {Shown && <Shown of={hook} />}
      {asked === "edit" && <Edit of={hook} close={() => setAsked(undefined)} />}
      {asked === "rotate" && <Rotate of={hook} close={() => setAsked(undefined)} />}
      {asked && asked !== "edit" && asked !== "rotate" && <Ask title={t(`hooks.${asked}`)} what={t(`hooks.${asked}.what`, { name: hook.name })} danger={asked === "delete"} close={() => setAsked(undefined)} go={go} />}
    </Paper>
  );
}

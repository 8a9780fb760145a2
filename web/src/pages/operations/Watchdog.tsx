import { Anchor, Button, Group, Select, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useMay } from "~/api/me";
import { useFindings } from "~/api/watchdog";
import type { WatchFinding } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { TroubleCard } from "~/shared/Cards";
import { Answer, Empty } from "~/shared/states";

/** What should hold and doesn't, why that is bad, and the repairs; how far the rounds are. */
export function Watchdog() {
  const t = useText();
  const q = useFindings(true);
  return (
    <Answer of={q} empty={(p) => p.items.length === 0 && p.partitions.every((x) => !x.silent) && <Empty title={t("watchdog.none")}>{t("watchdog.none.hint")}</Empty>}>
      {(p) => (
        <>
          {p.partitions
            .filter((x) => x.silent)
            .map((x) => (
              <TroubleCard key={x.partition} title={t("watchdog.silent", { n: x.partition })} status="open" since={null} message={x.why ?? ""} />
            ))}
          {p.items.map((f) => (
            <Finding key={f.id} of={f as WatchFinding} />
          ))}
          {p.found > p.items.length && <Text size="sm">{t("watchdog.more", { n: p.found - p.items.length })}</Text>}
        </>
      )}
    </Answer>
  );
}

function Finding({ of: f }: { of: WatchFinding }) {
  const t = useText();
  const may = useMay("mend", f);
  const client = useQueryClient();
  const first = f.repairs[0]?.repair ?? "";
  const [asked, setAsked] = useState(false);
  const [repair, setRepair] = useState(first);
  return (
    <TroubleCard
      title={t(`watchdog.kind.${f.kind}`)}
      status="open"
      since={f.since}
      message={f.says}
      about={
        f.instance && (
          <Anchor size="xs" renderRoot={(props) => <Link to="/instances/$id" params={{ id: f.instance ?? "" }} {...props} />}>
            {f.process || f.instance}
          </Anchor>
        )
      }
    >
      {may && (
        <Group gap="xs" mt="xs">
          <Button size="compact-sm" onClick={() => setAsked(true)}>
            {t("watchdog.repair")}
          </Button>
        </Group>
      )}
      {asked && (
        <Ask
          title={t("watchdog.repair")}
          what={t(`watchdog.does.${repair}`)}
          close={() => setAsked(false)}
          go={async (reason) => {
            await send("POST", `/watchdog/${f.id}/repair`, { repair, reason });
            notifications.show({ message: t("watchdog.repair.done"), color: "teal" });
            await client.invalidateQueries({ queryKey: ["watchdog"] });
          }}
        >
          <Select label={t("watchdog.how")} allowDeselect={false} value={repair} onChange={(v) => setRepair(v ?? first)} data={f.repairs.map((r) => ({ value: r.repair, label: t(`watchdog.do.${r.repair}`) }))} data-autofocus />
        </Ask>
      )}
    </TroubleCard>
  );
}

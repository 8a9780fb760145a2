import { Button, Group, Text } from "@mantine/core";
import { useState } from "react";
import { send } from "~/api/client";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Bulk } from "~/shared/Bulk";

const ACTIONS = ["suspend", "resume", "retry", "cancel"] as const;
type Action = (typeof ACTIONS)[number];

/** What can be done to the chosen instances, or, where none is chosen, to all that the filter finds. */
export function Selected({ ids, filter, clear }: { ids: string[]; filter: Record<string, string>; clear: () => void }) {
  const t = useText();
  const may = useMay("batches") && true;
  const control = useMay("control");
  const [action, setAction] = useState<Action>();
  if (!may || !control) return null;
  return (
    <Group mb="sm" gap="xs" role="group" aria-label={t("bulk.title")}>
      <Text size="sm">{ids.length ? t("bulk.chosen", { n: ids.length }) : t("bulk.found")}</Text>
      {ACTIONS.map((a) => (
        <Button key={a} size="compact-sm" variant="default" color={a === "cancel" ? "red" : undefined} onClick={() => setAction(a)}>
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
          what={t(ids.length ? "bulk.what.chosen" : "bulk.what.found")}
          danger={action === "cancel"}
          listed={ids.length > 0}
          close={() => setAction(undefined)}
          ask={(more) => send("POST", "/batches", { action, ...(ids.length ? { ids } : { filter }), ...more })}
        />
      )}
    </Group>
  );
}

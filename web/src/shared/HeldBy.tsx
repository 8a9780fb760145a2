import { Alert, Anchor, List } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useText } from "~/i18n";
import { Icon } from "./icons";
import { When } from "./time";

/** A hold, as it stands with what it is over. */
interface Held {
  id: string;
  scope: string;
  key: string;
  mode: string;
  status: string;
  reason?: string | null;
  created_by?: string | null;
  created_at?: string | null;
  until?: string | null;
}

export function overWhat(t: ReturnType<typeof useText>, hold: { scope: string; key: string }): string {
  const all = hold.scope === "tenant" && hold.key === "*";
  return all ? t("holds.all") : `${t(`holds.scope.${hold.scope}`)} ${hold.key}`.trim();
}

/** What keeps an instance or a task from going on: each hold with who placed it and why. */
export function HeldBy({ held, holds }: { held: string | null; holds: unknown }) {
  const t = useText();
  const all = (holds ?? []) as Held[];
  if (all.length === 0) return null;
  return (
    <Alert color="yellow" mb="sm" py={6} icon={<Icon name="pause" />} title={t(held ? `holds.is.${held}` : "holds.is.part")}>
      <List size="sm">
        {all.map((hold) => (
          <List.Item key={hold.id}>
            {t(`holds.mode.${hold.mode}`)}: {overWhat(t, hold)}
            {hold.status === "resuming" && ` (${t("status.resuming")})`}
            {hold.reason && ` · ${hold.reason}`}
            {hold.created_by && ` · ${hold.created_by}`} · <When at={hold.created_at ?? null} />
          </List.Item>
        ))}
      </List>
      <Anchor renderRoot={(props) => <Link to="/operations" search={{ tab: "holds" }} {...props} />} size="sm">
        {t("operations.holds")}
      </Anchor>
    </Alert>
  );
}

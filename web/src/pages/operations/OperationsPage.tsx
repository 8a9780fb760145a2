import "~/i18n/for-operations";
import { Button } from "@mantine/core";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMay, useSignIn } from "~/api/me";
import { useGathered } from "~/api/useSeveral";
import { useFindings } from "~/api/watchdog";
import { useText } from "~/i18n";
import { Parts } from "~/shared/Parts";
import { PageHead } from "~/shared/states";
import { Batches } from "./Batches";
import { Capabilities } from "./connections/Capabilities";
import { Connectors } from "./connections/Connectors";
import { DeadLetters } from "./DeadLetters";
import { Holds } from "./Holds";
import { Keys } from "./Keys";
import { Limits } from "./Limits";
import { Log } from "./Log";
import { firstOf, OpenIncidents } from "./OpenIncidents";
import { Partitions } from "./Partitions";
import { SettingsShown } from "./SettingsShown";
import { Users } from "./Users";
import { Tenants } from "./tenants/Tenants";
import { Triggers } from "./triggers/Triggers";
import { Watchdog } from "./Watchdog";
import { Webhooks } from "./webhooks/Webhooks";
import { Workers } from "./Workers";

const TABS = { incidents: OpenIncidents, batches: Batches, letters: DeadLetters, holds: Holds, triggers: Triggers, webhooks: Webhooks, connectors: Connectors, capabilities: Capabilities, watchdog: Watchdog, log: Log, workers: Workers, partitions: Partitions, limits: Limits, settings: SettingsShown, tenants: Tenants, users: Users, keys: Keys };

/** What belongs together: on a phone they are chosen from a list in groups, since so many tabs fill its screen. */
const GROUPS: Record<string, (keyof typeof TABS)[]> = {
  stuck: ["incidents", "letters", "watchdog"],
  doing: ["batches", "holds", "log"],
  outside: ["triggers", "webhooks", "connectors", "capabilities"],
  running: ["workers", "partitions", "limits", "settings"],
  people: ["tenants", "users", "keys"],
};

/** Pages of their own that belong here. */
const BESIDE = ["subjects", "retention", "evidence"] as const;

/** For those who run it: what is stuck, who works, how far each part is, what is limited, how it is set. */
export function OperationsPage() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const mayWatch = useMay("watch");
  const may = { subjects: useMay("subjects"), retention: useMay("retention"), evidence: useMay("evidence") };
  const mayViews = useMay("views");
  const found = useFindings(mayWatch).data?.found ?? 0;
  const signedIn = useSignIn()?.auth !== "none";
  const hidden: Record<string, boolean> = { log: !useMay("log"), watchdog: !mayWatch, triggers: !useMay("triggers"), webhooks: !useMay("hooks"), users: !useMay("users") || !signedIn, keys: !useMay("keys") || !signedIn, connectors: !useMay("models"), capabilities: !useMay("people"), tenants: !useMay("tenants") };
  const tabs = Object.entries(TABS).filter(([name]) => !hidden[name]);
  const open = search.tab ?? "incidents";
  const shown = tabs.some(([name]) => name === open) ? open : "incidents"; // as the parts fall back
  useGathered("operations", () => {
    const first = shown === "incidents" ? [...firstOf(search), ...(mayViews ? ["/saved-views?page=incidents"] : [])] : shown === "partitions" ? ["/incidents?limit=1"] : [];
    return [...first, ...(mayWatch ? ["/watchdog"] : [])];
  });
  const go = (tab: string | undefined) => void navigate({ to: ".", search: tab ? { tab } : {}, replace: true });
  return (
    <>
      <PageHead
        title={t("operations.title")}
        actions={
          BESIDE.filter((name) => may[name]).map((name) => (
            <Button key={name} component={Link} to={`/operations/${name}`} size="xs" variant="default">
              {t(`${name}.link`)}
            </Button>
          ))
        }
      >{t("operations.what")}</PageHead>
      <Parts
        label={t("operations.part")}
        parts={tabs.map(([name, Part]) => ({ name, label: t(`operations.${name}`), count: name === "watchdog" ? found : undefined, bad: true, show: () => <Part /> }))}
        groups={Object.entries(GROUPS).map(([group, names]) => ({ label: t(`operations.group.${group}`), names }))}
        open={open}
        go={go}
      />
    </>
  );
}

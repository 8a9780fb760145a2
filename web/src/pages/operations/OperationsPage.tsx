import { Badge, NativeSelect, Tabs } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMay, useSignIn } from "~/api/me";
import { useFindings } from "~/api/watchdog";
import { useText } from "~/i18n";
import { useNarrow } from "~/shared/Folded";
import { PageHead } from "~/shared/states";
import { Batches } from "./Batches";
import { Capabilities } from "./connections/Capabilities";
import { Connectors } from "./connections/Connectors";
import { DeadLetters } from "./DeadLetters";
import { Holds } from "./Holds";
import { Keys } from "./Keys";
import { Limits } from "./Limits";
import { Log } from "./Log";
import { OpenIncidents } from "./OpenIncidents";
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

/** For those who run it: what is stuck, who works, how far each part is, what is limited, how it is set. */
export function OperationsPage() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  const mayWatch = useMay("watch");
  const found = useFindings(mayWatch).data?.found ?? 0;
  const signedIn = useSignIn()?.auth !== "none";
  const hidden: Record<string, boolean> = { log: !useMay("log"), watchdog: !mayWatch, triggers: !useMay("triggers"), webhooks: !useMay("hooks"), users: !useMay("users") || !signedIn, keys: !useMay("keys") || !signedIn, connectors: !useMay("models"), capabilities: !useMay("people"), tenants: !useMay("tenants") };
  const tabs = Object.entries(TABS).filter(([name]) => !hidden[name]);
  const narrow = useNarrow();
  const open = search.tab ?? "incidents";
  const go = (tab: string | null) => void navigate({ to: ".", search: tab ? { tab } : {}, replace: true });
  return (
    <>
      <PageHead title={t("operations.title")}>{t("operations.what")}</PageHead>
      {narrow ? (
        <>
          <NativeSelect
            label={t("operations.part")}
            mb="sm"
            value={open}
            onChange={(e) => go(e.currentTarget.value)}
            data={Object.entries(GROUPS).map(([group, names]) => ({
              group: t(`operations.group.${group}`),
              items: names.filter((name) => !hidden[name]).map((name) => ({ value: name, label: `${t(`operations.${name}`)}${name === "watchdog" && found > 0 ? ` (${found})` : ""}` })),
            })).filter((group) => group.items.length > 0)}
          />
          {tabs.map(([name, Part]) => name === open && <Part key={name} />)}
        </>
      ) : (
        <Tabs keepMounted={false} value={open} onChange={go}>
          <Tabs.List>
            {tabs.map(([name]) => (
              <Tabs.Tab key={name} value={name} rightSection={name === "watchdog" && found > 0 && <Badge color="red" size="sm" variant="light">{found}</Badge>}>
                {t(`operations.${name}`)}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          {tabs.map(([name, Part]) => (
            <Tabs.Panel key={name} value={name} pt="sm">
              <Part />
            </Tabs.Panel>
          ))}
        </Tabs>
      )}
    </>
  );
}

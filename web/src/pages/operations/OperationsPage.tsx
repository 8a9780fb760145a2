import { Tabs } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useText } from "~/i18n";
import { PageHead } from "~/shared/states";
import { DeadLetters } from "./DeadLetters";
import { Holds } from "./Holds";
import { Limits } from "./Limits";
import { OpenIncidents } from "./OpenIncidents";
import { Partitions } from "./Partitions";
import { SettingsShown } from "./SettingsShown";
import { Workers } from "./Workers";

const TABS = { incidents: OpenIncidents, letters: DeadLetters, holds: Holds, workers: Workers, partitions: Partitions, limits: Limits, settings: SettingsShown };

/** For those who run it: what is stuck, who works, how far each part is, what is limited, how it is set. */
export function OperationsPage() {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  return (
    <>
      <PageHead title={t("operations.title")}>{t("operations.what")}</PageHead>
      <Tabs keepMounted={false} value={search.tab ?? "incidents"} onChange={(tab) => void navigate({ to: ".", search: tab ? { tab } : {}, replace: true })}>
        <Tabs.List>
          {Object.keys(TABS).map((name) => (
            <Tabs.Tab key={name} value={name}>
              {t(`operations.${name}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {Object.entries(TABS).map(([name, Part]) => (
          <Tabs.Panel key={name} value={name} pt="sm">
            <Part />
          </Tabs.Panel>
        ))}
      </Tabs>
    </>
  );
}

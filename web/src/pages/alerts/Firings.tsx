import { Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get } from "~/api/client";
import { useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { Status } from "~/shared/Status";
import { duration, inWords, When } from "~/shared/time";
import { inTime, type Alert } from "./rule";

const SHOWN = 50;

/** When it fired, the last times first. */
export function Firings({ of: alert }: { of: Alert }) {
  const t = useText();
  const q = useQuery({
    queryKey: ["/alerts", "firings", alert.name],
    queryFn: ({ signal }) => get(`/alerts/${encodeURIComponent(alert.name)}/firings` as `/alerts/${string}/firings`, { limit: SHOWN }, signal),
  });
  return (
    <Answer of={q} empty={(d) => d.items.length === 0 && <Empty title={t("alerts.firings.none")} />}>
      {(d) =>
        d.items.map((row) => (
          <Group key={row.id} gap="md" mt="xs">
            <Status of={row.status} />
            <Text size="sm">{groupText(row.group)}</Text>
            <Text size="sm">
              <When at={row.created_at ?? null} exact />
              {row.resolved_at && (
                <>
                  {" – "}
                  <When at={row.resolved_at} exact />
                </>
              )}
            </Text>
            {row.value != null && <Text size="sm">{figure(row.value, alert.rule.measure)}</Text>}
            {row.cases ? (
              <Text size="sm" c="dimmed">
                {t("alerts.cases", { n: row.cases })}
              </Text>
            ) : null}
          </Group>
        ))
      }
    </Answer>
  );
}

export const groupText = (group: Record<string, unknown>) => Object.values(group).map(String).join(" / ");

export const figure = (value: number, measure: unknown) => (inTime(measure) ? duration(value) : inWords(value));

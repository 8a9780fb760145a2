import { Anchor, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { get } from "~/api/client";
import type { RowOf } from "~/api/types";
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
            {row.action && <Acted of={row.action} />}
          </Group>
        ))
      }
    </Answer>
  );
}

/** What the rule did, in one line; it is undone where holds are released. */
function Acted({ of: done }: { of: NonNullable<RowOf<`/alerts/${string}/firings`>["action"]> }) {
  const t = useText();
  const why = done.refused ?? "";
  const words = { what: done.subject, why };
  if (done.hold)
    return (
      <Text size="sm">
        <Anchor renderRoot={(props) => <Link to="/operations" search={{ tab: "holds" }} {...props} />} size="sm">
          {t("alerts.acted.held", words)}
        </Anchor>{" "}
        <When at={done.until} exact />
      </Text>
    );
  return (
    <Text size="sm" c="dimmed">
      {why === "most_per_hour" || why === "stands" || why === "nothing" ? t(`alerts.acted.${why}`, words) : t(why ? "alerts.acted.refused" : "alerts.acted.asked", words)}
    </Text>
  );
}

export const groupText = (group: Record<string, unknown>) => Object.values(group).map(String).join(" / ");

export const figure = (value: number, measure: unknown) => (inTime(measure) ? duration(value) : inWords(value));

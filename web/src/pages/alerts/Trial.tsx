import { Alert, Loader, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { send } from "~/api/client";
import { useText } from "~/i18n";
import { Failed } from "~/shared/states";
import { When } from "~/shared/time";
import { figure, groupText } from "./Firings";
import type { Rule } from "./rule";

const DAYS = 7;
const SHOWN = 10;

/** When a rule would have fired in the last days; `rule`: one that isn't stored yet. */
export function Trial({ name, measure, rule }: { name: string; measure: unknown; rule?: Rule }) {
  const t = useText();
  const q = useQuery({
    queryKey: ["alert trial", name, rule],
    gcTime: 0,
    retry: false,
    queryFn: () => send("POST", `/alerts/${encodeURIComponent(name)}/test` as `/alerts/${string}/test`, { days: DAYS, ...(rule ? { rule } : {}) }),
  });
  if (q.error) return <Failed error={q.error} />;
  const found = q.data as { fired: number; silent: number; acted: number; items: { group: Record<string, string>; fired_at: string; resolved_at: string | null; value: number | null }[] } | undefined;
  if (!found)
    return (
      <Alert variant="light" color="gray" mt="xs" p="xs" role="status" icon={<Loader size={14} />}>
        {t("alerts.trial.waits")}
      </Alert>
    );
  return (
    <Alert variant="light" color={found.fired ? "orange" : "teal"} mt="xs" p="xs" role="status">
      {t(found.fired ? "alerts.trial.fired" : "alerts.trial.none", { n: found.fired, days: DAYS })}
      {found.silent > 0 && ` ${t("alerts.trial.silent", { n: found.silent })}`}
      {found.acted > 0 && ` ${t("alerts.acted.would", { n: found.acted })}`}
      {found.items.slice(0, SHOWN).map((item, n) => (
        <Text size="sm" key={n}>
          <When at={item.fired_at} exact />
          {item.resolved_at && (
            <>
              {" – "}
              <When at={item.resolved_at} exact />
            </>
          )}
          {item.value !== null && ` · ${figure(item.value, measure)}`}
          {Object.keys(item.group).length > 0 && ` · ${groupText(item.group)}`}
        </Text>
      ))}
    </Alert>
  );
}

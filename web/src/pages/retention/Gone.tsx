import { Alert, Anchor, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { send } from "~/api/client";
import type { BodyOf } from "~/api/types";
import { useText } from "~/i18n";
import { Answer } from "~/shared/states";
import { When } from "~/shared/time";

export type Wish = NonNullable<BodyOf<"POST", `/retention/${string}/preview`>>;

/** What would go by now, by the rule as it stands or by what it would be. Nothing goes. */
export function Gone({ name, wish }: { name: string; wish?: Wish }) {
  const t = useText();
  const q = useQuery({ queryKey: ["retention preview", name, wish], gcTime: 0, retry: false, queryFn: () => send("POST", `/retention/${name}/preview`, wish) });
  return (
    <div aria-live="polite">
      <Answer of={q}>
        {(d) => (
          <Alert color={d.instances || d.keys ? "orange" : "teal"} variant="light" title={d.instances || d.keys ? t("retention.gone", { instances: d.instances >= 10_000 ? "10 000+" : d.instances, keys: d.keys }) : t("retention.gone.none")}>
            <Text size="sm">
              {t("retention.before")} <When at={d.before} exact />
            </Text>
            {d.held > 0 && <Text size="sm">{t("retention.held", { n: d.held })}</Text>}
            {d.items.map((i) => (
              <Group key={i.id} gap="xs">
                <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.id }} target="_blank" {...props} />}>
                  {i.id}
                </Anchor>
                <Text size="sm">{i.definition}</Text>
                <Text size="sm" c="dimmed">
                  <When at={i.ended_at} />
                </Text>
              </Group>
            ))}
            {d.instances > d.items.length && <Text size="sm">{t("bulk.more", { n: d.instances - d.items.length })}</Text>}
          </Alert>
        )}
      </Answer>
    </div>
  );
}

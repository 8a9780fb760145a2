import { Anchor, Badge, Group, Paper, Text } from "@mantine/core";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { Fresh, long, percent, Share, useReport, type Part } from "./parts";

/** What instances wait for most, with what speaks for it; from there to the element on the diagram. */
export function Bottlenecks({ search, process, set }: Part) {
  const t = useText();
  const { language } = useLanguage();
  const report = useReport("/reports/bottlenecks", search, { process, version: search.version });
  return (
    <Answer of={report} empty={(d) => d.items.length === 0 && <Empty title={t("bottlenecks.none")}>{t("insight.nothing.hint")}</Empty>}>
      {(d) => (
        <>
          <Text size="sm" mb="xs">
            {t("bottlenecks.all", { time: long(d.waited_ms) })}
          </Text>
          {d.items.map((i) => {
            const evidence = [
              t("bottlenecks.count", { count: i.count, time: long(i.mean_ms) }),
              i.p95_ms != null && t("bottlenecks.p95", { time: long(i.p95_ms) }),
              i.wip > 0 && t("bottlenecks.wip", { count: i.wip }),
              i.change != null && Math.abs(i.change) >= 0.1 && t(i.change > 0 ? "bottlenecks.longer" : "bottlenecks.shorter", { share: percent(Math.abs(i.change), language) }),
              i.errors > 0 && t("bottlenecks.errors", { count: i.errors }),
              i.retries > 0 && t("bottlenecks.retries", { count: i.retries }),
              i.reworked > 0 && t("bottlenecks.reworked", { count: i.reworked }),
            ].filter(Boolean);
            return (
              <Paper withBorder p="sm" mb="xs" key={i.element} role="group" aria-label={i.name}>
                <Group gap="xs" justify="space-between">
                  <Group gap="xs">
                    <Badge circle variant="light" color={i.rank === 1 ? "orange" : "gray"}>
                      {i.rank}
                    </Badge>
                    <Anchor component="button" type="button" fw={600} size="sm" onClick={() => set({ tab: "heat", heat: "waiting", element: i.element })}>
                      {i.name}
                    </Anchor>
                    <Badge size="sm" variant="light" color="gray" tt="none">
                      {t(`bottlenecks.kind.${i.kind}`)}
                    </Badge>
                  </Group>
                  <Share of={i.share} label={t("bottlenecks.share", { share: percent(i.share, language) })} />
                </Group>
                <Text size="sm" mt={4}>
                  {evidence.join(" · ")}
                </Text>
              </Paper>
            );
          })}
          <Text size="xs" c="dimmed">
            {t("bottlenecks.what")}
          </Text>
          <Fresh of={report} />
        </>
      )}
    </Answer>
  );
}

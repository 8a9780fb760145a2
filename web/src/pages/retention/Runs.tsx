import { Button, Code, Group, Paper, Text } from "@mantine/core";
import { useList } from "~/api/lists";
import { useText } from "~/i18n";
import { Cards } from "~/shared/Cards";
import { Icon } from "~/shared/icons";
import { save } from "~/shared/save";
import { Empty } from "~/shared/states";
import { When } from "~/shared/time";

/** Each step that took something away, with its certificate: it stands in the log of operations. */
export function Runs() {
  const t = useText();
  const list = useList("/operations", { operation: "apply_retention" });
  return (
    <Cards of={list} empty={<Empty title={t("retention.runs.none")}>{t("retention.runs.none.hint")}</Empty>}>
      {(run) => {
        const { instances = [], keys = [], before_us } = (run.details ?? {}) as { instances?: unknown[]; keys?: string[]; before_us?: number };
        const before = before_us ? new Date(before_us / 1000).toISOString() : null;
        const certificate = { rule: run.subject, time: run.time, by: run.actor, reason: run.reason, ended_before: before, instances, keys, position: run.position };
        return (
          <Paper withBorder p="sm" mb="xs" role="group" aria-label={`${run.subject} ${run.position}`}>
            <Group justify="space-between" gap="xs">
              <Text size="sm">
                <b>{run.subject}</b>: {t("retention.run", { instances: instances.length, keys: keys.length })}, <When at={run.time} />
              </Text>
              <Button size="compact-xs" variant="default" leftSection={<Icon name="download" size={12} />} onClick={() => save(`retention-${run.position}.json`, "application/json", JSON.stringify(certificate, null, 2))}>
                {t("subjects.certificate.save")}
              </Button>
            </Group>
            <Text size="xs" c="dimmed" mt={4} style={{ overflowWrap: "anywhere" }}>
              {t("retention.before")} <When at={before} exact /> · {run.reason} · {t("retention.run.place", { position: run.position })}
            </Text>
            <details>
              <summary style={{ cursor: "pointer", fontSize: 13, width: "fit-content" }}>{t("retention.run.which")}</summary>
              <Code block mah={200} tabIndex={0} style={{ overflow: "auto" }}>
                {[...instances, ...keys].join("\n")}
              </Code>
            </details>
          </Paper>
        );
      }}
    </Cards>
  );
}

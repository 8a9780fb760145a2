import "~/i18n/for-audit";
import { Anchor, Badge, Button, Group, Paper, Text, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "~/api/client";
import { useList } from "~/api/lists";
import { useMay } from "~/api/me";
import type { RowOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Cards } from "~/shared/Cards";
import { Icon } from "~/shared/icons";
import { Empty, PageHead } from "~/shared/states";
import { When } from "~/shared/time";
import { Edit } from "./Edit";
import { Gone } from "./Gone";
import { keptFor } from "./kept";
import { Runs } from "./Runs";

export type Rule = RowOf<"/retention">;
type Step = { do: "edit"; rule?: Rule } | { do: "remove" | "look"; rule: Rule } | { do: "apply" };

/** For how long what has ended is kept: rules, what would go by them, and what has gone. */
export function RetentionPage() {
  const t = useText();
  return useMay("retention") ? <Retention /> : <Empty title={t("retention.maynot")}>{t("subjects.maynot.hint")}</Empty>;
}

function Retention() {
  const t = useText();
  const client = useQueryClient();
  const writes = useMay("retentionWrite");
  const [step, setStep] = useState<Step>();
  const list = useList("/retention", {});
  const rows = list.rows.map((rule) => ({ ...rule, id: rule.name }));
  const again = async () => {
    await Promise.all(["/retention", "/operations"].map((key) => client.invalidateQueries({ queryKey: [key] })));
  };
  const make = (
    <Button size="xs" leftSection={<Icon name="plus" size={13} />} onClick={() => setStep({ do: "edit" })}>
      {t("retention.make")}
    </Button>
  );
  return (
    <>
      <PageHead
        title={t("retention.title")}
        actions={
          writes &&
          rows.length > 0 && (
            <>
              <Button size="xs" variant="default" onClick={() => setStep({ do: "apply" })}>
                {t("retention.apply")}
              </Button>
              {make}
            </>
          )
        }
      >
        {t("retention.what")}{" "}
        <Anchor component={Link} to="/operations" size="sm" underline="always">
          {t("operations.title")}
        </Anchor>
      </PageHead>
      <section aria-label={t("retention.rules")}>
        <Cards of={{ ...list, rows }} empty={<Empty title={t("retention.none")} action={writes && make}>{t("retention.none.hint")}</Empty>}>
          {(rule) => (
            <Paper withBorder p="sm" mb="xs" role="group" aria-label={rule.name}>
              <Group justify="space-between" gap="xs">
                <Group gap="xs">
                  <Text fw={600} size="sm">
                    {rule.name}
                  </Text>
                  <Badge variant="light" tt="none">
                    {keptFor(rule.after, t)}
                  </Badge>
                </Group>
                <Group gap="xs">
                  <Button size="compact-xs" variant="default" onClick={() => setStep({ do: "look", rule })}>
                    {t("retention.look")}
                  </Button>
                  {writes && (
                    <>
                      <Button size="compact-xs" variant="default" onClick={() => setStep({ do: "edit", rule })}>
                        {t("retention.change")}
                      </Button>
                      <Button size="compact-xs" variant="default" c="red" onClick={() => setStep({ do: "remove", rule })}>
                        {t("retention.remove")}
                      </Button>
                    </>
                  )}
                </Group>
              </Group>
              <Text size="sm" mt={4} style={{ overflowWrap: "anywhere" }}>
                {t(rule.class ? "retention.of.class" : "retention.of.instances", { class: rule.class })} {rule.definition ? t("retention.of.definition", { definition: rule.definition }) : t("retention.of.all")}
              </Text>
              <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
                {rule.by || t("shell.nobody")}, <When at={rule.since} />: {rule.reason}
              </Text>
            </Paper>
          )}
        </Cards>
      </section>
      {useMay("log") && (
        <section aria-label={t("retention.runs")}>
          <Title order={2} mt="lg" mb={4}>
            {t("retention.runs")}
          </Title>
          <Text size="sm" c="dimmed" mb="xs">
            {t("retention.runs.what")}
          </Text>
          <Runs />
        </section>
      )}
      {step?.do === "edit" && <Edit of={step.rule} close={() => setStep(undefined)} done={again} />}
      {step?.do === "look" && (
        <Ask title={t("retention.look.close")} what={t("retention.look.what", { name: step.rule.name })} reason={false} close={() => setStep(undefined)} go={async () => undefined}>
          <Gone name={step.rule.name} />
        </Ask>
      )}
      {step?.do === "remove" && (
        <Ask
          title={t("retention.remove")}
          what={t("retention.remove.what", { name: step.rule.name })}
          danger
          reason={false}
          close={() => setStep(undefined)}
          go={async () => {
            await send("DELETE", `/retention/${step.rule.name}`);
            notifications.show({ message: t("retention.removed"), color: "teal" });
            await again();
          }}
        />
      )}
      {step?.do === "apply" && (
        <Ask
          title={t("retention.apply")}
          what={t("retention.apply.what")}
          danger
          reason={false}
          close={() => setStep(undefined)}
          go={async () => {
            const { certificates } = await send("POST", "/retention-steps");
            const count = certificates.reduce((n, c) => n + c.instances.length + c.keys.length, 0);
            notifications.show({ message: t(count ? "retention.applied" : "retention.applied.none", { count }), color: "teal" });
            await again();
          }}
        />
      )}
    </>
  );
}

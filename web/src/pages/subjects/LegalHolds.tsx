import { Paper, Text, Title } from "@mantine/core";
import { useList } from "~/api/lists";
import { useText } from "~/i18n";
import { Cards } from "~/shared/Cards";
import { Empty } from "~/shared/states";
import { When } from "~/shared/time";

/** The ledger knows whom a hold is on by a digest alone: who wants to lift one looks the subject up. */
export function LegalHolds() {
  const t = useText();
  const list = useList("/legal-holds", {});
  const rows = list.rows.map((hold) => ({ ...hold, id: hold.subject }));
  return (
    <section aria-label={t("subjects.holds")}>
      <Title order={2} mb={4}>
        {t("subjects.holds")}
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        {t("subjects.holds.what")}
      </Text>
      <Cards of={{ ...list, rows }} empty={<Empty title={t("subjects.holds.none")}>{t("subjects.holds.none.hint")}</Empty>}>
        {(hold) => (
          <Paper withBorder p="sm" mb="xs" role="group" aria-label={hold.reason}>
            <Text size="sm" fw={600} style={{ overflowWrap: "anywhere" }}>
              {hold.reason}
            </Text>
            <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
              {hold.by || t("shell.nobody")}, <When at={hold.since} /> · <code>{hold.subject}</code>
            </Text>
          </Paper>
        )}
      </Cards>
    </section>
  );
}

import { Anchor, SimpleGrid, Table, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { RowList } from "~/shared/RowList";
import { Answer, Empty } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Period, Shown, type Part } from "./parts";

type Told = AnswerOf<"get", "/evidence/report">;

/** Every change that somebody asked for, refusals, and each reading of protected values. */
export function Report({ of, set }: Part<Told>) {
  const t = useText();
  const counts = ["granted", "refused", "readings", "last"].map((name) => t(`evidence.${name}`));
  return (
    <Answer of={of} empty={(d) => d.items.length === 0 && <Empty title={t("evidence.none")}>{t("evidence.none.hint")}</Empty>}>
      {(d) => (
        <>
          <Period since={d.since} until={d.until} cut={d.cut} />
          <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg">
            <Shown title={t("evidence.by.person")} heads={[t("col.who"), ...counts]} none="" count={d.actors.length}>
              {d.actors.map((a) => (
                <Table.Tr key={a.actor}>
                  <Table.Td>
                    {a.actor ? (
                      <Anchor component="button" type="button" size="sm" onClick={() => set({ actor: a.actor })}>
                        {a.actor}
                      </Anchor>
                    ) : (
                      t("shell.nobody")
                    )}
                  </Table.Td>
                  <Counts of={a} />
                </Table.Tr>
              ))}
            </Shown>
            <Shown title={t("evidence.by.operation")} heads={[t("col.what"), ...counts]} none="" count={d.operations.length}>
              {d.operations.map((o) => (
                <Table.Tr key={`${o.operation} ${o.kind}`}>
                  <Table.Td>
                    <code>{o.operation}</code>
                  </Table.Td>
                  <Counts of={o} />
                </Table.Tr>
              ))}
            </Shown>
          </SimpleGrid>
          <Title order={2} mt="md" mb={4}>
            {t("evidence.all")}
          </Title>
          <RowList
            label={t("evidence.all")}
            rows={d.items}
            rowKey={(r) => r.position}
            height="60dvh"
            rowHeight={36}
            columns={[
              { key: "time", phone: "aside", head: t("col.time"), width: "10rem", cell: (r) => <When at={r.time} exact /> },
              { key: "who", phone: "more", head: t("col.who"), width: "6rem", cell: (r) => r.actor || "–" },
              { key: "what", phone: "title", head: t("col.what"), width: "11rem", cell: (r) => <code>{r.operation}</code> },
              {
                key: "about",
              phone: "more",
                head: t("log.about"),
                width: "minmax(11rem, 1fr)",
                cell: (r) =>
                  r.instance ? (
                    <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: r.instance! }} {...props} />}>
                      {r.kind} {r.subject}
                    </Anchor>
                  ) : (
                    [r.kind, r.subject, r.names?.join(", ")].filter(Boolean).join(" ")
                  ),
              },
              { key: "outcome", phone: "status", head: t("log.outcome"), width: "6rem", cell: (r) => (r.outcome === "refused" ? <Status of="refused" /> : t("log.granted")) },
              { key: "why", head: t("log.why"), width: "minmax(8rem, 1fr)", cell: (r) => r.reason || r.code },
              { key: "from", head: t("log.from"), width: "8rem", cell: (r) => [r.door, r.address].filter(Boolean).join(" ") || "–" },
              { key: "as", head: t("evidence.as"), width: "7rem", cell: (r) => (r.roles ?? []).join(", ") || r.credential || "–" },
            ]}
          />
        </>
      )}
    </Answer>
  );
}

function Counts({ of }: { of: { granted: number; refused: number; readings: number; last_at?: string | null } }) {
  return (
    <>
      <Table.Td>{of.granted}</Table.Td>
      <Table.Td>{of.refused}</Table.Td>
      <Table.Td>{of.readings}</Table.Td>
      <Table.Td>
        <When at={of.last_at ?? null} />
      </Table.Td>
    </>
  );
}

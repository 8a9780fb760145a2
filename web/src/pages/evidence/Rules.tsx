import { Anchor, Table } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { Answer } from "~/shared/states";
import { When } from "~/shared/time";
import { Period, Shown, type Part } from "./parts";

/** What rule packs said of instances and tasks: by rule, and each verdict with who had asked. */
export function Rules({ of }: Part<AnswerOf<"get", "/evidence/rules">>) {
  const t = useText();
  return (
    <Answer of={of}>
      {(d) => (
        <>
          <Period since={d.since} until={d.until} cut={d.cut} />
          <Shown title={t("rules.by")} heads={[t("rules.pack"), t("rules.rule"), t("rules.severity"), t("rules.violated"), t("rules.broken"), t("rules.held"), t("rules.refused")]} none={t("rules.by.none")} count={d.rules.length}>
            {d.rules.map((r) => (
              <Table.Tr key={`${r.pack} ${r.rule} ${r.severity}`}>
                <Table.Td>{r.pack}</Table.Td>
                <Table.Td>{r.rule}</Table.Td>
                <Table.Td>{t(`rules.severity.${r.severity}`)}</Table.Td>
                <Table.Td>{r.violated}</Table.Td>
                <Table.Td>{r.broken}</Table.Td>
                <Table.Td>{r.held}</Table.Td>
                <Table.Td>{r.refused}</Table.Td>
              </Table.Tr>
            ))}
          </Shown>
          <Shown title={t("rules.verdicts")} heads={[t("col.time"), t("col.who"), t("rules.rule"), t("rules.outcome"), t("rules.moment"), t("col.process"), t("col.instance")]} none={t("rules.verdicts.none")} count={d.items.length}>
            {d.items.map((v) => (
              <Table.Tr key={v.position}>
                <Table.Td>
                  <When at={v.time} exact />
                </Table.Td>
                <Table.Td>{v.actor}</Table.Td>
                <Table.Td title={v.message}>
                  {v.rule} ({v.pack}, {t("rules.version", { n: v.version })})
                </Table.Td>
                <Table.Td title={v.why}>
                  {t(`rules.${v.outcome}`)}
                  {v.refused && `, ${t("rules.refused")}`}
                </Table.Td>
                <Table.Td>
                  {t(`rules.moment.${v.moment}`)}
                  {v.element && `: ${v.element}`}
                </Table.Td>
                <Table.Td>{v.process}</Table.Td>
                <Table.Td>
                  {v.instance && (
                    <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: v.instance ?? "" }} {...props} />}>
                      {v.instance}
                    </Anchor>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Shown>
        </>
      )}
    </Answer>
  );
}

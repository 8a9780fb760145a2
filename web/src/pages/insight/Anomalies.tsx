import { Anchor, Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useLanguage, useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";
import { instancesOf, weekOf } from "./asked";
import { Fresh, long, useReport, type Part } from "./parts";

/** Hours and elements that are unlike the weeks before, the least likely first; from there to the instances. */
export function Anomalies({ search, process }: Part) {
  const t = useText();
  const { language } = useLanguage();
  const asked = weekOf(search, Date.now());
  const report = useReport("/reports/anomalies", asked, { process });
  const date = (at: string) => new Date(at).toLocaleString(language, { dateStyle: "short", timeStyle: "short" });
  const value = (kind: string, n?: number | null) => (n == null ? "" : kind === "duration" ? long(n) : n.toLocaleString(language, { maximumFractionDigits: 1 }));
  return (
    <Answer of={report} empty={(d) => d.items.length === 0 && <Empty title={t("anomalies.none")}>{t("anomalies.none.hint", { n: d.asked, from: date(d.from), to: date(d.to) })}</Empty>}>
      {(d) => (
        <>
          <Wide minWidth={560}>
            <Table fz="sm" verticalSpacing={4} aria-label={t("anomalies.table")} className="fl-numbers">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("anomalies.hour")}</Table.Th>
                  <Table.Th>{t("versions.measure")}</Table.Th>
                  <Table.Th ta="right">{t("anomalies.seen")}</Table.Th>
                  <Table.Th ta="right">{t("anomalies.usually")}</Table.Th>
                  <Table.Th ta="right">p</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {d.items.map((i) => (
                  <Table.Tr key={`${i.kind} ${i.instance} ${i.element} ${i.variable} ${i.from}`}>
                    <Table.Td>
                      {i.instance ? (
                        <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.instance! }} {...props} />}>
                          <When at={i.from} exact />
                        </Anchor>
                      ) : (
                        <Anchor size="sm" renderRoot={(props) => <Link to="/instances" search={instancesOf(process, i.from, i.to)} {...props} />}>
                          <When at={i.from} exact />
                        </Anchor>
                      )}
                    </Table.Td>
                    <Table.Td>{t(`anomalies.${i.kind}`, { element: i.element ?? "", variable: i.variable ?? "" })}</Table.Td>
                    <Table.Td ta="right">{value(i.kind, i.value)}</Table.Td>
                    <Table.Td ta="right">{value(i.kind, i.usual)}</Table.Td>
                    <Table.Td ta="right">{i.p_value < 0.001 ? `< ${(0.001).toLocaleString(language)}` : i.p_value.toLocaleString(language, { maximumFractionDigits: 3 })}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
          <Text size="xs" c="dimmed" mt="xs">
            {t("anomalies.what")}
          </Text>
          <Fresh of={report} />
        </>
      )}
    </Answer>
  );
}

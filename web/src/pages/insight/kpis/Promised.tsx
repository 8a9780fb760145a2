import { Anchor, Table } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { get } from "~/api/client";
import { useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";
import { spanOf, type Search } from "../asked";
import { long } from "../parts";

export const WHICH = ["late", "at_risk", "broken"] as const;
export type Which = (typeof WHICH)[number];
const SHOWN = 200;

/** The instances behind a number, the worst first. */
export function Promised({ name, which, search }: { name: string; which: Which; search: Search }) {
  const t = useText();
  const q = useQuery({
    queryKey: ["insight", "promised", name, which, search.last],
    queryFn: ({ signal }) => get(`/kpis/${encodeURIComponent(name)}/promised` as `/kpis/${string}/promised`, { which, limit: SHOWN, ...spanOf(search, Date.now()) } as never, signal),
  });
  return (
    <Answer of={q} empty={(d) => d.items.length === 0 && <Empty title={t("kpis.promised.none")} />}>
      {(d) => (
        <Wide minWidth={560} mah={360}>
          <Table fz="sm" verticalSpacing={3} aria-label={t(`kpis.which.${which}`)} className="fl-numbers">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t("kpis.instance")}</Table.Th>
                <Table.Th>{t("col.process")}</Table.Th>
                <Table.Th>{t("heat.element")}</Table.Th>
                <Table.Th>{t("kpis.began")}</Table.Th>
                <Table.Th ta="right">{t(which === "at_risk" ? "kpis.left" : "kpis.over")}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {d.items.map((i) => (
                <Table.Tr key={`${i.instance} ${i.element} ${i.began}`}>
                  <Table.Td>
                    <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.instance }} {...props} />}>
                      {i.instance}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>
                    {i.process} v{i.version}
                  </Table.Td>
                  <Table.Td>{i.element || "–"}</Table.Td>
                  <Table.Td>
                    <When at={i.began ?? null} />
                  </Table.Td>
                  <Table.Td ta="right">{long(Math.abs(i.over_ms))}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </Answer>
  );
}

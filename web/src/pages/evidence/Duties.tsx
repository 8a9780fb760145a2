import { Anchor, Table } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { Answer } from "~/shared/states";
import { When } from "~/shared/time";
import { Period, Shown, type Part } from "./parts";

/** In the reader's language; of a later server in its own words. */
const said = (text: string, otherwise: string) => (text.startsWith("duties.") ? otherwise : text);

/** Who did both of two tasks that are kept apart, and whose rights better belong to two. */
export function Duties({ of }: Part<AnswerOf<"get", "/evidence/duties">>) {
  const t = useText();
  return (
    <Answer of={of}>
      {(d) => (
        <>
          <Period since={d.since} until={d.until} cut={d.cut} />
          <Shown title={t("duties.did")} heads={[t("col.who"), t("col.process"), t("duties.first"), t("duties.second"), t("col.instance")]} none={t("duties.did.none")} count={d.did.length}>
            {d.did.map((c) => (
              <Table.Tr key={`${c.instance} ${c.first_task} ${c.second_task}`}>
                <Table.Td>{c.actor}</Table.Td>
                <Table.Td>{c.definition}</Table.Td>
                <Table.Td>
                  {c.first}, <When at={c.first_at} exact />
                </Table.Td>
                <Table.Td>
                  {c.second}, <When at={c.second_at} exact />
                </Table.Td>
                <Table.Td>
                  <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: c.instance }} search={{ tab: "work" } as Record<string, string>} {...props} />}>
                    {c.instance}
                  </Anchor>
                </Table.Td>
              </Table.Tr>
            ))}
          </Shown>
          <Shown title={t("duties.rights")} heads={[t("evidence.account"), t("duties.first"), t("duties.second"), t("duties.why")]} none={t("duties.rights.none")} count={d.rights.length}>
            {d.rights.map((c) => (
              <Table.Tr key={`${c.account} ${c.first} ${c.second}`}>
                <Table.Td>{c.account}</Table.Td>
                <Table.Td>
                  <code>{c.first}</code>
                </Table.Td>
                <Table.Td>
                  <code>{c.second}</code>
                </Table.Td>
                <Table.Td>{said(t(`duties.why.${c.first} ${c.second}`), c.why)}</Table.Td>
              </Table.Tr>
            ))}
          </Shown>
          <Shown title={t("duties.looked")} heads={[t("col.process"), t("duties.element"), t("duties.notby")]} none={t("duties.looked.none")} count={d.pairs.length}>
            {d.pairs.map(([process, one, other]) => (
              <Table.Tr key={`${process} ${one} ${other}`}>
                <Table.Td>{process}</Table.Td>
                <Table.Td>{other}</Table.Td>
                <Table.Td>{one}</Table.Td>
              </Table.Tr>
            ))}
          </Shown>
        </>
      )}
    </Answer>
  );
}

import { Badge, Group, Select, Table, Text } from "@mantine/core";
import { useState } from "react";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { Shown, type Part } from "./parts";

const BAD = new Set(["conflicting_rights", "unused", "never_used", "expired"]);

/** Who may do what and when they last did: for the review of who needs what. */
export function Access({ of }: Part<AnswerOf<"get", "/evidence/access">>) {
  const t = useText();
  const [remark, setRemark] = useState<string | null>(null);
  return (
    <Answer of={of} empty={(d) => d.items.length === 0 && <Empty title={t("access.none")}>{t("access.none.hint")}</Empty>}>
      {(d) => {
        const remarks = [...new Set(d.items.flatMap((a) => a.remarks))].sort();
        const rows = d.items.filter((a) => !remark || a.remarks.includes(remark));
        return (
          <>
            <Group justify="space-between" align="end">
              <Text size="sm" c="dimmed" component="div">
                <When at={d.at} exact />
              </Text>
              <Select size="xs" label={t("access.remark")} clearable placeholder={t("access.any")} value={remark} data={remarks.map((r) => ({ value: r, label: t(`access.remark.${r}`) }))} onChange={setRemark} />
            </Group>
            <Shown title={t("access.accounts")} heads={[t("evidence.account"), t("users.roles"), t("access.rights"), t("access.used"), t("access.last"), t("access.operations"), t("access.remark")]} none={t("access.none")} count={rows.length}>
              {rows.map((a) => (
                <Table.Tr key={`${a.kind} ${a.account}`}>
                  <Table.Td>
                    {a.account}
                    {a.kind === "key" && (
                      <Text size="xs" c="dimmed">
                        {t("access.key", { who: a.actor })}
                      </Text>
                    )}
                  </Table.Td>
                  <Table.Td>{a.roles.join(", ")}</Table.Td>
                  <Table.Td>
                    <details>
                      <summary>{a.rights.length}</summary>
                      {a.rights.map((right) => (
                        <div key={right}>
                          <code>{right}</code>
                        </div>
                      ))}
                    </details>
                  </Table.Td>
                  <Table.Td>
                    <When at={a.used_at ?? null} />
                  </Table.Td>
                  <Table.Td>
                    {a.last_operation ? <code>{a.last_operation}</code> : "–"} <When at={a.last_operation_at ?? null} />
                  </Table.Td>
                  <Table.Td>{a.operations}</Table.Td>
                  <Table.Td>
                    <Group gap={4}>
                      {a.remarks.map((r) => (
                        <Badge key={r} size="sm" variant="light" tt="none" color={BAD.has(r) ? "orange" : "gray"}>
                          {t(`access.remark.${r}`)}
                        </Badge>
                      ))}
                    </Group>
                  </Table.Td>
                </Table.Tr>
              ))}
            </Shown>
          </>
        );
      }}
    </Answer>
  );
}

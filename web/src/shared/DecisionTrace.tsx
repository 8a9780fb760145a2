import { Badge, Card, Table, Text } from "@mantine/core";
import { useText } from "~/i18n";
import { brief } from "./Json";

/** What the engine writes of an evaluation: each decision with its inputs and value, of each table the rules that fired. */
export interface Traced {
  kind: string;
  id: string;
  name: string;
  inputs: Record<string, unknown>;
  value: unknown;
  tables?: { id: string; hit_policy: string; inputs: { id: string; label: string; value: unknown }[]; matched: { index: number; id: string; outputs: Record<string, unknown> }[]; value: unknown }[];
}

export function DecisionTrace({ trace }: { trace: Traced[] }) {
  const t = useText();
  return (
    <>
      {trace.map((d) => (
        <Card key={d.id} withBorder padding="sm" mb="xs">
          <Text fw={600} size="sm">
            {d.name || d.id} → <span className="fl-mono">{brief(d.value, 200)}</span>
          </Text>
          {(d.tables ?? []).map((table) => (
            <Table.ScrollContainer key={table.id} minWidth={420}>
              <Table verticalSpacing={3} mt="xs">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>
                      <Badge variant="light" size="sm" tt="none" color="gray">
                        {table.hit_policy}
                      </Badge>
                    </Table.Th>
                    {table.inputs.map((i) => (
                      <Table.Th key={i.id}>
                        {i.label || i.id} = <span className="fl-mono">{brief(i.value, 60)}</span>
                      </Table.Th>
                    ))}
                    <Table.Th>{t("decision.output")}</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {table.matched.length === 0 && (
                    <Table.Tr>
                      <Table.Td colSpan={table.inputs.length + 2}>{t("decision.norule")}</Table.Td>
                    </Table.Tr>
                  )}
                  {table.matched.map((m) => (
                    <Table.Tr key={m.id || m.index}>
                      <Table.Td>{t("decision.rule", { n: m.index })}</Table.Td>
                      <Table.Td colSpan={table.inputs.length}>
                        <span className="fl-mono">{m.id}</span>
                      </Table.Td>
                      <Table.Td>
                        <span className="fl-mono">{brief(m.outputs, 200)}</span>
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          ))}
          {!d.tables?.length && Object.keys(d.inputs ?? {}).length > 0 && (
            <Text size="xs" c="dimmed" className="fl-mono">
              {brief(d.inputs, 300)}
            </Text>
          )}
        </Card>
      ))}
    </>
  );
}

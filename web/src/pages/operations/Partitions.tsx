import { Alert, Badge, Group, List, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get } from "~/api/client";
import { health, lookOf } from "~/api/health";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Answer, Empty } from "~/shared/states";
import { Wide } from "~/shared/Wide";

/** `0-41,1-7` as partition -> offset */
export function placesOf(text: string | null | undefined): Record<string, number> {
  return Object.fromEntries((text ?? "").split(",").filter(Boolean).map((p) => [p.split("-")[0]!, Number(p.split("-")[1])]));
}

/** Owners and projections: how far each partition has been decided, and how far the database has followed. */
export function Partitions() {
  const t = useText();
  const q = useQuery({
    queryKey: ["operations", "partitions"],
    refetchInterval: 2000,
    queryFn: async ({ signal }) => {
      const state = await health(signal);
      const page = state.queries ? await get("/incidents", { limit: 1 }, signal) : undefined;
      return { state, read: placesOf(page?.position) };
    },
  });
  return (
    <Answer of={q}>
      {({ state: h, read }) => (
        <>
          <Group gap="xs" mb="sm">
            <Badge color={lookOf(h.status).color} size="lg" variant="light" tt="none" leftSection={<Icon name={lookOf(h.status).icon} size={14} />}>
              {t(`health.${h.status}`)}
            </Badge>
            {Object.entries(h.parts).map(([name, part]) => (
              <Badge key={name} color={part.ok ? "teal" : "red"} variant="light" tt="none" leftSection={<Icon name={part.ok ? "check" : "warn"} size={12} />}>
                {t(`operations.part.${name}`)}
              </Badge>
            ))}
          </Group>
          {h.reasons.length + h.warnings.length > 0 && (
            <Alert color={h.reasons.length ? "red" : "yellow"} mb="sm">
              <List size="sm">
                {[...h.reasons, ...h.warnings].map((r) => (
                  <List.Item key={r}>{r}</List.Item>
                ))}
              </List>
            </Alert>
          )}
          <Title order={2} mb="xs">
            {t("operations.partitions")}
          </Title>
          {Object.keys(h.partitions).length === 0 ? (
            <Empty title={t("partitions.none")} />
          ) : (
            <Wide minWidth={420}>
              <Table verticalSpacing={4}>
                <Table.Thead>
                  <Table.Tr>
                    {["partitions.partition", "partitions.epoch", "partitions.decided", "partitions.read", "partitions.behind"].map((k) => (
                      <Table.Th key={k}>{t(k)}</Table.Th>
                    ))}
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {Object.entries(h.partitions as Record<string, { epoch: number; position: number }>).map(([p, owned]) => {
                    const behind = read[p] === undefined ? undefined : Math.max(0, owned.position - 1 - read[p]);
                    return (
                      <Table.Tr key={p}>
                        <Table.Td className="fl-named">{p}</Table.Td>
                        <Table.Td>{owned.epoch}</Table.Td>
                        <Table.Td>{owned.position}</Table.Td>
                        <Table.Td>{read[p] ?? "–"}</Table.Td>
                        <Table.Td>{behind === undefined ? "–" : behind > 1000 ? <Text span c="var(--fl-bad)">{behind}</Text> : behind}</Table.Td>
                      </Table.Tr>
                    );
                  })}
                </Table.Tbody>
              </Table>
            </Wide>
          )}
          <Text size="xs" c="dimmed" mt="xs">
            {t("partitions.what")}
          </Text>
        </>
      )}
    </Answer>
  );
}

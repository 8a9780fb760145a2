import { Anchor, Badge, Group, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { get } from "~/api/client";
import { useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";

const at = (us: number | null) => (us ? new Date(us / 1000).toISOString() : null);

/** Who works, on what, and what each holds. A worker that polls is listed until it has been silent for two minutes. */
export function Workers() {
  const t = useText();
  const q = useQuery({ queryKey: ["operations", "workers"], queryFn: ({ signal }) => get("/workers", {}, signal), refetchInterval: 3000 });
  return (
    <Answer
      of={q}
      empty={(p) =>
        p.items.length === 0 && (
          <Empty title={t("workers.none")}>
            <code>flowledger worker examples.workers</code>
          </Empty>
        )
      }
    >
      {(p) => (
        <Wide minWidth={680}>
          <Table verticalSpacing={6}>
            <Table.Thead>
              <Table.Tr>
                {["workers.name", "workers.types", "workers.holds", "workers.done", "workers.since", "workers.seen"].map((k) => (
                  <Table.Th key={k}>{t(k)}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {p.items.map((w) => (
                <Table.Tr key={w.id}>
                  <Table.Td>
                    {w.worker || "–"}{" "}
                    <Badge size="xs" variant="light" tt="none" color={w.connected ? "teal" : "gray"}>
                      {w.transport}
                    </Badge>
                    <Text size="xs" c="dimmed">
                      {w.address}
                    </Text>
                  </Table.Td>
                  <Table.Td>{(w.types as string[]).join(", ")}</Table.Td>
                  <Table.Td>
                    {w.holds_count ? (
                      <details>
                        <summary>{w.holds_count}</summary>
                        {(w.holds as unknown as { key: string; type: string; instance: string; deadline_us: number; overdue: boolean }[]).map((h) => (
                          <Group key={h.key} gap={6}>
                            <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: h.instance }} search={{ tab: "work" }} {...props} />} size="xs">
                              {h.type} · {h.key}
                            </Anchor>
                            <Text size="xs" c={h.overdue ? "red" : "dimmed"}>
                              <When at={at(h.deadline_us)} />
                            </Text>
                          </Group>
                        ))}
                      </details>
                    ) : (
                      0
                    )}
                  </Table.Td>
                  <Table.Td>
                    {w.completed} {!!w.failed && <Text span c="var(--fl-bad)" size="sm">/ {w.failed} ✗</Text>}
                  </Table.Td>
                  <Table.Td>
                    <When at={at(w.since_us)} />
                  </Table.Td>
                  <Table.Td>
                    <When at={at(w.last_seen_us)} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Wide>
      )}
    </Answer>
  );
}

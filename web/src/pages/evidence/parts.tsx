import { Table, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { useText } from "~/i18n";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";

export interface Asked<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

export interface Part<T> {
  of: Asked<T>;
  set: (more: Record<string, string | undefined>) => void;
}

/** A small table with its name above. */
export function Shown({ title, heads, children, none, count }: { title: string; heads: string[]; children: ReactNode; none: string; count: number }) {
  return (
    <section aria-label={title}>
      <Title order={2} mt="md" mb={4}>
        {title}
      </Title>
      {count === 0 ? (
        <Text size="sm" c="dimmed">
          {none}
        </Text>
      ) : (
        <Wide minWidth={heads.length * 110} mah={360}>
          <Table verticalSpacing={3} fz="sm" aria-label={title} className="fl-numbers" stickyHeader>
            <Table.Thead>
              <Table.Tr>
                {heads.map((head) => (
                  <Table.Th key={head}>{head}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>{children}</Table.Tbody>
          </Table>
        </Wide>
      )}
    </section>
  );
}

/** Of which time it is, and that there is more of it. */
export function Period({ since, until, cut }: { since: string; until: string; cut: boolean }) {
  const t = useText();
  return (
    <Text size="sm" c="dimmed" component="div">
      <When at={since} exact /> – <When at={until} exact />
      {cut && ` · ${t("evidence.cut")}`}
    </Text>
  );
}

import { Group, Text } from "@mantine/core";
import type { ReactNode } from "react";

/** A row on a phone: what it is and how it stands, and below what tells it from its like. */
export function TwoLines({ children, status, more, aside }: { children: ReactNode; status: ReactNode; more: ReactNode; aside: ReactNode }) {
  return (
    <div style={{ minWidth: 0, width: "100%" }}>
      <Group gap="xs" wrap="nowrap" justify="space-between">
        <div className="fl-cut">{children}</div>
        <div style={{ flex: "none" }}>{status}</div>
      </Group>
      <Group gap="xs" wrap="nowrap" justify="space-between">
        <Text size="xs" c="dimmed" component="div" className="fl-cut">
          {more}
        </Text>
        <Text size="xs" c="dimmed" component="div" style={{ flex: "none" }}>
          {aside}
        </Text>
      </Group>
    </div>
  );
}

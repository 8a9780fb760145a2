import { Alert, Button, Group, Text } from "@mantine/core";
import { Fragment, type ReactNode } from "react";
import { useText } from "~/i18n";
import { Icon } from "./icons";
import { Status } from "./Status";
import { Answer } from "./states";
import { When } from "./time";

interface Listed<T> {
  data: unknown;
  rows: T[];
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  more: () => void;
}

/** The rows of a list as cards, one below the other, and a button for more of them. */
export function Cards<T extends { id: string }>({ of: list, empty, children }: { of: Listed<T>; empty: ReactNode; children: (row: T) => ReactNode }) {
  const t = useText();
  return (
    <Answer of={list} empty={() => list.rows.length === 0 && empty}>
      {() => (
        <>
          {list.rows.map((row) => (
            <Fragment key={row.id}>{children(row)}</Fragment>
          ))}
          {list.hasNextPage && (
            <Button variant="default" size="xs" loading={list.isFetchingNextPage} onClick={list.more}>
              {t("operations.more")}
            </Button>
          )}
        </>
      )}
    </Answer>
  );
}

interface Trouble {
  title: string;
  status: string;
  since: string | null;
  /** When it ended, and by whom. */
  ended?: string | null;
  by?: string | null;
  message: ReactNode;
  /** Beside the status: where it belongs. */
  about?: ReactNode;
  /** Below the message: more of it, and the ways out. */
  children?: ReactNode;
}

/** Something that waits for a person, or did: what, since when, and what was done about it. */
export function TroubleCard({ title, status, since, ended, by, message, about, children }: Trouble) {
  const open = status === "open";
  return (
    <Alert color={open ? "red" : "gray"} variant="light" mb="xs" icon={<Icon name={open ? "warn" : "check"} />} title={title}>
      <Group gap="xs" mb={4}>
        <Status of={status} />
        <Text size="xs">
          <When at={since} />
          {ended && (
            <>
              {" → "}
              <When at={ended} /> {by}
            </>
          )}
        </Text>
        {about}
      </Group>
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>
        {message}
      </Text>
      {children}
    </Alert>
  );
}

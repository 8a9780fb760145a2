import { Alert, Anchor, Button, Center, Group, List, Loader, Stack, Text, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useEffect, useState, type ReactNode } from "react";
import { ApiError } from "~/api/client";
import { useText } from "~/i18n";
import { sentenceOf, useServerText } from "~/i18n/refusals";
import { Icon } from "./icons";
import { WaitsForSecond } from "./WaitsForSecond";

/** Shown only when the wait is long enough to be noticed. */
export function Waiting({ label }: { label?: string }) {
  const [late, set] = useState(false);
  const t = useText();
  useEffect(() => {
    const timer = setTimeout(() => set(true), 200);
    return () => clearTimeout(timer);
  }, []);
  return (
    <Center mih={120} role="status" aria-live="polite">
      {late && (
        <Group gap="xs">
          <Loader size="sm" />
          <Text c="dimmed">{label ?? t("state.loading")}</Text>
        </Group>
      )}
    </Center>
  );
}

/** Nothing here: why, and what to do. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <Center mih={160} p="md">
      <Stack align="center" gap="xs" maw={460} ta="center">
        <Text fw={600}>{title}</Text>
        {children && (
          <Text c="dimmed" size="sm" component="div">
            {children}
          </Text>
        )}
        {action}
      </Stack>
    </Center>
  );
}

/** What went wrong, as the server says it, in the reader's language where that is known, with its parts and a way out. One failing panel never takes the page. */
export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const t = useText();
  const say = useServerText();
  const problem = error instanceof ApiError ? error.problem : undefined;
  if (problem?.approval) return <WaitsForSecond approval={problem.approval} />;
  const known = problem && t(`problem.${problem.code}`);
  const title = problem ? (known && known !== `problem.${problem.code}` ? known : (problem.title ?? problem.code)) : t("problem.NETWORK");
  const parts = problem?.errors ?? [];
  const only = parts.length === 1 && parts[0]!.message === problem?.detail ? parts[0] : undefined; // not the same twice
  return (
    <Alert color="red" variant="light" icon={<Icon name="warn" />} title={title} role="alert">
      <Stack gap="xs">
        <Text size="sm">
          {only?.where && <code>{only.where} </code>}
          {say(problem ? (problem.detail ?? "") : sentenceOf(error))}
        </Text>
        {parts.length > 0 && !only && (
          <List size="sm">
            {parts.map((e, n) => (
              <List.Item key={n}>
                {e.where && <code>{e.where}</code>} {say(e.message)}
              </List.Item>
            ))}
          </List>
        )}
        {again && (
          <Button size="xs" variant="light" color="red" w="fit-content" onClick={again} leftSection={<Icon name="refresh" size={14} />}>
            {t("state.again")}
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

export function NotFound() {
  const t = useText();
  return (
    <Empty title={t("state.notfound")}>
      <Anchor component={Link} to="/">
        {t("state.home")}
      </Anchor>
    </Empty>
  );
}

export function PageFailed({ error }: { error: unknown }) {
  return <Failed error={error} again={() => window.location.reload()} />;
}

/** Title row of a page: its name, what it says, what can be done. */
export function PageHead({ title, children, actions }: { title: ReactNode; children?: ReactNode; actions?: ReactNode }) {
  return (
    <Group justify="space-between" align="flex-start" mb="md" gap="sm">
      <div>
        <Title order={1}>{title}</Title>
        {children && (
          <Text c="dimmed" size="sm" component="div">
            {children}
          </Text>
        )}
      </div>
      {actions && <Group gap="xs">{actions}</Group>}
    </Group>
  );
}

interface Asked<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

/** The four states of a question to the server. What was known stays while it is asked again. */
export function Answer<T>({ of, children, empty }: { of: Asked<T>; children: (data: T) => ReactNode; empty?: (data: T) => ReactNode | false }) {
  if (of.data !== undefined) return <>{(empty && empty(of.data)) || children(of.data)}</>;
  if (of.error) return <Failed error={of.error} again={() => of.refetch()} />;
  return <Waiting />;
}

/** The rows of a list, or what there is to say instead: why they can't be had, that they are on their way, that there are `none`. */
export function Listed({ list, none, children }: { list: { error: unknown; data: unknown; rows: unknown[]; refetch: () => unknown }; none: ReactNode; children: ReactNode }) {
  if (list.error && !list.data) return <Failed error={list.error} again={() => void list.refetch()} />;
  if (!list.data) return <Waiting />;
  return list.rows.length === 0 ? none : children;
}

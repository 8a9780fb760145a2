import { Anchor, Badge, Button, Card, Group, List, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { get } from "~/api/client";
import { lookOf } from "~/api/health";
import { useRefreshOn } from "~/api/live";
import { useMay, useMe } from "~/api/me";
import type { Overview } from "~/api/types";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Answer, Empty, PageHead } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";

/** Is it well, what runs, what is stuck, what is mine to do: one question for all of it. What one may not see isn't there. */
export function HomePage() {
  const t = useText();
  const { actor } = useMe();
  const q = useQuery({ queryKey: ["home", actor], refetchInterval: 5000, queryFn: ({ signal }) => get("/overview", {}, signal) });
  useRefreshOn({}, [["home"]], 2000);
  return (
    <>
      <PageHead title={t("home.title")}>{t("home.what")}</PageHead>
      <Answer of={q}>
        {(found) => (
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            <Well of={found} />
            <Part title={t(actor ? "home.mine" : "home.people")} of={found} part="tasks">
              {(rows) => <Mine rows={rows} />}
            </Part>
            <Part title={t("home.stuck")} of={found} part="incidents">
              {(rows) => <Stuck rows={rows} />}
            </Part>
            <Part title={t("home.runs")} of={found} part="instances">
              {(rows) => <Recent rows={rows} />}
            </Part>
          </SimpleGrid>
        )}
      </Answer>
    </>
  );
}

type Rows<P extends "tasks" | "incidents" | "instances"> = NonNullable<Overview[P]>;

function Part<P extends "tasks" | "incidents" | "instances">({ title, of: found, part, children }: { title: string; of: Overview; part: P; children: (rows: Rows<P>) => ReactNode }) {
  const t = useText();
  if (found.unseen[part] === "FORBIDDEN") return null;
  const rows = found[part];
  return (
    <Card withBorder padding="md">
      <Title order={2}>{title}</Title>
      {rows ? children(rows) : <Empty title={t("home.queries.away")} />}
    </Card>
  );
}

function Well({ of: { health: h, findings } }: { of: Overview }) {
  const t = useText();
  const operates = useMay("workers");
  return (
    <Card withBorder padding="md">
      <Title order={2}>{t("home.well")}</Title>
      <Stack gap="xs" mt="xs">
        <Group gap="xs">
          <Badge color={lookOf(h.status).color} size="lg" variant="light" tt="none" leftSection={<Icon name={lookOf(h.status).icon} size={14} />}>
            {t(`health.${h.status}`)}
          </Badge>
          <Text size="sm" c="dimmed">
            {t("home.partitions", { count: Object.keys(h.partitions ?? {}).length })}
          </Text>
        </Group>
        {(h.reasons.length > 0 || (h.warnings?.length ?? 0) > 0) && (
          <List size="sm">
            {[...h.reasons, ...(h.warnings ?? [])].map((r) => (
              <List.Item key={r}>{r}</List.Item>
            ))}
          </List>
        )}
        {(findings ?? 0) > 0 && (
          <Anchor renderRoot={(props) => <Link to="/operations" search={{ tab: "watchdog" }} {...props} />} size="sm" c="red">
            {t("watchdog.found", { count: findings ?? 0 })}
          </Anchor>
        )}
        {operates && (
          <Anchor component={Link} to="/operations" size="sm">
            {t("home.operations")}
          </Anchor>
        )}
      </Stack>
    </Card>
  );
}

function Mine({ rows }: { rows: Rows<"tasks"> }) {
  const t = useText();
  if (rows.length === 0) return <Empty title={t("home.mine.none")}>{t("home.mine.hint")}</Empty>;
  return (
    <Stack gap={6} mt="xs">
      {rows.map((task) => (
        <Group key={task.id} justify="space-between" wrap="nowrap" gap="xs">
          <Anchor renderRoot={(props) => <Link to="/tasks/$id" params={{ id: task.id }} {...props} />} className="fl-cut">
            {task.name || task.element}
          </Anchor>
          <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
            {task.assignee ?? t("tasks.nobody")} · <When at={task.due_at ?? task.created_at ?? null} />
          </Text>
        </Group>
      ))}
      <Anchor component={Link} to="/tasks" size="sm">
        {t("home.alltasks")}
      </Anchor>
    </Stack>
  );
}

function Stuck({ rows }: { rows: Rows<"incidents"> }) {
  const t = useText();
  if (rows.length === 0) return <Empty title={t("home.stuck.none")} />;
  return (
    <Stack gap={6} mt="xs">
      {rows.map((i) => (
        <div key={i.id}>
          <Group justify="space-between" wrap="nowrap" gap="xs">
            <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.instance ?? "" }} search={{ element: i.element ?? "", tab: "incidents" }} {...props} />} className="fl-cut">
              {i.element_name ?? i.element} · {i.code}
            </Anchor>
            <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
              <When at={i.created_at ?? null} />
            </Text>
          </Group>
          <Text size="xs" c="dimmed" lineClamp={2}>
            {i.process} · {i.message}
          </Text>
        </div>
      ))}
      <Anchor renderRoot={(props) => <Link to="/instances" search={{ has_incident: "true" }} {...props} />} size="sm">
        {t("home.allincidents")}
      </Anchor>
    </Stack>
  );
}

function Recent({ rows }: { rows: Rows<"instances"> }) {
  const t = useText();
  if (rows.length === 0)
    return (
      <Empty
        title={t("home.runs.none")}
        action={
          <Button component={Link} to="/processes" size="xs" variant="light">
            {t("home.runs.start")}
          </Button>
        }
      />
    );
  return (
    <Stack gap={6} mt="xs">
      {rows.map((i) => (
        <Group key={i.id} justify="space-between" wrap="nowrap" gap="xs">
          <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.id }} {...props} />} style={{ minWidth: 0, overflowWrap: "anywhere" }}>
            {i.name || i.process} {i.business_key && `· ${i.business_key}`}
          </Anchor>
          <Group gap="xs" wrap="nowrap" style={{ flex: "none" }}>
            <Status of={i.has_incident && i.status === "running" ? "incident" : i.status} paused={i.paused} />
            <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
              <When at={i.created_at ?? null} />
            </Text>
          </Group>
        </Group>
      ))}
      <Anchor component={Link} to="/instances" size="sm">
        {t("home.allinstances")}
      </Anchor>
    </Stack>
  );
}

import { Anchor, Badge, Button, Card, Group, List, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ApiError, get } from "~/api/client";
import { health, lookOf } from "~/api/health";
import { useRefreshOn } from "~/api/live";
import { useMay, useMe } from "~/api/me";
import { useFindings } from "~/api/watchdog";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Answer, Empty, PageHead } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";

/** Is it well, what runs, what is stuck, what is mine to do. */
export function HomePage() {
  const t = useText();
  useRefreshOn({}, [["home"]], 2000);
  return (
    <>
      <PageHead title={t("home.title")}>{t("home.what")}</PageHead>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Well />
        <Mine />
        <Stuck />
        <Recent />
      </SimpleGrid>
    </>
  );
}

function Well() {
  const t = useText();
  const operates = useMay("workers");
  const found = useFindings(useMay("watch")).data?.found ?? 0;
  const q = useQuery({ queryKey: ["home", "health"], queryFn: ({ signal }) => health(signal), refetchInterval: 5000 });
  return (
    <Card withBorder padding="md">
      <Title order={2}>{t("home.well")}</Title>
      <Answer of={q}>
        {(h) => (
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
            {found > 0 && (
              <Anchor renderRoot={(props) => <Link to="/operations" search={{ tab: "watchdog" }} {...props} />} size="sm" c="red">
                {t("watchdog.found", { count: found })}
              </Anchor>
            )}
            {operates && (
              <Anchor component={Link} to="/operations" size="sm">
                {t("home.operations")}
              </Anchor>
            )}
          </Stack>
        )}
      </Answer>
    </Card>
  );
}

function Mine() {
  const t = useText();
  const { actor } = useMe();
  const q = useQuery({
    queryKey: ["home", "mine", actor],
    queryFn: ({ signal }) => get("/tasks", { open: true, type: "user_task", limit: 6, assignee: actor || undefined }, signal),
  });
  return (
    <Card withBorder padding="md">
      <Title order={2}>{t(actor ? "home.mine" : "home.people")}</Title>
      <Answer of={q} empty={(p) => p.items.length === 0 && <Empty title={t("home.mine.none")}>{t("home.mine.hint")}</Empty>}>
        {(p) => (
          <Stack gap={6} mt="xs">
            {p.items.map((task) => (
              <Group key={task.id} justify="space-between" wrap="nowrap" gap="xs">
                <Anchor renderRoot={(props) => <Link to="/tasks/$id" params={{ id: task.id }} {...props} />} className="fl-cut">
                  {task.name || task.element}
                </Anchor>
                <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
                  {task.assignee ?? t("tasks.nobody")} · <When at={task.due_at ?? task.created_at} />
                </Text>
              </Group>
            ))}
            <Anchor component={Link} to="/tasks" size="sm">
              {t("home.alltasks")}
            </Anchor>
          </Stack>
        )}
      </Answer>
    </Card>
  );
}

function Stuck() {
  const t = useText();
  const may = useMay("incidents");
  const q = useQuery({ queryKey: ["home", "incidents"], enabled: may, queryFn: ({ signal }) => get("/incidents", { status: "open", limit: 6 }, signal) });
  if (!may) return null;
  return (
    <Card withBorder padding="md">
      <Title order={2}>{t("home.stuck")}</Title>
      <Answer of={q} empty={(p) => p.items.length === 0 && <Empty title={t("home.stuck.none")} />}>
        {(p) => (
          <Stack gap={6} mt="xs">
            {p.items.map((i) => (
              <div key={i.id}>
                <Group justify="space-between" wrap="nowrap" gap="xs">
                  <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.instance }} search={{ element: i.element }} {...props} />} className="fl-cut">
                    {i.element} · {i.code}
                  </Anchor>
                  <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
                    <When at={i.created_at} />
                  </Text>
                </Group>
                <Text size="xs" c="dimmed" lineClamp={2}>
                  {i.message}
                </Text>
              </div>
            ))}
            <Anchor renderRoot={(props) => <Link to="/instances" search={{ has_incident: "true" }} {...props} />} size="sm">
              {t("home.allincidents")}
            </Anchor>
          </Stack>
        )}
      </Answer>
    </Card>
  );
}

function Recent() {
  const t = useText();
  const q = useQuery({ queryKey: ["home", "recent"], queryFn: ({ signal }) => get("/instances", { limit: 7 }, signal) });
  const gone = q.error instanceof ApiError && q.error.status === 503;
  return (
    <Card withBorder padding="md">
      <Title order={2}>{t("home.runs")}</Title>
      <Answer
        of={q}
        empty={(p) =>
          p.items.length === 0 && (
            <Empty
              title={t("home.runs.none")}
              action={
                <Button component={Link} to="/processes" size="xs" variant="light">
                  {t("home.runs.start")}
                </Button>
              }
            />
          )
        }
      >
        {(p) => (
          <Stack gap={6} mt="xs">
            {p.items.map((i) => (
              <Group key={i.id} justify="space-between" wrap="nowrap" gap="xs">
                <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: i.id }} {...props} />} className="fl-cut">
                  {i.name || i.process} {i.business_key && `· ${i.business_key}`}
                </Anchor>
                <Group gap="xs" wrap="nowrap" style={{ flex: "none" }}>
                  <Status of={i.has_incident && i.status === "running" ? "incident" : i.status} paused={i.paused} />
                  <Text size="xs" c="dimmed" style={{ whiteSpace: "nowrap" }}>
                    <When at={i.created_at} />
                  </Text>
                </Group>
              </Group>
            ))}
            <Anchor component={Link} to="/instances" size="sm">
              {t("home.allinstances")}
            </Anchor>
          </Stack>
        )}
      </Answer>
      {gone && <Text size="xs">{t("home.queries.away")}</Text>}
    </Card>
  );
}

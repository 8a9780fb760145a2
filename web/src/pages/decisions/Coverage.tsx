import { Badge, Card, Group, Progress, SegmentedControl, Switch, Table, Text, Title } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { get } from "~/api/client";
import { useRefreshOn } from "~/api/live";
import type { RuleCoverage } from "~/api/types";
import { useText } from "~/i18n";
import { Answer, Empty } from "~/shared/states";
import { When } from "~/shared/time";
import { Wide } from "~/shared/Wide";
import { SPANS, since } from "./spans";

/** Which rules fired in the time that the address says, by decision and in their order. */
export function useCoverage(id: string, version: number | undefined, span: string | undefined, together: boolean, enabled: boolean) {
  const q = useQuery({
    queryKey: ["/decisions", id, "coverage", version, span, together],
    queryFn: ({ signal }) => get(`/decisions/${id}/coverage`, { version, together: together || undefined, from: since(span, Date.now()) }, signal),
    enabled: enabled && version !== undefined,
    placeholderData: keepPreviousData,
  });
  useRefreshOn({ type: "decision.evaluated" }, [["/decisions", id, "coverage"]], 1500, enabled);
  const counts = useMemo(() => {
    if (!enabled || !q.data || q.data.evaluations === 0) return undefined; // of nothing there is nothing to mark
    const found: Record<string, number[] | undefined> = {};
    // of several tables in one decision the drawing shows one, and which isn't said
    for (const table of q.data.tables) found[table.decision] = table.decision in found ? undefined : table.rules.map((r) => r.fired);
    return found;
  }, [enabled, q.data]);
  return { q, counts };
}

/** How often each rule fired, and which never did. */
export function Coverage({ of, versions }: { of: ReturnType<typeof useCoverage>["q"]; versions: number }) {
  const t = useText();
  const search = useSearch({ strict: false }) as Record<string, string>;
  const navigate = useNavigate();
  return (
    <>
      <Group mb="sm" gap="md">
        <SegmentedControl
          size="xs"
          aria-label={t("coverage.span")}
          value={search.span ?? "all"}
          onChange={(span) => void navigate({ to: ".", search: { ...search, span: span === "all" ? undefined : span } as Record<string, string>, replace: true })}
          data={Object.keys(SPANS).map((s) => ({ value: s, label: t(`coverage.span.${s}`) }))}
        />
        {versions > 1 && (
          <Switch
            size="sm"
            label={t("coverage.together")}
            checked={search.together === "1"}
            onChange={(e) => void navigate({ to: ".", search: { ...search, together: e.currentTarget.checked ? "1" : undefined } as Record<string, string>, replace: true })}
          />
        )}
      </Group>
      <Answer of={of} empty={(c) => c.tables.length === 0 && <Empty title={t("coverage.notables")}>{t("coverage.notables.hint")}</Empty>}>
        {(c) => (
          <>
            <Text size="sm" mb="xs" aria-live="polite">
              {c.evaluations === 0 ? t("coverage.nothing", { version: c.version }) : t(c.versions.length > 1 ? "coverage.told.together" : "coverage.told", { count: c.evaluations, version: c.version, versions: c.versions.length, never: c.never, rules: c.rules })}
              {!c.complete && ` ${t("coverage.newest")}`}
            </Text>
            {c.tables.map((table) => (
              <Card key={`${table.decision} ${table.id}`} withBorder padding="sm" mb="sm">
                <Group gap="xs" mb="xs">
                  <Title order={2} size="h3">
                    {table.name || table.decision}
                  </Title>
                  <Badge variant="light" size="sm" tt="none" color="gray">
                    {table.hit_policy}
                  </Badge>
                  <Text size="xs" c="dimmed">
                    {t("coverage.evaluated", { count: table.evaluated })}
                    {table.without > 0 && ` · ${t("coverage.without", { count: table.without })}`}
                  </Text>
                </Group>
                <Wide minWidth={560}>
                  <Table verticalSpacing={4}>
                    <Table.Thead>
                      <Table.Tr>
                        {["coverage.rule", "coverage.when", "coverage.then", "coverage.fired", "coverage.last"].map((k) => (
                          <Table.Th key={k}>{t(k)}</Table.Th>
                        ))}
                      </Table.Tr>
                    </Table.Thead>
                    <Table.Tbody>
                      {table.rules.map((rule) => (
                        <Rule key={rule.index} of={rule} marked={table.evaluated > 0} />
                      ))}
                    </Table.Tbody>
                  </Table>
                </Wide>
              </Card>
            ))}
          </>
        )}
      </Answer>
    </>
  );
}

function Rule({ of: rule, marked }: { of: RuleCoverage; marked: boolean }) {
  const t = useText();
  return (
    <Table.Tr>
      <Table.Td title={rule.id}>{rule.index}</Table.Td>
      <Table.Td className="fl-mono">{rule.inputs.map((x) => x || "-").join(" · ")}</Table.Td>
      <Table.Td className="fl-mono">{rule.outputs.join(" · ")}</Table.Td>
      <Table.Td miw={150}>
        {rule.fired === 0 ? (
          <Badge size="sm" tt="none" variant="light" color={marked ? "yellow" : "gray"}>
            {t("coverage.never")}
          </Badge>
        ) : (
          <Group gap="xs" wrap="nowrap">
            <Progress value={rule.share * 100} w={60} size="sm" aria-hidden />
            <Text size="sm">
              {rule.fired} ({Math.round(rule.share * 1000) / 10} %)
            </Text>
          </Group>
        )}
      </Table.Td>
      <Table.Td>{rule.last_at ? <When at={rule.last_at} /> : "–"}</Table.Td>
    </Table.Tr>
  );
}

import { Alert, Anchor, Badge, Button, Group, NumberInput, Select, Stack, Table, Text, UnstyledButton } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { ApiError, send } from "~/api/client";
import type { Finding, HistoryRun } from "~/api/types";
import type { Shown } from "~/designer/editor";
import { useText } from "~/i18n";
import { Icon } from "~/shared/icons";
import { Empty, Failed } from "~/shared/states";
import { FindingList } from "./Findings";
import { OUTCOMES, shownOfHistories, toldOf } from "./histories";

interface Props {
  name: string;
  text: string;
  processes: string[];
  onShow: (shown: Shown | null) => void;
  onPick: (element: string) => void;
}

/** What would have become of past instances under this draft, unsaved work included. */
export function Histories({ name, text, processes, onShow, onPick }: Props) {
  const t = useText();
  const [process, setProcess] = useState(processes[0] ?? "");
  const [status, setStatus] = useState("");
  const [limit, setLimit] = useState<number | string>(200);
  const of = processes.includes(process) ? process : (processes[0] ?? "");
  const run = useMutation({
    mutationFn: () =>
      send("POST", `/definitions/${of}/replay`, { model: { name, content: text, draft: null, version: null }, filter: status ? { status } : {}, limit: Number(limit) || 200, examples: 5 }) as unknown as Promise<HistoryRun>,
  });
  const found = run.data;
  const shown = useMemo(() => shownOfHistories(found), [found]);
  useEffect(() => {
    onShow(shown);
    return () => onShow(null);
  }, [shown, onShow]);
  const problem = run.error instanceof ApiError ? run.error : undefined;
  return (
    <Stack gap="sm" aria-busy={run.isPending}>
      <Text size="xs" c="dimmed">
        {t("designer.histories.what")}
      </Text>
      <Group gap="xs" align="end">
        {processes.length > 1 && <Select size="xs" label={t("designer.histories.process")} data={processes} value={of} onChange={(v) => setProcess(v ?? "")} allowDeselect={false} />}
        <Select
          size="xs"
          w="9rem"
          label={t("designer.histories.which")}
          data={["", "completed", "running", "cancelled"].map((value) => ({ value, label: value ? t(`status.${value}` as "status.running") : t("designer.histories.all") }))}
          value={status}
          onChange={(v) => setStatus(v ?? "")}
          allowDeselect={false}
        />
        <NumberInput size="xs" w="6rem" label={t("designer.histories.limit")} min={1} max={1000} allowDecimal={false} value={limit} onChange={setLimit} />
        <Button size="xs" leftSection={<Icon name="play" size={12} />} onClick={() => run.mutate()} loading={run.isPending} disabled={!of}>
          {t("designer.histories.run")}
        </Button>
      </Group>
      {run.error &&
        (problem?.problem.findings ? (
          <FindingList findings={problem.problem.findings as Finding[]} onPick={onPick} />
        ) : problem?.status === 404 ? (
          <Empty title={t("designer.histories.undeployed")} />
        ) : (
          <Failed error={run.error} again={() => run.mutate()} />
        ))}
      {found && (
        <>
          {found.ran === 0 && <Empty title={t("designer.histories.none")} />}
          <Group gap={6} role="status">
            {OUTCOMES.filter((o) => found.outcomes[o.name]).map((o) => (
              <Badge key={o.name} color={o.color} variant="light" tt="none">
                {found.outcomes[o.name]} {t(`designer.histories.${o.name}`)}
              </Badge>
            ))}
          </Group>
          {!found.complete && (
            <Alert color="yellow" variant="light" p="xs">
              {found.why}
            </Alert>
          )}
          {found.elements.length > 0 && (
            <Table aria-label={t("designer.histories.where")}>
              <Table.Tbody>
                {found.elements.map((e) => (
                  <Table.Tr key={`${e.process} ${e.element}`}>
                    <Table.Td>
                      <UnstyledButton onClick={() => onPick(e.element)} aria-label={t("designer.histories.pick", { element: e.element })}>
                        <Text size="sm" fw={600}>
                          {e.element}
                        </Text>
                      </UnstyledButton>
                    </Table.Td>
                    <Table.Td>
                      {OUTCOMES.filter((o) => (e as unknown as Record<string, number>)[o.name]! > 0).map((o) => (
                        <Text key={o.name} size="sm">
                          {(e as unknown as Record<string, number>)[o.name]} {t(`designer.histories.${o.name}`)}
                        </Text>
                      ))}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )}
          {found.examples.map((e) => (
            <div key={e.id}>
              <Group gap="xs">
                <Anchor size="sm" renderRoot={(props) => <Link to="/instances/$id" params={{ id: e.id }} {...props} />}>
                  {e.business_key || e.id}
                </Anchor>
                <Text size="sm">{t(`designer.histories.${e.outcome as "same"}`)}</Text>
              </Group>
              <Text size="xs" c="dimmed" style={{ overflowWrap: "anywhere" }}>
                {toldOf(e)}
              </Text>
            </div>
          ))}
        </>
      )}
    </Stack>
  );
}

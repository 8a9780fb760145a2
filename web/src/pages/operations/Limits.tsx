import { Button, Group, JsonInput, Table, TextInput, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useMay } from "~/api/me";
import { useGathered } from "~/api/useSeveral";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { brief } from "~/shared/Json";
import { Answer, Empty } from "~/shared/states";

/** What is limited, and what the breakers know; a limit can be set and taken away. */
export function Limits() {
  const t = useText();
  const may = useMay("limits");
  const client = useQueryClient();
  const [target, setTarget] = useState<string>();
  const [drop, setDrop] = useState<string>();
  const [text, setText] = useState("");
  useGathered("limits", () => ["/limits?limit=1000", "/breakers"]);
  const limits = useQuery({ queryKey: ["operations", "limits"], queryFn: ({ signal }) => get("/limits", { limit: 1000 }, signal) });
  const breakers = useQuery({ queryKey: ["operations", "breakers"], queryFn: ({ signal }) => get("/breakers", {}, signal), refetchInterval: 3000 });
  const values = (): Record<string, unknown> | null => {
    try {
      return JSON.parse(text) as Record<string, unknown>;
    } catch {
      return null;
    }
  };
  const open = (name: string, of: Record<string, unknown>) => {
    setText(JSON.stringify(of, null, 2));
    setTarget(name);
  };
  const again = () => client.invalidateQueries({ queryKey: ["operations", "limits"] });
  return (
    <>
      <Group justify="space-between" mb="xs">
        <Title order={2}>{t("operations.limits")}</Title>
        {may && (
          <Button size="xs" variant="default" onClick={() => open("job:", { concurrency: 10 })}>
            {t("limits.set")}
          </Button>
        )}
      </Group>
      <Answer of={limits} empty={(p) => p.items.length === 0 && <Empty title={t("limits.none")}>{t("limits.none.hint")}</Empty>}>
        {(p) => (
          <Table.ScrollContainer minWidth={480}>
            <Table verticalSpacing={4}>
              <Table.Tbody>
                {p.items.map((row) => {
                  const { name, ...of } = row as { name: string } & Record<string, unknown>;
                  return (
                    <Table.Tr key={name}>
                      <Table.Td>{name}</Table.Td>
                      <Table.Td className="fl-mono">{brief(of, 160)}</Table.Td>
                      <Table.Td>
                        <Group gap={4} justify="flex-end">
                          <Button size="compact-xs" variant="subtle" onClick={() => open(name, of)}>
                            {t("limits.change")}
                          </Button>
                          <Button size="compact-xs" variant="subtle" color="red" onClick={() => setDrop(name)}>
                            {t("limits.drop")}
                          </Button>
                        </Group>
                      </Table.Td>
                    </Table.Tr>
                  );
                })}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Answer>
      <Title order={2} mt="md" mb="xs">
        {t("limits.breakers")}
      </Title>
      <Answer of={breakers} empty={(p) => p.items.length === 0 && <Empty title={t("limits.nobreakers")} />}>
        {(p) => (
          <Table verticalSpacing={4}>
            <Table.Tbody>
              {p.items.map((row) => {
                const { target: name, partition, ...of } = row as { target: string; partition: number } & Record<string, unknown>;
                return (
                  <Table.Tr key={`${name}${partition}`}>
                    <Table.Td>{name}</Table.Td>
                    <Table.Td>{t("partitions.of", { n: partition })}</Table.Td>
                    <Table.Td className="fl-mono">{brief(of, 160)}</Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        )}
      </Answer>
      {target !== undefined && (
        <Ask
          title={t("limits.set")}
          what={t("limits.set.what")}
          reason={false}
          ready={values() !== null && /^(job|tenant|endpoint|assignee):./.test(target)}
          close={() => setTarget(undefined)}
          go={async () => {
            await send("PUT", "/limits", values()! as never, { target });
            notifications.show({ message: t("limits.done"), color: "teal" });
            await again();
          }}
        >
          <TextInput label={t("limits.target")} description={t("limits.target.hint")} value={target} onChange={(e) => setTarget(e.currentTarget.value)} data-autofocus />
          <JsonInput label={t("limits.values")} value={text} onChange={setText} autosize minRows={4} maxRows={12} validationError={t("process.start.invalid")} />
        </Ask>
      )}
      {drop !== undefined && (
        <Ask
          title={t("limits.drop")}
          what={t("limits.drop.what", { name: drop })}
          danger
          reason={false}
          close={() => setDrop(undefined)}
          go={async () => {
            await send("DELETE", "/limits", undefined, { target: drop });
            await again();
          }}
        />
      )}
    </>
  );
}

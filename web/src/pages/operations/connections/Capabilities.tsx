import { Badge, Button, Code, Group, Paper, Table, Text, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useRows } from "~/api/lists";
import { useMay } from "~/api/me";
import { useGathered } from "~/api/useSeveral";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Empty, Answer, Listed } from "~/shared/states";
import { Wide } from "~/shared/Wide";
import { Register } from "./Register";

/** A record of the registry, which the document leaves open (docs/capabilities.md). */
export interface Capability {
  id: string;
  name: string;
  title?: string;
  description?: string;
  version?: string;
  endpoint?: string;
  health?: string;
  events?: string[];
  authentication?: Record<string, unknown>;
  operations?: Record<string, { description?: string; path?: string; timeout?: string; errors?: string[] }>;
}

const SECRET = /\{\{\s*secrets\.([A-Za-z_][\w-]*)\s*\}\}/g;
/** Names of the secrets that a record refers to. */
export const secretsIn = (value: unknown): string[] => [...new Set([...JSON.stringify(value ?? "").matchAll(SECRET)].map((m) => m[1]!))].sort();

/** What other services offer, and what distributions add to the server. */
export function Capabilities() {
  return (
    <>
      <Registry />
      <Plugins />
    </>
  );
}

function Registry() {
  const t = useText();
  const may = useMay("directory");
  const client = useQueryClient();
  const [step, setStep] = useState<{ do: "put"; of?: Capability } | { do: "remove"; of: Capability }>();
  const plugins = useMay("settings");
  useGathered("capabilities", () => ["/capabilities?limit=100", ...(plugins ? ["/plugins"] : [])]);
  const list = useRows<Capability>("/capabilities", {});
  const again = () => client.invalidateQueries({ queryKey: ["/capabilities"] });
  return (
    <>
      <Group justify="space-between" mb="xs">
        <div>
          <Title order={2}>{t("operations.capabilities")}</Title>
          <Text size="sm" c="dimmed">
            {t("capabilities.what")}
          </Text>
        </div>
        {may && (
          <Button size="xs" onClick={() => setStep({ do: "put" })}>
            {t("capabilities.put")}
          </Button>
        )}
      </Group>
      <Listed list={list} none={<Empty title={t("capabilities.none")}>{t("capabilities.none.hint")}</Empty>}>
        <>
          {list.rows.map((c) => (
            <Paper key={c.name} withBorder p="sm" mb="xs" role="group" aria-label={c.name}>
              <Group gap="xs">
                <Text fw={600}>{c.title || c.name}</Text>
                <span className="fl-mono">{c.name}</span>
                {c.version && (
                  <Badge size="sm" variant="light" color="gray" tt="none">
                    {c.version}
                  </Badge>
                )}
                <Badge size="sm" variant="light" color={c.endpoint ? "teal" : "gray"} tt="none">
                  {t(c.endpoint ? "capabilities.called" : "capabilities.workers")}
                </Badge>
              </Group>
              {c.description && <Text size="sm">{c.description}</Text>}
              <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                {c.endpoint && <Code>{c.endpoint}</Code>} {c.health && t("capabilities.health", { path: c.health })}
              </Text>
              {secretsIn(c).length > 0 && <Text size="sm">{t("capabilities.secrets", { names: secretsIn(c).join(", ") })}</Text>}
              {(c.events?.length ?? 0) > 0 && <Text size="sm">{t("capabilities.events", { names: c.events!.join(", ") })}</Text>}
              <Wide minWidth={420}>
                <Table verticalSpacing={2} fz="sm" mt={4} aria-label={t("capabilities.operations", { name: c.name })}>
                  <Table.Tbody>
                    {Object.entries(c.operations ?? {}).map(([name, o]) => (
                      <Table.Tr key={name}>
                        <Table.Td w="30%" className="fl-mono">
                          {c.name}.{name}
                        </Table.Td>
                        <Table.Td>{o.description}</Table.Td>
                        <Table.Td>{o.errors?.length ? t("capabilities.errors", { codes: o.errors.join(", ") }) : ""}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Wide>
              {may && (
                <Group gap="xs" mt="xs">
                  <Button size="compact-sm" variant="default" onClick={() => setStep({ do: "put", of: c })}>
                    {t("capabilities.change")}
                  </Button>
                  <Button size="compact-sm" variant="default" color="red" onClick={() => setStep({ do: "remove", of: c })}>
                    {t("capabilities.remove")}
                  </Button>
                </Group>
              )}
            </Paper>
          ))}
          {list.hasNextPage && (
            <Button size="xs" variant="default" loading={list.isFetchingNextPage} onClick={list.more}>
              {t("operations.more")}
            </Button>
          )}
        </>
      </Listed>
      {step?.do === "put" && <Register of={step.of} close={() => setStep(undefined)} done={again} />}
      {step?.do === "remove" && (
        <Ask
          title={t("capabilities.remove")}
          what={t("capabilities.remove.what", { name: step.of.name })}
          danger
          reason={false}
          close={() => setStep(undefined)}
          go={async () => {
            await send("DELETE", `/capabilities/${encodeURIComponent(step.of.name)}`);
            await again();
          }}
        />
      )}
    </>
  );
}

/** What this process has of distributions that are installed beside it. */
function Plugins() {
  const t = useText();
  const may = useMay("settings");
  const q = useQuery({ queryKey: ["plugins"], enabled: may, queryFn: ({ signal }) => get("/plugins", {}, signal) });
  if (!may) return null;
  return (
    <>
      <Title order={2} mt="lg">
        {t("plugins.title")}
      </Title>
      <Text size="sm" c="dimmed" mb="xs">
        {t("plugins.what")}
      </Text>
      <Answer of={q} empty={(p) => p.items.length === 0 && <Empty title={t("plugins.none")}>{t("plugins.none.hint")}</Empty>}>
        {(p) => (
          <Wide minWidth={560}>
            <Table verticalSpacing={4} fz="sm" aria-label={t("plugins.title")}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t("plugins.distribution")}</Table.Th>
                  <Table.Th>{t("plugins.group")}</Table.Th>
                  <Table.Th>{t("plugins.provides")}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {p.items.map((i) => (
                  <Table.Tr key={`${i.group} ${i.name} ${i.distribution}`}>
                    <Table.Td>
                      {i.distribution} {i.version}
                    </Table.Td>
                    <Table.Td>{t(`plugins.${i.group}`)}</Table.Td>
                    <Table.Td style={{ overflowWrap: "anywhere" }}>
                      {i.error ? (
                        <Text size="sm" c="red">
                          {i.name}: {i.error}
                        </Text>
                      ) : (
                        <span className="fl-mono">{i.provides.join(", ")}</span>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Wide>
        )}
      </Answer>
    </>
  );
}

import { Badge, Button, Code, Group, Paper, Text, Title } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "~/api/client";
import { useRows } from "~/api/lists";
import { useMay } from "~/api/me";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Empty, Listed } from "~/shared/states";
import { secretsIn } from "./Capabilities";
import { Register } from "./Register";

/** A record of the registry, which the document leaves open (docs/connectors.md). */
export interface Profile {
  id: string;
  name: string;
  title?: string;
  description?: string;
  version?: number;
  base_url?: string;
  authentication?: { type: string };
  tls?: { certificate?: string };
  limits?: { rate?: { max: number; per_ms?: number }; concurrency?: number; circuit_breaker?: unknown };
}

/** How APIs are called, said once: tasks of connectors name one of these. */
export function Profiles() {
  const t = useText();
  const may = useMay("author");
  const client = useQueryClient();
  const [step, setStep] = useState<{ do: "put"; of?: Profile } | { do: "remove"; of: Profile }>();
  const list = useRows<Profile>("/profiles", {});
  const again = () => client.invalidateQueries({ queryKey: ["/profiles"] });
  const rows = list.rows.filter((p) => !p.name.includes("@"));
  return (
    <>
      <Group justify="space-between" mb="xs" mt="lg">
        <div>
          <Title order={2}>{t("profiles.title")}</Title>
          <Text size="sm" c="dimmed">
            {t("profiles.what")}
          </Text>
        </div>
        {may && (
          <Button size="xs" onClick={() => setStep({ do: "put" })}>
            {t("profiles.put")}
          </Button>
        )}
      </Group>
      <Listed list={list} none={<Empty title={t("profiles.none")}>{t("profiles.none.hint")}</Empty>}>
        <>
          {rows.map((p) => (
            <Paper key={p.name} withBorder p="sm" mb="xs" role="group" aria-label={p.name}>
              <Group gap="xs">
                <Text fw={600}>{p.title || p.name}</Text>
                <span className="fl-mono">{p.name}</span>
                <Badge size="sm" variant="light" color="gray" tt="none">
                  {t("profiles.version", { version: String(p.version ?? "") })}
                </Badge>
                <Badge size="sm" variant="light" tt="none">
                  {p.authentication?.type ?? t("profiles.open")}
                  {p.tls?.certificate ? " + mTLS" : ""}
                </Badge>
              </Group>
              {p.description && <Text size="sm">{p.description}</Text>}
              <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                <Code>{p.base_url}</Code>
              </Text>
              {p.limits && <Text size="sm">{t("profiles.limits", { limits: limits(p.limits) })}</Text>}
              {secretsIn(p).length > 0 && <Text size="sm">{t("capabilities.secrets", { names: secretsIn(p).join(", ") })}</Text>}
              {may && (
                <Group gap="xs" mt="xs">
                  <Button size="compact-sm" variant="default" onClick={() => setStep({ do: "put", of: p })}>
                    {t("capabilities.change")}
                  </Button>
                  <Button size="compact-sm" variant="default" color="red" onClick={() => setStep({ do: "remove", of: p })}>
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
      {step?.do === "put" && <Register kind="profiles" of={step.of} close={() => setStep(undefined)} done={again} />}
      {step?.do === "remove" && (
        <Ask
          title={t("capabilities.remove")}
          what={t("profiles.remove.what", { name: step.of.name })}
          danger
          reason={false}
          close={() => setStep(undefined)}
          go={async () => {
            await send("DELETE", `/profiles/${encodeURIComponent(step.of.name)}`);
            await again();
          }}
        />
      )}
    </>
  );
}

/** As they stand in the record: words of the API, the same in all languages. */
function limits(of: NonNullable<Profile["limits"]>): string {
  return Object.entries(of)
    .map(([name, value]) => `${name} ${name === "rate" ? `${of.rate!.max} / ${of.rate!.per_ms ?? 1000} ms` : typeof value === "number" ? value : ""}`.trim())
    .join(", ");
}

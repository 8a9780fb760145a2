import { Alert, Anchor, Badge, Button, Card, Group, Stack, Text, Title } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { get, send } from "~/api/client";
import { useMay } from "~/api/me";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { Ask } from "~/shared/Ask";
import { Icon } from "~/shared/icons";
import { save } from "~/shared/save";
import { Answer, Empty } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { Erase } from "./Erase";
import { Export } from "./Export";
import { WithReason } from "~/shared/WithReason";

export type Known = AnswerOf<"get", `/subjects/${string}`>;
const LOOKS: Record<string, string> = { kept: "blue", erased: "gray", unknown: "gray" };

/** What is known of one subject, where it is, and what can be done. */
export function Subject({ of: ref }: { of: string }) {
  const t = useText();
  const q = useQuery({ queryKey: ["subject", ref], queryFn: ({ signal }) => get(`/subjects/${encodeURIComponent(ref)}`, { places: true }, signal), retry: false });
  return (
    <Card withBorder padding="md" mb="lg" role="region" aria-label={t("subjects.of", { ref })}>
      <Answer of={q}>{(known) => <Shown of={ref} known={known} />}</Answer>
    </Card>
  );
}

function Shown({ of: ref, known }: { of: string; known: Known }) {
  const t = useText();
  const client = useQueryClient();
  const mayExport = useMay("subjectExport");
  const mayErase = useMay("subjectErase");
  const [asked, setAsked] = useState<"export" | "erase" | "hold" | "lift">();
  const again = async () => {
    await Promise.all(["subject", "/legal-holds"].map((key) => client.invalidateQueries({ queryKey: [key] })));
  };
  const held = known.hold !== null && known.hold !== undefined;
  const path = `/legal-holds/${encodeURIComponent(ref)}` as const;
  const none = known.status === "unknown";
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="xs">
        <Group gap="xs" style={{ minWidth: 0 }}>
          <Title order={2} style={{ overflowWrap: "anywhere" }}>
            {ref}
          </Title>
          <Badge variant="light" color={LOOKS[known.status]}>
            {t(`subjects.status.${known.status}`)}
          </Badge>
          {held && (
            <Badge variant="light" color="yellow" leftSection={<Icon name="pause" size={10} />}>
              {t("subjects.held")}
            </Badge>
          )}
        </Group>
        <Group gap="xs">
          {mayExport && known.status === "kept" && (
            <Button size="xs" variant="default" leftSection={<Icon name="download" size={13} />} onClick={() => setAsked("export")}>
              {t("subjects.export")}
            </Button>
          )}
          {mayErase && (
            <Button size="xs" variant="default" onClick={() => setAsked(held ? "lift" : "hold")}>
              {t(held ? "subjects.lift" : "subjects.hold")}
            </Button>
          )}
          {mayErase && known.status === "kept" && (
            <Button size="xs" color="red" variant="light" disabled={held} onClick={() => setAsked("erase")}>
              {t("subjects.erase")}
            </Button>
          )}
        </Group>
      </Group>
      {held && (
        <Alert color="yellow" variant="light" p="xs" icon={<Icon name="pause" size={14} />}>
          {t("subjects.held.why", { reason: known.hold ?? "" })}
        </Alert>
      )}
      {none ? (
        <Empty title={t("subjects.unknown", { ref })}>{t("subjects.unknown.hint")}</Empty>
      ) : (
        <>
          <Text size="sm">
            {t("subjects.keys", { count: known.keys ?? 0 })}
            {(known.erased_keys ?? 0) > 0 && <> {t("subjects.keys.erased", { count: known.erased_keys ?? 0 })}</>}{" "}
            <Text span size="sm" c="dimmed">
              {t("subjects.digest")} <code style={{ overflowWrap: "anywhere" }}>{known.subject}</code>
            </Text>
          </Text>
          {known.erasure && <Certificate of={known.erasure} />}
          <Places known={known} />
        </>
      )}
      {asked === "export" && <Export of={ref} close={() => setAsked(undefined)} />}
      {asked === "erase" && <Erase of={ref} known={known} done={again} close={() => setAsked(undefined)} />}
      {asked === "hold" && (
        <WithReason
          title={t("subjects.hold")}
          what={t("subjects.hold.what", { ref })}
          close={() => setAsked(undefined)}
          go={async (reason) => {
            await send("PUT", path, { reason });
            notifications.show({ message: t("subjects.hold.done"), color: "teal" });
            await again();
          }}
        />
      )}
      {asked === "lift" && (
        <Ask
          title={t("subjects.lift")}
          what={t("subjects.lift.what", { ref })}
          danger
          reason={false}
          close={() => setAsked(undefined)}
          go={async () => {
            await send("DELETE", path);
            notifications.show({ message: t("subjects.lift.done"), color: "teal" });
            await again();
          }}
        />
      )}
    </Stack>
  );
}

/** Where it is: instances, with the names of the variables; their values aren't shown here. */
function Places({ known }: { known: Known }) {
  const t = useText();
  const places = known.places ?? [];
  return (
    <div>
      <Title order={3} size="h5" mb={4}>
        {t("subjects.where")}
      </Title>
      {places.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t("subjects.where.none")}
        </Text>
      ) : (
        <Stack gap={0} component="ul" p={0} m={0} style={{ listStyle: "none" }}>
          {places.map((place) => (
            <Group key={place.instance} component="li" gap="xs" py={6} align="baseline" style={{ borderTop: "1px solid var(--mantine-color-default-border)" }}>
              <Anchor renderRoot={(props) => <Link to="/instances/$id" params={{ id: place.instance }} search={{ tab: "variables" }} {...props} />} size="sm" style={{ overflowWrap: "anywhere" }}>
                {place.business_key || place.instance}
              </Anchor>
              <Text size="sm">{place.process}</Text>
              <Status of={place.status} />
              <Group gap={4} style={{ flex: "1 1 10rem", minWidth: 0 }}>
                {place.names.map((name) => (
                  <code key={name} style={{ overflowWrap: "anywhere", fontSize: 12 }}>
                    {name}
                  </code>
                ))}
              </Group>
              <Text size="xs" c="dimmed">
                <When at={place.updated_at} />
              </Text>
            </Group>
          ))}
        </Stack>
      )}
      {known.more && (
        <Text size="sm" c="dimmed" mt={4}>
          {t("subjects.where.more", { count: places.length })}
        </Text>
      )}
    </div>
  );
}

/** What is left of an erasure: who, when, why, and which keys are gone. */
function Certificate({ of: certificate }: { of: NonNullable<Known["erasure"]> }) {
  const t = useText();
  return (
    <Alert color="gray" variant="light" icon={<Icon name="check" />} title={t("subjects.certificate")}>
      <Text size="sm">
        {certificate.by || t("shell.nobody")}, <When at={certificate.erased_at} />: {certificate.reason}
      </Text>
      <Text size="sm">
        {t("subjects.certificate.everywhere")} <When at={certificate.everywhere_at} />
      </Text>
      <details>
        <summary style={{ cursor: "pointer", fontSize: 14 }}>{t("subjects.certificate.keys", { count: certificate.keys.length })}</summary>
        {certificate.keys.map((key) => (
          <Text key={key} size="xs">
            <code style={{ overflowWrap: "anywhere" }}>{key}</code>
          </Text>
        ))}
      </details>
      <Button mt="xs" size="compact-xs" variant="default" leftSection={<Icon name="download" size={12} />} onClick={() => save(`erasure-${certificate.subject.slice(0, 12)}.json`, "application/json", JSON.stringify(certificate, null, 2))}>
        {t("subjects.certificate.save")}
      </Button>
    </Alert>
  );
}

import { Anchor, Button, Group, Modal, Select, SimpleGrid, Stack, Table, Text, TextInput } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, get, send } from "~/api/client";
import { useMay } from "~/api/me";
import type { AnswerOf } from "~/api/types";
import { useText } from "~/i18n";
import { Answer, Failed } from "~/shared/states";
import { Status } from "~/shared/Status";
import { When } from "~/shared/time";
import { type Saved, type Sending, sendingOf, sendingWrongs, specOf, WHENS } from "./report";

type Kept = AnswerOf<"get", `/saved-reports/${string}/schedule`>;
const LATER_MS = 5_000;

/** When a report is sent and to whom; what was sent, and what could not be. */
export function Schedule({ of: report, close }: { of: Saved; close: () => void }) {
  const t = useText();
  const path = `/saved-reports/${encodeURIComponent(report.name)}/schedule` as `/saved-reports/${string}/schedule`;
  const q = useQuery({
    queryKey: ["insight", "schedule", report.name],
    retry: false,
    refetchInterval: LATER_MS,
    queryFn: async ({ signal }): Promise<Kept | null> => {
      try {
        return await get(path, undefined, signal);
      } catch (e) {
        if (e instanceof ApiError && e.status === 404) return null;
        throw e;
      }
    },
  });
  return (
    <Modal opened onClose={close} title={t("reports.schedule.of", { name: report.title ?? report.name })} size="lg">
      <Answer of={q as never}>{(kept: Kept | null) => <Form key={kept?.name ?? ""} path={path} of={report} kept={kept ?? undefined} close={close} />}</Answer>
    </Modal>
  );
}

function Form({ path, of: report, kept, close }: { path: `/saved-reports/${string}/schedule`; of: Saved; kept?: Kept; close: () => void }) {
  const t = useText();
  const client = useQueryClient();
  const writes = useMay("author");
  const starts = useMay("start");
  const [wish, setWish] = useState<Sending>(() => sendingOf(report.name, kept?.schedule));
  const [told, setTold] = useState(false);
  const [busy, setBusy] = useState("");
  const [error, setError] = useState<unknown>();
  const wrong = sendingWrongs(wish);
  const put = (more: Partial<Sending>) => setWish((w) => ({ ...w, ...more }));
  const act = async (what: string, work: () => Promise<unknown>, said: string) => {
    setBusy(what);
    setError(undefined);
    try {
      await work();
      notifications.show({ message: t(said), color: "teal" });
      await client.invalidateQueries({ queryKey: ["insight", "schedule", report.name] });
      return true;
    } catch (e) {
      setError(e);
      return false;
    } finally {
      setBusy("");
    }
  };
  const store = async () => {
    setTold(true);
    if (Object.keys(wrong).length > 0) return;
    if (await act("save", () => send("PUT", path, specOf(wish, kept?.schedule) as never), "reports.schedule.saved")) close();
  };
  const text = (field: "at" | "cron" | "zone" | "host" | "username" | "password" | "from" | "to" | "url" | "secret", more: { placeholder?: string; type?: string } = {}) => (
    <TextInput label={t(`reports.send.${field}`)} value={wish[field]} disabled={!writes} error={told && wrong[field] && t(wrong[field])} onChange={(e) => put({ [field]: e.currentTarget.value })} autoComplete="off" {...more} />
  );
  const choice = (field: "when" | "catch_up" | "format" | "way" | "security", words: string[], key: string) => <Select label={t(`reports.send.${field}`)} allowDeselect={false} disabled={!writes} value={wish[field]} data={words.map((value) => ({ value, label: t(`${key}.${value}`) }))} onChange={(v) => v && put({ [field]: v })} />;
  return (
    <Stack component="form" gap="sm" onSubmit={(e) => { e.preventDefault(); void store(); }}>
      {kept && (
        <Group gap="xs">
          <Status of={kept.status} />
          {kept.next_at && (
            <Text size="sm">
              {t("reports.send.next")} <When at={kept.next_at} exact />
            </Text>
          )}
          {kept.error && (
            <Text size="sm" c="red">
              {kept.error}
            </Text>
          )}
        </Group>
      )}
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="xs">
        {choice("when", [...Object.keys(WHENS), "cron"], "reports.when")}
        {wish.when === "cron" ? text("cron", { placeholder: "0 7 * * MON" }) : text("at", { type: "time" })}
        {text("zone", { placeholder: "Europe/Berlin" })}
        {choice("catch_up", ["none", "last", "all"], "reports.catch_up")}
        {choice("format", ["csv", "xlsx", "parquet"], "reports.format")}
        {choice("way", ["mail", "webhook"], "reports.way")}
        {wish.way === "mail" ? (
          <>
            {text("to", { placeholder: "a@example.org; b@example.org" })}
            {text("from", { placeholder: "reports@example.org" })}
            {text("host", { placeholder: "mail.example.org" })}
            {choice("security", ["starttls", "tls", "off"], "reports.security")}
            {text("username")}
            {text("password", { placeholder: "{{secrets.SMTP}}" })}
          </>
        ) : (
          <>
            {text("url", { placeholder: "https://" })}
            {text("secret", { placeholder: "{{secrets.HOOK}}" })}
          </>
        )}
      </SimpleGrid>
      {error !== undefined && <Failed error={error} />}
      <Group justify="flex-end">
        {kept && starts && (
          <Button variant="default" loading={busy === "now"} onClick={() => void act("now", () => send("POST", "/instances", { definition: kept.process } as never), "reports.send.begun")}>
            {t("reports.send.now")}
          </Button>
        )}
        {kept && writes && (
          <Button variant="default" c="red" loading={busy === "off"} onClick={() => void act("off", () => send("DELETE", path), "reports.schedule.off").then((done) => done && close())}>
            {t("reports.send.off")}
          </Button>
        )}
        {writes && (
          <Button type="submit" loading={busy === "save"}>
            {t("save")}
          </Button>
        )}
      </Group>
      {kept && kept.sent.length > 0 && (
        <Table.ScrollContainer minWidth={340} mah={260}>
          <Table fz="sm" verticalSpacing={4} aria-label={t("reports.sent")}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t("reports.sent.due")}</Table.Th>
                <Table.Th>{t("reports.sent.state")}</Table.Th>
                <Table.Th>{t("reports.sent.problem")}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {kept.sent.map((s) => (
                <Table.Tr key={s.id}>
                  <Table.Td>
                    <Anchor component={Link} to="/instances/$id" params={{ id: s.id } as never} size="sm">
                      <When at={s.scheduled || s.created_at} exact />
                    </Anchor>
                  </Table.Td>
                  <Table.Td>
                    <Status of={s.status} />
                  </Table.Td>
                  <Table.Td c={s.problem ? "red" : undefined} style={{ overflowWrap: "anywhere" }}>
                    {s.problem || (s.status === "running" && s.attempts > 0 ? t("reports.sent.tried", { n: s.attempts }) : "–")}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Stack>
  );
}
